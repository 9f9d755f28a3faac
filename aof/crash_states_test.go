package aof_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

var (
	full = flag.Bool("crash.full", false, "run the crash tests in full: minutes, not seconds")
	seed = flag.Uint64("crash.seed", 0, "of the crash tests; 0 takes one at chance")
)

// seeded returns the seed of a test, and says it if the test fails.
func seeded(t *testing.T) uint64 {
	t.Helper()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-crash.seed=%d", s)
	return s
}

// scaled is n in the full form and part of it in the short one.
func scaled(n, short int) int {
	if *full {
		return n
	}
	return short
}

// TestCrashStates crashes a log at every operation of a long script. Nothing
// that was acknowledged may be lost, nothing else may appear, and recovery may
// not fail, nor a recovery after a crash of the recovery.
func TestCrashStates(t *testing.T) {
	t.Parallel()
	for _, policy := range []aof.Policy{aof.Always, aof.EverySec, aof.No} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			c := newCrashRun(policy, seeded(t))
			c.random = scaled(20, 2)
			require.NoError(t, c.run(scaled(2100, 1000)))
			t.Logf("%d operations, %d crash states, %d more of recoveries, %d acknowledgements", c.ops, c.states, c.deep, c.acks)
		})
	}
}

// TestCrashReclaiming is TestCrashStates while segments are reclaimed all the
// time and images are made, with traffic between.
func TestCrashReclaiming(t *testing.T) {
	t.Parallel()
	for _, policy := range []aof.Policy{aof.Always, aof.EverySec} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			c := newCrashRun(policy, seeded(t))
			c.often = weights{reclaim: 250, rotate: 100, restart: 10, epoch: 30}
			c.random = scaled(20, 2)
			require.NoError(t, c.run(scaled(2100, 500)))
			t.Logf("%d operations, %d crash states, %d more of recoveries, %d acknowledgements", c.ops, c.states, c.deep, c.acks)
		})
	}
}
