//go:build planted

package aof_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/store/planted"
)

// plant builds a fault in until the test ends. No other test may run meanwhile.
func plant(t *testing.T, b planted.Bug) {
	planted.Choose(b)
	t.Cleanup(func() { planted.Choose(planted.None) })
}

func TestPlantedFaults(t *testing.T) {
	o := options(t)
	fs := &faulty{FS: aof.OS()}
	o.FS, o.Manual = fs, true
	plant(t, planted.IgnoreShortWrite)
	l, _, _ := open(t, o)
	l.Tick() // makes the spare
	fs.short.Store(true)
	require.NoError(t, l.Commit(put(t, l, "half of this is lost")), "the fault is there")
	l.Abandon()

	o = options(t)
	fs = &faulty{FS: aof.OS()}
	o.FS, o.Manual = fs, true
	plant(t, planted.AckBeforeSync)
	l, _, _ = open(t, o)
	l.Tick()
	fs.sync.Store(true)
	require.NoError(t, l.Commit(put(t, l, "not synced")), "the fault is there")
}

// TestCrashFindsPlantedFaults shows that the tests of crash states can fail.
func TestCrashFindsPlantedFaults(t *testing.T) {
	for _, b := range []planted.Bug{planted.AckBeforeSync, planted.UnlinkEarly, planted.SkipDirSync} {
		t.Run(b.String(), func(t *testing.T) {
			plant(t, b)
			for try := uint64(1); try <= 20; try++ {
				c := newCrashRun(aof.Always, try)
				c.random = 4
				err := c.run(1000)
				if err == nil {
					continue
				}
				require.True(t, errors.Is(err, errLost) || errors.Is(err, errRecovery), "%v", err)
				t.Logf("seed %d, %d operations: %v", try, c.ops, err)
				return
			}
			t.Fatal("not found")
		})
	}
}

// TestShortWriteIsFound shows that the tests of faults can fail.
func TestShortWriteIsFound(t *testing.T) {
	plant(t, planted.IgnoreShortWrite)
	for k := 1; k < 500; k++ {
		f := newDoomed(t, k, aof.Always, 1, func(op memfs.Op) error { return half(op, nil) })
		if f.script() != nil {
			continue
		}
		if err := f.verify(); err != nil {
			require.True(t, errors.Is(err, errLost) || errors.Is(err, errRecovery), "%v", err)
			t.Logf("operation %d: %v", k, err)
			return
		}
	}
	t.Fatal("not found")
}
