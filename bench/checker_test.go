package bench_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench"
)

// verdicts are the counts of faults: lost, undone, unexpected, twice.
func verdicts(v bench.Verdict) [4]int {
	return [4]int{v.Lost.Count, v.Undone.Count, v.Unexpected.Count, v.Twice.Count}
}

// life adds a job, gets it and acknowledges it, as far as asked.
func life(c *bench.Checker, atMostOnce bool, steps string) uint64 {
	n := c.Send(atMostOnce)
	for _, step := range steps {
		switch step {
		case '+':
			c.Added(n, "id")
		case '-':
			c.Refused(n)
		case 'g':
			c.Delivered(c.Asked(), n, "id")
		case 'G':
			c.Delivered(c.Asked(), n, "another id")
		case 'l': // a GETJOB that was sent before everything else
			c.Delivered(0, n, "id")
		case 'a':
			c.Acking(n)
		case 'A':
			c.Acked(n, true)
		case '0':
			c.Acked(n, false)
		case 'x':
			c.Abandoned(1)
		case '|':
			c.Cut()
		}
	}
	return n
}

func TestChecker(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, steps string
		once        bool
		want        [4]int
	}{
		{name: "a full life", steps: "+gaA"},
		{name: "added and never seen", steps: "+|", want: [4]int{1}},
		{name: "delivered and never again", steps: "+g|", want: [4]int{1}},
		{name: "no answer, never seen", steps: "|"},
		{name: "no answer, recovered", steps: "|gaA"},
		{name: "no answer, delivered, gone with the broker", steps: "g|"},
		{name: "refused", steps: "-"},
		{name: "refused, delivered", steps: "-g", want: [4]int{0, 0, 1}},
		{name: "delivered, refused", steps: "g-", want: [4]int{0, 0, 1}},
		{name: "delivered before its answer", steps: "g+aA"},
		{name: "delivered before its answer, lost", steps: "g+|", want: [4]int{1}},
		{name: "acknowledged before its answer", steps: "gaA+"},
		{name: "delivered again", steps: "+gggaA"},
		{name: "ack without answer, gone", steps: "+ga|"},
		{name: "ack without answer, still under way", steps: "+ga"},
		{name: "ack without answer, comes again", steps: "+ga|gaA"},
		{name: "ack without answer, comes again, lost", steps: "+ga|g|", want: [4]int{1}},
		{name: "acknowledged over a kill", steps: "+g|aA"},
		{name: "acknowledged again over a kill", steps: "+ga|a0"},
		{name: "acknowledged twice", steps: "+gaAga0", want: [4]int{0, 1}},
		{name: "unknown to its first ack", steps: "+g|a0", want: [4]int{1}},
		{name: "no answer, delivered, gone, acknowledged", steps: "g|a0"},
		{name: "undone", steps: "+gaA|g", want: [4]int{0, 1}},
		{name: "undone without a kill", steps: "+gaAg", want: [4]int{0, 1}},
		{name: "an answer that was late", steps: "+gaAl"},
		{name: "another id", steps: "+G|aA", want: [4]int{0, 0, 1}},
		{name: "once", steps: "+g|", once: true},
		{name: "once, acknowledged", steps: "+gaA", once: true},
		{name: "once, delivered before its answer", steps: "g+", once: true},
		{name: "once, twice", steps: "+g|g", once: true, want: [4]int{0, 0, 0, 1}},
		{name: "once, twice after its ack", steps: "+gaA|g", once: true, want: [4]int{0, 0, 0, 1}},
		{name: "once, lost", steps: "+|", once: true, want: [4]int{1}},
		{name: "once, went with a GETJOB", steps: "+x|", once: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := bench.NewChecker()
			life(c, test.once, test.steps)
			v := c.Verdict(true)
			require.Equal(t, test.want, verdicts(v), "%+v", v)
			require.Equal(t, 1, v.Sent)
		})
	}
}

// A GETJOB without an answer excuses only as many jobs as it can have carried,
// and only those that were there.
func TestExcusesAreUsedOnce(t *testing.T) {
	t.Parallel()
	c := bench.NewChecker()
	for range 5 {
		life(c, true, "+")
	}
	c.Abandoned(2)
	c.Cut()
	late := life(c, true, "+")
	v := c.Verdict(true)
	require.Equal(t, 2, v.Spent)
	require.Equal(t, 4, v.Lost.Count)
	require.Equal(t, 4, c.Missing())
	require.Contains(t, v.Lost.Sample, bench.Fault{Number: late, ID: "id", Why: "at most once"})
	// A later one takes the late job first, and what it has left helps the others.
	c.Abandoned(4)
	v = c.Verdict(true)
	require.Equal(t, 6, v.Spent)
	require.Zero(t, verdicts(v))
}

func TestVerdictListsTwentyOfAKind(t *testing.T) {
	t.Parallel()
	c := bench.NewChecker()
	for range 30 {
		life(c, false, "+gaAg")
	}
	c.Delivered(c.Asked(), 1000, "D-x")
	c.Strange("D-y", "is odd")
	v := c.Verdict(true)
	require.Equal(t, [4]int{0, 30, 2, 0}, verdicts(v))
	require.Len(t, v.Undone.Sample, 20)
	r := bench.TortureReport{Runs: []bench.TortureRun{{Verdict: v, Failures: []string{"30 undone"}}}}
	require.Equal(t, 20, strings.Count(r.String(), "\n  undone: job "))
	require.Contains(t, r.String(), "\n  unexpected: job 1000 D-x was never sent\n")
	require.Contains(t, r.String(), "\n  unexpected: job 0 D-y is odd\n")
}

func TestCheckerCounts(t *testing.T) {
	t.Parallel()
	c := bench.NewChecker()
	life(c, false, "+ga|")
	life(c, false, "+gaA")
	life(c, false, "+")
	life(c, false, "|g")
	adds, acks := c.Counts()
	require.Equal(t, []int{3, 1}, []int{adds, acks})
	require.Equal(t, 2, c.Due())
	require.Equal(t, 1, c.Missing())
	undrained := c.Verdict(false)
	require.Zero(t, verdicts(undrained))
	v := c.Verdict(true)
	require.Equal(t, []int{1, 1}, []int{v.Unknown, v.Recovered})
}
