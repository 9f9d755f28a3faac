//go:build planted

package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store/planted"
)

// plantedSeeds bounds the seeds in which a fault must be found.
const plantedSeeds = 500

// plantedTime is how long each of them is simulated.
const plantedTime = 3 * time.Minute

// Faults of the product are found, and without them the same seeds pass.
func TestPlanted(t *testing.T) {
	most := uint64(0)
	for _, b := range []planted.Bug{
		planted.AckBeforeSync, planted.GotJobBeforeLog, planted.SkipDirSync, planted.LostWake, planted.DoubleHandOff, planted.ForgetWillQueue,
		planted.NoRetryOfSetAck, planted.OneCopyLess, planted.StaleReplayStart, planted.ClockInStore, planted.DroppedNack, planted.Resurrect,
		planted.HastyDeath, planted.UntoldDeath,
	} {
		t.Run(b.String(), func(t *testing.T) {
			planted.Choose(b)
			defer planted.Choose(planted.None)
			for seed := uint64(1); seed <= plantedSeeds; seed++ {
				r := Run(Options{Seed: seed, Time: plantedTime})
				if r.Failure != nil {
					t.Logf("seed %d: %.150v", seed, r.Failure)
					most = max(most, seed)
					return
				}
			}
			t.Fatalf("%v is not found in %d seeds", b, plantedSeeds)
		})
	}
	for seed := uint64(1); seed <= most; seed++ {
		require.Nil(t, Run(Options{Seed: seed, Time: plantedTime}).Failure, "seed %d without a fault", seed)
	}
	t.Logf("%d seeds pass without a fault", most)
}

// The report of a failure names what leads to it.
func TestExplain(t *testing.T) {
	planted.Choose(planted.OneCopyLess)
	defer planted.Choose(planted.None)
	for seed := uint64(1); seed < 20; seed++ {
		o := Options{Seed: seed, Time: plantedTime}
		if Run(o).Failure == nil {
			continue
		}
		var b strings.Builder
		Explain(&b, o, 20*time.Second)
		text := b.String()
		t.Log(text)
		require.Regexp(t, `seed \d+, commit \w+.*: copies after `, text)
		require.Regexp(t, `\n[1-5] of \d+ steps:\n`, text)
		require.Contains(t, text, "ADDJOB")
		require.Contains(t, text, "go test ./server/sim -run TestSeed ")
		return
	}
	t.Fatal("nothing to explain")
}
