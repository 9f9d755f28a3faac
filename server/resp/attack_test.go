package resp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// attacks are inputs that kill redcon, burn its CPU or fill its memory (redcon.md, facts 1 to 10), and what we say.
var attacks = map[string]struct {
	in   string
	want string // the error, or nothing
}{
	"bulk of MaxInt64: index out of range":   {"*1\r\n$9223372036854775807\r\n", proto + "invalid bulk length"},
	"bulk of MaxInt64 and payload":           {"*1\r\n$9223372036854775807\r\nx\r\n", proto + "invalid bulk length"},
	"bulk of -2: slice out of range":         {"*1\r\n$-2\r\nx\r\n", proto + "invalid bulk length"},
	"bulk over 64 bits: wraps to a small":    {"*1\r\n$18446744073709551620\r\nPING\r\n", proto + "invalid bulk length"},
	"bulk -2 of two: count is not positive":  {"*2\r\n$4\r\nPING\r\n$-2\r\n\r\n", proto + "invalid bulk length"},
	"count of 10^9: half a second per read":  {"*1000000000\r\n", proto + "invalid multibulk length"},
	"count of 9*10^18: a core for ever":      {"*9000000000000000000\r\n", proto + "invalid multibulk length"},
	"count over 64 bits":                     {"*18446744073709551617\r\n$4\r\nPING\r\n", proto + "invalid multibulk length"},
	"count of 0: error and lost commands":    {"*0\r\n", ""},
	"count of -1":                            {"*-1\r\n", ""},
	"2^20 arguments, one sent":               {"*1048576\r\n$1\r\na\r\n", proto + "too many arguments (1048576), the limit is 65536 (max-arguments)"},
	"bulk of 512 MiB, never sent":            {"*1\r\n$536870912\r\n", ""},
	"Tile38 line: parsed as a native packet": {"$9223372036854775807 x\r\n", ""},
	"negative Tile38 line":                   {"$-2 x\r\n", ""},
	"inline without end":                     {strings.Repeat("A", 100_000), proto + "too big inline request"},
	"count without end":                      {"*" + strings.Repeat("1", 100_000), proto + "too big mbulk count string"},
	"bulk length without end":                {"*1\r\n$" + strings.Repeat("1", 100_000), proto + "too big bulk count string"},
	"a million empty arrays":                 {strings.Repeat("*0\r\n", 1<<20), ""},
	"a million blank lines":                  {strings.Repeat("\n", 1<<20), ""},
}

// patience is far more than a linear scan needs on a busy machine with the race detector, and far less than a
// quadratic or endless one.
const patience = 30 * time.Second

func TestAttacks(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, piece := range []int{1 << 20, max(1, len(attack.in)>>17)} {
				start := time.Now()
				f := newFeeder(t, DefaultLimits()).feedBy(piece, "PING\n"+attack.in)
				require.Less(t, time.Since(start), patience)
				require.Equal(t, said("PING\n", "PING"), f.events[0])
				require.LessOrEqual(t, f.peak, 2*pipelineBuffer)
				if attack.want == "" {
					require.NoError(t, f.d.err)
					continue
				}
				require.Equal(t, []event{failed(attack.want)}, f.events[1:])
			}
		})
	}
}

// Fact 4: redcon keeps a stack frame for every read of an incomplete command and dies of 850,000. Fact 5: it parses
// the command anew each time. A quadratic scan would look at 3.6*10^11 bytes here.
func TestOneByteAtATime(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 850_000)
	in := multibulk("ADDJOB", "q", body, "0")
	start := time.Now()
	f := newFeeder(t, DefaultLimits()).feedBy(1, in)
	require.Less(t, time.Since(start), patience)
	require.Equal(t, []event{said(in, "ADDJOB", "q", body, "0")}, f.events)
	require.LessOrEqual(t, f.grown, 4, "each time, all that was received is copied")
}

// Fact 5 again, as a client would do it: 160,000 arguments in segments of 1,460 bytes cost redcon 2 s.
func TestManyArgumentsInSegments(t *testing.T) {
	t.Parallel()
	lim := DefaultLimits()
	lim.MaxArgs = 200_000
	in := multibulk(slices.Repeat([]string{"x"}, 160_000)...)
	start := time.Now()
	f := newFeeder(t, lim).feedBy(1460, in)
	require.Less(t, time.Since(start), patience)
	require.Len(t, f.events, 1)
	require.Len(t, f.events[0].Args, 160_000)
	require.Equal(t, in, f.events[0].Raw)
	require.LessOrEqual(t, f.grown, 10)
}

// The end of a line is looked for only in what is new.
func TestLineIsScannedOnce(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", 50_000)
	for begin, in := range map[string]string{"": x, "*": x, "*1\r\n": "$" + x} {
		f := newFeeder(t, DefaultLimits()).feed(begin + in)
		require.Equal(t, len(begin)+len(in), f.d.frame.pos+f.d.frame.seen)
	}
}

// mixed is a stream with everything in it; a stranger's eye sees no boundaries but the decoder does.
func mixed() string {
	return strings.Join([]string{
		multibulk("ADDJOB", "q", "b\r\nody", "0"),
		"PING\n",
		"*0\r\n",
		multibulk(""),
		"\r\n",
		"QLEN \"a \\x41\\\" b\" 'c'\r\n",
		multibulk("ADDJOB", "q", strings.Repeat("$1\r\n", 300), "RETRY", "1"), // oversized
		multibulk("QLEN", ""),
		" \t\n*-1\r\n",
		multibulk(slices.Repeat([]string{strings.Repeat("y", 990)}, 6)...), // too long as a whole
		"$4 x\r\n",
		multibulk("ACKJOB", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"),
		"PING\r\n*1\r\n$4\r\nPONG\r?",
		"PING\n",
	}, "")
}

// However the stream is cut, the same is understood.
func TestSplitPoints(t *testing.T) {
	t.Parallel()
	in, lim := mixed(), testLimits()
	want, _ := reference([]byte(in), &lim)
	require.Len(t, want, 11)
	require.Equal(t, want, newFeeder(t, lim).feed(in).events)
	require.Equal(t, want, newFeeder(t, lim).feedBy(1, in).events)
	for at := range len(in) {
		require.Equal(t, want, newFeeder(t, lim).feed(in[:at]).feed(in[at:]).events, "cut at %d", at)
	}
	seed := rand.Uint64()
	for round := range 500 {
		f := newFeeder(t, lim)
		feedPieces(f, in, seed+uint64(round))
		require.Equal(t, want, f.events, "seed %d", seed+uint64(round))
	}
}

// feedPieces cuts in at random, mostly into small pieces.
func feedPieces(f *feeder, in string, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for in != "" {
		n := min(1+rng.IntN(1+rng.IntN(1+rng.IntN(len(in)))), len(in))
		f.feed(in[:n])
		in = in[n:]
	}
}
