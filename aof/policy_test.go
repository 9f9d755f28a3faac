package aof_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// TestProof follows what the end of a log proves, of which nothing but what was
// synced is left.
func TestProof(t *testing.T) {
	t.Parallel()
	c := newCrashRun(aof.Always, 1)
	o := c.opts
	at := func(p aof.Policy) (*aof.Log, *aof.Report) {
		o.Policy = p
		l, r, err := aof.Open(o, nil)
		require.NoError(t, err)
		return l, r
	}
	crash := func(l *aof.Log) {
		l.Abandon()
		c.fs = c.fs.CrashNone()
		o.FS = c.fs
	}
	o.FS = c.fs
	l, r := at(aof.Always)
	require.True(t, r.Empty)
	crash(l)
	l, r = at(aof.No)
	require.True(t, r.Always)
	crash(l)
	l, r = at(aof.Always)
	require.False(t, r.Always, "the weaker policy began durably")
	require.NoError(t, l.Close())
	l, r = at(aof.Always)
	require.False(t, r.Always || r.Clean, "nobody said Trust before the close")
	l.Trust()
	require.NoError(t, l.Close())
	l, r = at(aof.EverySec)
	require.True(t, r.Clean)
	crash(l)
	l, r = at(aof.Always)
	require.False(t, r.Clean || r.Always, "it was gone on with")
	l.Trust()
	commit(t, l, "a record")
	crash(l)
	l, r = at(aof.Always)
	require.True(t, r.Always)
	require.NoError(t, l.SetPolicy(aof.EverySec))
	crash(l)
	l, r = at(aof.Always)
	require.False(t, r.Always)
	l.Trust()
	require.NoError(t, l.SetPolicy(aof.No))
	require.NoError(t, l.SetPolicy(aof.Always))
	commit(t, l, "a record")
	crash(l)
	l, r = at(aof.Always)
	require.True(t, r.Always)
	l.Abandon()
}

// Numbers that the owner remembers are not used again, and it is told when it
// is worth to look for segments that can go.
func TestAboveAndOnSpace(t *testing.T) {
	t.Parallel()
	o := options(t)
	var looks atomic.Int32
	o.Manual, o.Above, o.SegmentSize = true, 41, 16<<10
	o.OnSpace = func() { looks.Add(1) }
	l, err := aof.Begin(o)
	require.NoError(t, err)
	require.EqualValues(t, 42, l.Start())
	require.NoError(t, l.Image())
	commit(t, l, names("a", 5)...)
	require.Zero(t, looks.Load())
	commit(t, l, string(make([]byte, 4000)))
	require.EqualValues(t, 1, looks.Load(), "a quarter is used")
	require.NoError(t, l.Rotate())
	require.EqualValues(t, 2, looks.Load(), "sealed")
	require.NoError(t, l.Off())
	l, err = aof.Begin(o)
	require.NoError(t, err)
	require.EqualValues(t, 42, l.Start(), "the directory is empty again")
	l.Abandon()
}
