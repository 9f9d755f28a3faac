package sim

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	simSeed  = flag.Uint64("sim.seed", 1, "TestSeed: this seed; TestSeeds: the first one, 0 for another one each time")
	simSeeds = flag.Int("sim.seeds", 0, "TestSeeds: how many; 0: as many as fit -sim.for")
	simFor   = flag.Duration("sim.for", 0, "TestSeeds: how long; 0: 10 seconds, 2 in short mode")
	simLeast = flag.Int("sim.least", 1, "TestSeeds: how many must be done by then")
	simTime  = flag.Duration("sim.time", 10*time.Minute, "simulated time of load and faults")
	simNodes = flag.Int("sim.nodes", 5, "nodes to begin with")
	simOnly  = flag.String("sim.only", "", "TestSeed: do only these steps of the plan, such as 1-3,7")
	simJob   = flag.Int("sim.job", 0, "TestSeed: write the history of this job")
)

// explainTime bounds the looking for steps that do not matter.
const explainTime = time.Minute

// Whatever happens to nodes, links, disks and clocks, the promise is kept.
func TestSeeds(t *testing.T) {
	o := Options{Seed: *simSeed, Time: *simTime, Nodes: *simNodes}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano()) / 1000
	}
	most := *simFor
	if most == 0 {
		if most = 10 * time.Second; testing.Short() {
			most = 2 * time.Second
		}
	}
	ctx := t.Context()
	if *simSeeds == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, most)
		defer cancel()
	}
	total := Many(ctx, o, *simSeeds, runtime.GOMAXPROCS(0), func(*Total) {})
	t.Logf("from seed %d: %v", o.Seed, total)
	if total.Failed != nil {
		o.Seed = total.Failed.Seed
		var b strings.Builder
		Explain(&b, o, explainTime)
		t.Fatal(b.String())
	}
	require.GreaterOrEqual(t, total.Seeds, *simLeast)
	require.NotZero(t, total.Delivered)
}

// One seed, as a report says.
func TestSeed(t *testing.T) {
	only, err := ParseSteps(*simOnly)
	require.NoError(t, err)
	o := Options{Seed: *simSeed, Time: *simTime, Nodes: *simNodes, Only: only, Job: *simJob, Trace: os.Stdout}
	r := Run(o)
	t.Logf("%+v", *r)
	if r.Failure != nil {
		t.Fatal(r.Failure)
	}
}

// The same seed twice is the same to the last message; another one is not.
func TestSameSeedSameTrace(t *testing.T) {
	t.Parallel()
	hashes := map[uint64]bool{}
	for seed := uint64(1); seed <= 10; seed++ {
		o := Options{Seed: seed, Time: 2 * time.Minute}
		a, b := Run(o), Run(o)
		require.Nil(t, a.Failure)
		require.Equal(t, a, b)
		require.False(t, hashes[a.Hash])
		hashes[a.Hash] = true
	}
}

// Clusters of other sizes.
func TestSizes(t *testing.T) {
	t.Parallel()
	for nodes := 1; nodes <= 9; nodes += 2 {
		r := Run(Options{Seed: uint64(nodes), Nodes: nodes, Time: 3 * time.Minute})
		require.Nil(t, r.Failure, "%d nodes", nodes)
		require.NotZero(t, r.Delivered)
	}
}

func TestParseSteps(t *testing.T) {
	t.Parallel()
	for _, list := range [][]int{{0}, {1, 2, 3, 7}, {0, 2, 4, 5}} {
		got, err := ParseSteps(ranges(list))
		require.NoError(t, err)
		require.Equal(t, list, got)
	}
	for _, bad := range []string{"x", "3-1", "1,,2"} {
		_, err := ParseSteps(bad)
		require.ErrorContains(t, err, "1-3,7")
	}
}

var scaleNodes = flag.String("scale.nodes", "5,50", "TestScale: sizes of clusters")

// What a job costs does not depend on the size of the cluster, and what a
// consumer that waits does costs in proportion.
func TestScale(t *testing.T) {
	t.Parallel()
	for text := range strings.SplitSeq(*scaleNodes, ",") {
		nodes, err := strconv.Atoi(text)
		require.NoError(t, err)
		began := time.Now()
		r, failure := Scale(nodes)
		t.Logf("%v(%v)", r, time.Since(began).Round(time.Millisecond))
		require.Nil(t, failure)
	}
}
