package aof_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// TestCrashes takes the power away before each operation of a short life of a
// log, with segments filled, dropped, closed, opened again, replaced by a new
// epoch and switched off. What was acknowledged is there, in order, and what is
// there was appended; the log can be opened, also after a second crash while it
// is.
func TestCrashes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		for _, p := range []aof.Policy{aof.Always, aof.EverySec} {
			c := &crasher{t: t, fs: memfs.New(), rng: rand.New(rand.NewPCG(seed, 1)), policy: p, from: 1}
			c.run()
			t.Logf("seed %d, %s: %d states", seed, p, c.states)
		}
	}
}

// crasher runs the script. Records are numbered; acked is the last one that is
// durable, sent the last appended, and none before from is needed.
type crasher struct {
	t      *testing.T
	fs     *memfs.FS
	rng    *rand.Rand
	policy aof.Policy
	states int

	from, acked, sent int
	begun             int // the first record of an epoch that is not complete, 0 if none
	off               bool
}

func (c *crasher) options(fs aof.FS) aof.Options {
	return aof.Options{FS: fs, Dir: "log", SegmentSize: 4096, Manual: true, Policy: c.policy, Now: func() int64 { return 1 }}
}

func (c *crasher) run() {
	c.fs.OnOp(func(op memfs.Op) error { c.crash(op); return nil })
	for range 3 {
		l, _, err := aof.Open(c.options(c.fs), nil)
		require.NoError(c.t, err)
		c.work(l, 25)
		require.NoError(c.t, l.Rotate())
		keep := c.sent + 1
		c.work(l, 5)
		require.NoError(c.t, l.Sync(l.End()))
		c.from = keep
		require.NoError(c.t, l.Drop(l.Head()))
		c.acked = c.sent
		if c.rng.IntN(2) == 0 {
			require.NoError(c.t, l.Close())
		}
		l.Abandon()
	}
	l, err := aof.Begin(c.options(c.fs))
	require.NoError(c.t, err)
	c.begun = c.sent + 1
	c.work(l, 25)
	require.NoError(c.t, l.Image())
	c.from, c.acked, c.begun = c.begun, c.sent, 0
	c.work(l, 5)
	c.off = true
	require.NoError(c.t, l.Off())
	c.from, c.off = c.sent+1, false
	l, _, err = aof.Open(c.options(c.fs), nil)
	require.NoError(c.t, err)
	c.work(l, 5)
	require.NoError(c.t, l.Close())
}

// work appends n records, of which some are committed.
func (c *crasher) work(l *aof.Log, n int) {
	for range n {
		c.sent++
		rec := fmt.Sprintf("%d %0*d", c.sent, c.rng.IntN(400)+1, 0)
		pos := l.Append([]byte(rec), []int{len(rec)}, 0)
		switch c.rng.IntN(4) {
		case 0:
			require.NoError(c.t, l.Sync(pos))
		case 1:
			require.NoError(c.t, l.Commit(pos))
			if c.policy != aof.Always {
				continue
			}
		default:
			continue
		}
		if c.begun == 0 {
			c.acked = c.sent
		}
	}
}

func (c *crasher) crash(op memfs.Op) {
	for i := range 6 {
		var fs *memfs.FS
		switch i {
		case 0:
			fs = c.fs.CrashNone()
		case 1:
			fs = c.fs.CrashAll()
		default:
			fs = c.fs.CrashRandom(c.rng)
		}
		c.states++
		c.check(fs, op, i)
	}
}

// check opens what a crash left, crashes once more meanwhile, and looks at what
// is there.
func (c *crasher) check(fs *memfs.FS, op memfs.Op, i int) {
	at, n := c.rng.IntN(25)+1, 0
	var again *memfs.FS
	fs.OnOp(func(memfs.Op) error {
		if n++; n == at {
			again = fs.CrashRandom(c.rng)
		}
		return nil
	})
	c.load(fs, op, i)
	if again != nil {
		c.load(again, op, -i)
	}
}

func (c *crasher) load(fs *memfs.FS, op memfs.Op, i int) {
	var got []string
	l, _, err := aof.Open(c.options(fs), collect(&got))
	require.NoError(c.t, err, "crash %d before %v", i, op)
	l.Append([]byte("on"), []int{2}, 0)
	require.NoError(c.t, l.Sync(l.End()))
	l.Abandon()

	next, seen, image := 0, 0, false
	for _, rec := range got {
		if rec == "on" {
			continue
		}
		var k int
		_, err := fmt.Sscanf(rec, "%d", &k)
		require.NoError(c.t, err)
		if next > 0 {
			require.Equal(c.t, next, k, "a record is missing: crash %d before %v", i, op)
		} else if c.begun > 0 && k >= c.begun { // the image was complete, if not yet known to be
			require.Equal(c.t, c.begun, k, "crash %d before %v", i, op)
			image = true
		} else if c.acked >= c.from && !c.off {
			require.LessOrEqual(c.t, k, c.from, "crash %d before %v", i, op)
		}
		next, seen = k+1, k
	}
	if image {
		require.Equal(c.t, c.sent, seen, "of a complete image nothing may be missing")
	}
	if !c.off && c.acked >= c.from {
		require.GreaterOrEqual(c.t, seen, c.acked, "a record was lost: crash %d before %v", i, op)
	}
	require.LessOrEqual(c.t, seen, c.sent)
}
