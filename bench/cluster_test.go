package bench

import (
	"bufio"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each fault hits whom it says, over all nodes in time, and the same seed hits
// the same.
func TestClusterPlan(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{3, 4, 5, 7} {
		for _, fault := range append(slices.Clone(ClusterFaults), noFault) {
			rng, same := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
			hit := make(map[int]int)
			for range 200 {
				s := plan(fault, nodes, rng)
				require.Equal(t, s, plan(fault, nodes, same))
				checkStrike(t, fault, nodes, s)
				for _, l := range s.cut {
					hit[l.from]++
				}
				for _, i := range append(s.down(), s.restart...) {
					hit[i]++
				}
			}
			if fault != noFault {
				require.Len(t, hit, nodes, fault)
			}
		}
	}
}

func checkStrike(t *testing.T, fault string, nodes int, s strike) {
	t.Helper()
	from, seen := make(map[int]int), make(map[link]bool)
	for _, l := range s.cut {
		require.NotEqual(t, l.from, l.to)
		require.False(t, seen[l], "twice")
		require.Less(t, max(l.from, l.to), nodes)
		seen[l] = true
		from[l.from]++
	}
	both := true
	for l := range seen {
		both = both && seen[link{l.to, l.from}]
	}
	half := nodes / 2
	want := map[string][6]int{ // links, nodes that are not heard, both ways, killed, frozen, restarted
		"halves":   {2 * half * (nodes - half), nodes, 1},
		"isolate":  {2 * (nodes - 1), nodes, 1},
		"one-way":  {nodes - 1, 1, 0},
		"kill-one": {0, 0, 1, 1},
		"kill-two": {0, 0, 1, 2},
		"freeze":   {0, 0, 1, 0, 1},
		rolling:    {0, 0, 1, 0, 0, nodes},
		noFault:    {0, 0, 1},
	}[fault]
	b := 0
	if both {
		b = 1
	}
	require.Equal(t, want, [6]int{len(s.cut), len(from), b, len(s.kill), len(s.freeze), len(s.restart)}, "%s %v", fault, s)
	require.NotEmpty(t, s.text)
	if len(s.kill) == 2 {
		require.NotEqual(t, s.kill[0], s.kill[1])
	}
}

func TestClusterOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]ClusterOptions{
		"Nodes":         {Nodes: 2},
		"Rounds":        {Rounds: -1},
		"Rate":          {Rate: 1e6},
		"Producers":     {Producers: -1},
		"Consumers":     {Consumers: 4},
		"Least":         {Least: -1},
		"FaultTime":     {FaultTime: time.Millisecond},
		"HealTime":      {HealTime: time.Millisecond},
		"Calm":          {Calm: -1},
		`fault "storm"`: {Faults: []string{"halves", "storm"}},
		"Faults":        {Faults: []string{}},
	} {
		_, err := Cluster(t.Context(), o)
		require.ErrorContains(t, err, "bench: ")
		require.ErrorContains(t, err, want)
	}
	_, err := ClusterProbe(t.Context(), ClusterOptions{Nodes: 1})
	require.ErrorContains(t, err, "Nodes is 1")
	_, err = ClusterProbe(t.Context(), ClusterOptions{Faults: []string{"freeze", "halves"}})
	require.ErrorContains(t, err, `no live node to probe during "halves"`)
	var o ClusterOptions
	require.NoError(t, o.fill(5, ClusterFaults...))
	require.Equal(t, 5, o.Nodes)
	require.Equal(t, ClusterFaults, o.Faults)
	require.Contains(t, o.Directives, "--cluster-node-timeout")
}

// What the probe measures is the longest time between two answers, up to now.
func TestProberGap(t *testing.T) {
	t.Parallel()
	b := &prober{last: time.Now().Add(-time.Second)}
	b.note("a")
	b.note("b")
	gap, added := b.restart()
	require.Equal(t, []string{"a", "b"}, added)
	require.InDelta(t, 1, gap.Seconds(), 0.5)
	b.last = time.Now().Add(-3 * time.Second)
	gap, added = b.restart()
	require.Empty(t, added)
	require.InDelta(t, 3, gap.Seconds(), 0.5)
}

func TestProbeRound(t *testing.T) {
	t.Parallel()
	for want, r := range map[bool][]ProbeRound{
		true: {{}, {Gaps: []ProbeGap{{Fault: probeBound, Heal: probeBound}}, Copies: []int{0, 0, 0, 5}}, {Copies: []int{0, 0, 0, 1, 2, 0}}},
		false: {
			{Gaps: []ProbeGap{{}, {Fault: probeBound + 1}}}, {Gaps: []ProbeGap{{Heal: probeBound + 1}}},
			{Copies: []int{1, 0, 0, 5}}, {Copies: []int{0, 0, 1, 5}}, {Copies: []int{0, 0, 1, 0, 9, 0}},
		},
	} {
		for _, round := range r {
			require.Equal(t, want, round.OK(), round)
			report := ProbeReport{Rounds: []ProbeRound{round}}
			require.Equal(t, want, report.Err() == nil)
			require.Equal(t, !want, strings.Contains(report.String(), "FAILED"))
		}
	}
}

func TestSkip(t *testing.T) {
	t.Parallel()
	c := &conn{r: bufio.NewReader(strings.NewReader("+OK\r\n:5\r\n$3\r\nabc\r\n*2\r\n*1\r\n$0\r\n\r\n:1\r\n*-1\r\n$-1\r\n-ERR x\r\n!x\r\n*1\r\n"))}
	for _, want := range []bool{false, false, false, false, true, true} {
		null, err := c.skip()
		require.NoError(t, err)
		require.Equal(t, want, null)
	}
	for range 3 {
		_, err := c.skip()
		require.Error(t, err)
	}
}

func TestField(t *testing.T) {
	t.Parallel()
	require.Equal(t, "12", Field("# Jobs\r\nregistered_jobs:12\r\n", "registered_jobs"))
	require.Empty(t, Field("registered_jobs_2:12", "registered_jobs"))
}

// A broker that does not answer is left for the next, and back again.
func TestHopper(t *testing.T) {
	t.Parallel()
	h := hopper{ns: &nodes{all: make([]*clusterNode, 3)}, node: 1}
	var way []int
	for range 4 {
		h.leave()
		way = append(way, h.node)
	}
	require.Equal(t, []int{2, 0, 1, 2}, way)
	_, err := Cluster(context.Background(), ClusterOptions{Server: "/no/such/program", Dir: t.TempDir(), Faults: []string{noFault}})
	require.ErrorContains(t, err, "no such file")
}
