package aof_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// TestFullDisk fills a disk again and again, and crashes at every operation.
// What adds is refused, what frees goes on, and nothing is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := newCrashRun(aof.Always, seeded(t))
	c.random, c.sizes.oneIn, c.opts.SegmentSize = scaled(20, 1), 0, 16<<10
	c.fs.SetCapacity(5 * c.opts.SegmentSize)
	require.NoError(t, c.open())
	for range scaled(6, 2) {
		err := fill(c.owner)
		var full *aof.FullError
		require.ErrorAs(t, err, &full)
		require.NoError(t, c.err)
		require.NoError(t, c.log.Err())
		require.NotNil(t, c.log.Full())

		c.class, c.sizes = aof.Urgent, sizing{}
		for key := range c.keys - 3 {
			require.NoError(t, c.remove(key))
		}
		require.NoError(t, c.reclaim(9))
		c.class, c.sizes = aof.Ordinary, sizing{least: 20, most: 250}
		c.log.Tick()
		require.Nil(t, c.log.Full())
		require.NoError(t, c.append(c.put(1)))
		require.NoError(t, c.commit(c.log.End()))
		require.NoError(t, c.err)
	}
	t.Logf("%d operations, %d crash states, %d more of recoveries", c.ops, c.states, c.deep)
}

// fill appends until that fails.
func fill(w *owner) error {
	for {
		if err := w.traffic(); err != nil {
			return err
		}
	}
}

// remove deletes a key on a full disk. When even what frees space finds none,
// the oldest segment is reclaimed.
func (w *owner) remove(key uint16) error {
	for range 5 {
		err := w.append(w.next(key, 0))
		if full := (*aof.FullError)(nil); !errors.As(err, &full) && !errors.Is(err, aof.ErrBusy) {
			return err
		}
		if err := w.reclaim(1); err != nil {
			return err
		}
	}
	return errors.New("reclaiming five segments made no room")
}

// TestOpenOnFullDisk opens a log on a full disk: it goes on in the spare that is
// there, or in the head.
func TestOpenOnFullDisk(t *testing.T) {
	t.Parallel()
	var full *aof.FullError
	c := newCrashRun(aof.Always, seeded(t))
	c.random, c.sizes.oneIn = 1, 0
	c.fs.SetCapacity(4 * c.opts.SegmentSize)
	require.NoError(t, c.open())
	require.ErrorAs(t, fill(c.owner), &full)
	c.fs.SetCapacity(c.fs.Used())
	c.log.Abandon()
	require.NoError(t, c.open())
	require.ErrorAs(t, fill(c.owner), &full)
	require.NoError(t, c.err)

	c = newCrashRun(aof.Always, seeded(t))
	c.random, c.sizes.oneIn = 1, 0
	c.fs.SetCapacity(c.opts.SegmentSize + c.opts.SegmentSize/2)
	require.NoError(t, c.open())
	require.ErrorAs(t, fill(c.owner), &full)
	c.fs.SetCapacity(c.fs.Used())
	for range 3 {
		c.log.Abandon()
		require.NoError(t, c.open(), "it goes on in the segment that it has")
		require.ErrorAs(t, fill(c.owner), &full)
	}
	c.fs.SetCapacity(0)
	c.log.Tick()
	require.NoError(t, c.traffic())
	require.NoError(t, c.err)
}
