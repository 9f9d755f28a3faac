package resp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Fact 6: redcon needs 64 MiB of buffer for 64 MiB of small commands. It must not matter how they arrive.
func TestMemoryOverALongStream(t *testing.T) {
	t.Parallel()
	for name, piece := range map[string]int{"segments": 1460, "large reads": 1 << 20, "odd": 4097} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const total = 64 << 20
			lim := DefaultLimits()
			chunk := strings.Repeat(job, piece/len(job)+2)
			var d Decoder
			commands, off := 0, 0
			for sent := 0; sent < total; {
				room := d.Space()
				require.NotEmpty(t, room)
				n := copy(room, chunk[off:off+min(piece, total-sent)])
				d.Fill(n)
				sent += n
				off = sent % len(job)
				for {
					cmd, ok, err := d.Next(&lim)
					if !ok {
						require.NoError(t, err)
						break
					}
					if len(cmd.Args) == 3 {
						commands++
					}
				}
				require.LessOrEqual(t, cap(d.buf), pipelineBuffer)
				require.LessOrEqual(t, cap(d.args), batchArgs)
			}
			require.Equal(t, total/len(job), commands)
		})
	}
}

// The largest command fits within the bound, whether one bulk or many small ones make it large.
func TestBufferBound(t *testing.T) {
	t.Parallel()
	lim := DefaultLimits()
	for name, in := range map[string]string{
		"one bulk":  multibulk("ADDJOB", "q", strings.Repeat("x", int(lim.MaxBulk)), "0", "RETRY", "10"),
		"many args": multibulk(strings.Split(strings.Repeat(strings.Repeat("x", 60)+",", 65_535), ",")...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Less(t, int64(len(in)), lim.MaxCommand)
			f := newFeeder(t, lim).feed(in[:len(in)/2])
			f.feed(in[len(in)/2:] + in + in)
			require.Len(t, f.events, 3)
			for _, e := range f.events {
				require.Equal(t, in, e.Raw)
			}
			require.LessOrEqual(t, f.peak, lim.bufferMost())
		})
	}
}

// A bulk gets its room in a few steps, but 30 bytes of announcement do not get 4 MiB.
func TestBufferFollowsTheAnnouncedBulk(t *testing.T) {
	t.Parallel()
	f := newFeeder(t, DefaultLimits())
	f.feed("*3\r\n$6\r\nADDJOB\r\n$1\r\nq\r\n$4194304\r\n")
	require.Len(t, f.d.buf, minBuffer)
	f.d.Space()
	require.Len(t, f.d.buf, pipelineBuffer)
	var sizes []int
	for rest := strings.Repeat("x", 4<<20) + "\r\n"; rest != ""; {
		n := min(len(rest), 32<<10)
		f.feed(rest[:n])
		rest = rest[n:]
		if len(sizes) == 0 || sizes[len(sizes)-1] != len(f.d.buf) {
			sizes = append(sizes, len(f.d.buf))
		}
	}
	require.Len(t, f.events, 1)
	require.LessOrEqual(t, len(sizes), 4, "sizes: %v", sizes)
	require.Less(t, sizes[len(sizes)-1], 4<<20+2*minBuffer)
}

// A body above the limit is never kept, nor is what comes with it, and what comes after it is intact.
func TestOversizedIsSkippedUnbuffered(t *testing.T) {
	t.Parallel()
	in := multibulk("ADDJOB", "q", strings.Repeat("x", 5<<20), "0", strings.Repeat("y", 3<<20)) + "PING\n"
	want := []event{failed("job of 5242880 bytes exceeds max-job-size 4194304"), said("PING\n", "PING")}
	for _, piece := range []int{13, 1460, 60_000, 1 << 20} {
		f := newFeeder(t, DefaultLimits())
		for rest := in; rest != ""; {
			n := min(piece, len(rest))
			f.feed(rest[:n])
			rest = rest[n:]
			if f.d.Buffered() > 64 {
				require.Fail(t, "more than a header waits", "%d bytes", f.d.Buffered())
			}
		}
		require.Equal(t, want, f.events)
		require.LessOrEqual(t, f.most, pipelineBuffer)
		require.LessOrEqual(t, f.peak, pipelineBuffer)
	}
}

