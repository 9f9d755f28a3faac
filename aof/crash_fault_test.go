package aof_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// script is the life of a log: traffic, reclamation, restarts, an image, the
// end. It stops at the first error.
func (w *owner) script() error {
	some := func() error {
		for range 12 {
			if err := w.traffic(); err != nil {
				return err
			}
		}
		return w.commit(w.log.End())
	}
	for _, do := range []func() error{
		w.open, some, w.rotate, some, func() error { return w.reclaim(9) }, some, w.close, w.open, some, w.close,
		w.begin, some, w.rotate, some, func() error { return w.reclaim(1) }, w.close, w.open, some, w.switchOff, some, w.close,
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// TestFailingOperations fails each operation of a script in each way. A log that
// failed says so, acknowledges nothing more, and gives everything that it
// acknowledged before to the next process, also after a power loss.
func TestFailingOperations(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(op memfs.Op) error{
		"EIO":             func(memfs.Op) error { return syscall.EIO },
		"ENOSPC":          func(memfs.Op) error { return syscall.ENOSPC },
		"short":           func(op memfs.Op) error { return half(op, nil) },
		"short, with EIO": func(op memfs.Op) error { return half(op, syscall.EIO) },
	} {
		for _, policy := range []aof.Policy{aof.Always, aof.EverySec} {
			t.Run(fmt.Sprint(name, " ", policy), func(t *testing.T) {
				t.Parallel()
				s, runs, fatal, full := seeded(t), 0, 0, 0
				for k := 1; ; k += scaled(1, 3) {
					f := newDoomed(t, k, policy, s, fault)
					if !f.run() {
						break
					}
					runs++
					if f.full {
						full++
					} else if f.failed {
						fatal++
					}
				}
				require.NotZero(t, runs)
				t.Logf("%d operations failed: fatal %d, full disk %d, the rest harmless", runs, fatal, full)
			})
		}
	}
}

// half writes half of a write, and does all else.
func half(op memfs.Op, err error) error {
	if op.Kind != memfs.Write {
		return nil
	}
	return &memfs.ShortWrite{N: int(op.Len / 2), Err: err}
}

// doomed is a script whose k-th operation fails.
type doomed struct {
	*owner
	t            *testing.T
	k, ops       int
	full, failed bool
	failures     int // calls of OnFail
}

// newDoomed returns one that has not begun.
func newDoomed(t *testing.T, k int, policy aof.Policy, seed uint64, fault func(memfs.Op) error) *doomed {
	f := &doomed{t: t, k: k, owner: newOwner(aof.Options{SegmentSize: 8 << 10, Policy: policy}, rand.New(rand.NewPCG(seed, 13)))}
	f.opts.OnFail = func(error) { f.failures++ }
	f.on(memfs.New())
	f.hook = func(op memfs.Op) error {
		if f.ops++; f.ops == k {
			return fault(op)
		}
		return nil
	}
	f.fs.OnOp(f.hook)
	return f
}

// run runs the script, and returns false if it has fewer operations than k.
func (f *doomed) run() bool {
	if err := f.script(); err != nil {
		f.check(err)
	}
	require.NoError(f.t, f.verify(), "operation %d", f.k)
	return f.ops >= f.k
}

// check looks at a log after an operation failed with err.
func (f *doomed) check(err error) {
	var full *aof.FullError
	if f.full = errors.As(err, &full); f.full {
		require.NotEmpty(f.t, full.Path)
		require.Positive(f.t, full.Need)
		require.ErrorIs(f.t, err, syscall.ENOSPC)
		f.checkFull()
		return
	}
	f.failed = true
	if f.log == nil { // it could not be opened
		return
	}
	pos := f.log.Append([]byte("lost"), []int{4}, 0)
	if closed := f.log.Commit(pos); !errors.Is(closed, aof.ErrClosed) { // Off that could not remove a file
		require.Error(f.t, f.log.Err(), "operation %d: %v", f.k, err)
		require.Equal(f.t, 1, f.failures)
	}
	require.Error(f.t, f.log.Commit(pos), "operation %d: %v", f.k, err)
	require.Error(f.t, f.log.Sync(pos))
	require.Error(f.t, f.log.Reserve(10, aof.Urgent, 0))
	require.Error(f.t, f.log.Drop(f.log.Head()))
	require.Error(f.t, f.log.Rotate())
	f.log.Tick()
	require.Error(f.t, f.log.Commit(pos))
	f.log.Abandon()
}

// checkFull goes on after the disk was full for a moment.
func (f *doomed) checkFull() {
	if f.log == nil {
		return
	}
	require.NoError(f.t, f.log.Err(), "a full disk is not fatal")
	f.class = aof.Urgent
	require.NoError(f.t, f.append(f.put(1)))
	require.NoError(f.t, f.sync(f.log.End()))
	f.class = aof.Ordinary
	f.log.Tick()
	require.Nil(f.t, f.log.Full())
	require.NoError(f.t, f.append(f.put(2)))
	require.NoError(f.t, f.sync(f.log.End()))
}

// verify says what is missing of what was acknowledged, after a power loss and
// after a kill, and whether the log works again, also if the power is lost then:
// what a sync failed to write was never on the disk.
func (f *doomed) verify() error {
	f.fs.OnOp(nil)
	next, err := f.survives()
	if err != nil {
		return err
	}
	f.on(next)
	durable := func() error { return f.sync(f.log.End()) }
	again := func() (err error) { _, err = f.survives(); return err }
	for _, do := range []func() error{f.open, f.traffic, durable, again} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// survives says what is missing after a power loss and after a kill, and returns
// what the latter leaves.
func (f *doomed) survives() (next *memfs.FS, err error) {
	states := []*memfs.FS{f.fs.CrashNone(), f.fs.CrashRandom(f.rng), f.fs.CrashRandom(f.rng), f.fs.Kill()}
	for i, fs := range states {
		list, err := f.recover(fs)
		if err != nil {
			return nil, err
		}
		if err := f.oracle.judge(list, i == 3); err != nil {
			return nil, err
		}
	}
	return states[3], nil
}
