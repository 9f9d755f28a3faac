package replication

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// standing is a clock that does not move.
func standing() int64 { return 1 }

type noWait struct{}

func (*noWait) Wait() error { return nil }

func TestOutboxAllocatesNothing(t *testing.T) {
	o := newOutbox(1<<30, standing)
	done := make(chan struct{})
	go func() { defer close(done); o.commit() }()
	frames, wait := text(10, string(make([]byte, 200))), &noWait{}
	turn := func() {
		for range 10 {
			o.post(frames, wait)
			o.post(frames, nil)
		}
		for left := 21 * len(frames); left > 0; {
			out, _ := o.take()
			if left == 21*len(frames) {
				o.post(frames, nil) // while the writer writes
			}
			for !out.empty() {
				left -= len(out.head())
				o.sent(&out)
			}
		}
	}
	turn()
	require.Zero(t, testing.AllocsPerRun(1000, turn))
	require.Zero(t, o.size())
	o.fail(errNoPeer)
	<-done
}

// What is posted comes out byte for byte, in as few writes as chunks allow.
func TestLaneIsAStream(t *testing.T) {
	t.Parallel()
	o := newOutbox(1<<30, standing)
	var want, got []byte
	frames := int64(0)
	for i, size := range []int{0, 1, 100, 64<<10 - 24 - FrameOverhead, 64 << 10, 5, 500_000, 7, 64<<10 - 24, 3} {
		b := append(someFrame(byte(10+i), size), someFrame(byte(50+i), 1)...)
		want = append(want, b...)
		require.True(t, o.post(b, nil))
		frames += 2
	}
	out, ok := o.take()
	require.True(t, ok)
	require.Equal(t, frames, out.frames)
	writes := 0
	for !out.empty() {
		got = append(got, out.head()...)
		o.sent(&out)
		writes++
	}
	require.Equal(t, want, got)
	require.Equal(t, len(want)/(64<<10-24)+1, writes)
	require.Zero(t, o.size())
	require.False(t, o.flying)
}

// A free frame and a marked one that is ready leave in one write, the free one
// first.
func TestLanesLeaveTogether(t *testing.T) {
	t.Parallel()
	o := newOutbox(1<<30, standing)
	free, marked := text(10, "free"), text(11, "marked")
	o.lanes[laneReady].add(marked, standing)
	o.bytes += int64(len(marked))
	require.True(t, o.post(free, nil))
	out, ok := o.take()
	require.True(t, ok)
	require.Equal(t, string(free)+string(marked), string(out.head()))
	require.EqualValues(t, 2, out.frames)
	o.sent(&out)
	require.True(t, out.empty())
	require.Equal(t, lane{frames: 2}, out)
	require.Zero(t, o.size())
}

// The first reason stays, and nothing is taken or kept after it.
func TestOutboxFailsOnce(t *testing.T) {
	t.Parallel()
	o := newOutbox(100, standing)
	require.True(t, o.post(make([]byte, 60), nil))
	require.False(t, o.post(make([]byte, 60), nil))
	o.fail(fmt.Errorf("later"))
	require.False(t, o.post(make([]byte, 1), nil))
	require.False(t, o.ping(make([]byte, 1)))
	require.False(t, o.hasRoom())
	_, ok := o.take()
	require.False(t, ok)
	o.commit()
	require.ErrorIs(t, o.await(), errOverflow)
	require.EqualError(t, o.await(), "too much waits to be sent: 60 bytes and 60 more")
}