// A command too long as a whole was buffered up to the limit; then it is let go, and Release has something to give.
func TestTooLongCommandIsDropped(t *testing.T) {
	t.Parallel()
	f := newFeeder(t, DefaultLimits())
	x := strings.Repeat("x", 1<<20)
	in := multibulk("A", x, x, x, x, x, x, x, "B")
	f.feed(in[:5<<20])
	require.True(t, f.d.Partial())
	require.Zero(t, f.d.Buffered())
	require.LessOrEqual(t, f.peak, f.lim.bufferMost())
	f.d.Release()
	require.Nil(t, f.d.buf)
	f.feed(in[5<<20:] + "PING\n")
	require.Equal(t, []event{failed(fmt.Sprintf("command of %d bytes exceeds the limit of 5242880", len(in))), said("PING\n", "PING")}, f.events)
}

func TestRelease(t *testing.T) {
	t.Parallel()
	var zero Decoder
	zero.Release()
	require.Zero(t, zero.Buffered())

	f := newFeeder(t, DefaultLimits())
	f.feed("PI")
	f.d.Release()
	require.Equal(t, 2, f.d.Buffered(), "what is buffered stays")
	f.feed("NG\n")
	f.d.Release()
	require.Len(t, f.d.buf, minBuffer, "a small buffer stays")

	for _, more := range []string{"", strings.Repeat("PING\n", 20_000)} {
		f.feed(multibulk("ADDJOB", "q", strings.Repeat("x", 1<<20)) + more)
		require.Greater(t, len(f.d.buf), 1<<20)
		f.d.Release()
		require.Nil(t, f.d.buf)
		require.LessOrEqual(t, cap(f.d.args), idleArgs)
		for _, arg := range f.d.args[:cap(f.d.args)] {
			require.Nil(t, arg, "an old argument keeps the old buffer alive")
		}
	}
	f.feed("PING\n")
	require.Len(t, f.d.buf, minBuffer)
}

// Commands of one batch do not touch each other, nor does what their reader appends to them.
func TestAliasing(t *testing.T) {
	t.Parallel()
	lim := DefaultLimits()
	in := strings.Repeat(multibulk("ADDJOB", "q", "b")+"QLEN 'a b' c\nGETJOB FROM "+strings.Repeat("q ", 40)+"\n", 30)
	var d Decoder
	for len(d.Space()) < len(in) {
		d.full = true
	}
	d.Fill(copy(d.Space(), in))
	var batch []Command
	for {
		cmd, ok, err := d.Next(&lim)
		require.NoError(t, err)
		if !ok {
			break
		}
		batch = append(batch, cmd)
	}
	for _, cmd := range batch {
		_ = append(cmd.Raw, "overwritten"...)
		_ = append(cmd.Args, []byte("overwritten"), []byte("overwritten"))
		for _, arg := range cmd.Args {
			_ = append(arg, "overwritten"...)
		}
	}
	want, _ := reference([]byte(in), &lim)
	require.Len(t, batch, len(want))
	for i, cmd := range batch {
		require.Equal(t, want[i].Raw, string(cmd.Raw))
		require.Len(t, cmd.Args, len(want[i].Args))
		for j, arg := range cmd.Args {
			require.Equal(t, want[i].Args[j], string(arg))
		}
	}
}

// Someone who reads on without taking commands is stopped by the bound, and loses nothing.
func TestSpaceWithoutNext(t *testing.T) {
	t.Parallel()
	f := newFeeder(t, DefaultLimits())
	f.feed("PING\n")
	jobs := strings.Repeat(job, f.lim.bufferMost()/len(job))
	sent := 0
	for room := f.d.Space(); len(room) > 0; room = f.d.Space() {
		n := copy(room, jobs[sent%len(job):])
		f.d.Fill(n)
		sent += n
		require.LessOrEqual(t, f.d.Buffered(), f.lim.bufferMost())
	}
	f.drain()
	require.Len(t, f.events, 1+sent/len(job))
	require.NotEmpty(t, f.d.Space())
}

func TestNextDoesNotAllocate(t *testing.T) {
	lim := DefaultLimits()
	for name, in := range map[string]string{
		"jobs":   strings.Repeat(job, 100),
		"inline": strings.Repeat("GETJOB FROM a b c d e f g h i j k l m n o p q r s t\n", 20),
		"large":  multibulk("ADDJOB", "q", strings.Repeat("x", 1<<20)),
	} {
		var d Decoder
		round := func() {
			for rest := in; rest != ""; {
				n := copy(d.Space(), rest)
				d.Fill(n)
				rest = rest[n:]
				for ok := true; ok; _, ok, _ = d.Next(&lim) {
				}
			}
		}
		for range 20 {
			round()
		}
		require.Zero(t, testing.AllocsPerRun(20, round), name)
	}
}
