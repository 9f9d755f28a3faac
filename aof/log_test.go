package aof_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// How long tests wait for what goroutines do, and how often they look.
const (
	waiting = 10 * time.Second
	tick    = time.Millisecond
)

// options are those of most tests: small segments in a directory of their own.
func options(t testing.TB) aof.Options {
	return aof.Options{Dir: filepath.Join(t.TempDir(), "log"), SegmentSize: 4096}
}

// put appends one record, as a caller with a reservation does.
func put(t testing.TB, l *aof.Log, rec string) aof.Pos {
	t.Helper()
	at, err := tryPut(l, rec)
	require.NoError(t, err)
	return at
}

// tryPut is put for a log that may have no room, or have failed.
func tryPut(l *aof.Log, rec string) (aof.Pos, error) {
	n := len(rec) + aof.RecordOverhead
	if err := l.Reserve(n, aof.Ordinary, time.Minute); err != nil {
		return 0, err
	}
	return l.Append([]byte(rec), []int{len(rec)}, n), nil
}

// commit appends and commits records.
func commit(t testing.TB, l *aof.Log, recs ...string) {
	t.Helper()
	for _, rec := range recs {
		require.NoError(t, l.Commit(put(t, l, rec)))
	}
}

// collect returns a visitor that copies the records to dst.
func collect(dst *[]string) func(*aof.Batch) error {
	return func(b *aof.Batch) error {
		for rec := range b.Records {
			*dst = append(*dst, string(rec))
		}
		return nil
	}
}

// open opens a log and returns it with what it held.
func open(t testing.TB, o aof.Options) (*aof.Log, *aof.Report, []string) {
	t.Helper()
	var got []string
	l, r, err := aof.Open(o, collect(&got))
	require.NoError(t, err)
	t.Cleanup(l.Abandon)
	return l, r, got
}

// scan reads a log.
func scan(t testing.TB, dir string) (*aof.Report, []string) {
	t.Helper()
	var got []string
	r, err := aof.Scan(aof.OS(), dir, collect(&got))
	require.NoError(t, err)
	return r, got
}

// names returns n different records of some 200 bytes.
func names(prefix string, n int) []string {
	recs := make([]string, n)
	for i := range recs {
		recs[i] = fmt.Sprintf("%s %d %0*d", prefix, i, 100+i*37%150, i)
	}
	return recs
}

// files returns the names of the segments in a directory.
func files(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.aof"))
	require.NoError(t, err)
	for i, p := range paths {
		paths[i] = filepath.Base(p)
	}
	return paths
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, p := range []aof.Policy{aof.Always, aof.EverySec, aof.No} {
		o := options(t)
		o.Policy = p
		l, r, got := open(t, o)
		require.True(t, r.Empty)
		require.Empty(t, got)
		commit(t, l, "one", "", "three")
		pos := l.Append([]byte("foursix"), []int{4, 4, 7}, 0)
		require.Equal(t, l.End(), pos)
		require.Equal(t, aof.Pos(15+6*aof.RecordOverhead), pos)
		require.NoError(t, l.Sync(pos))
		require.NoError(t, l.Close())
		require.NoError(t, l.Close(), "again")
		require.ErrorIs(t, l.Commit(pos+1), aof.ErrClosed)
		require.NoError(t, l.Commit(pos), "what is durable stays so")
		require.NoError(t, l.Err())

		r, got = scan(t, o.Dir)
		require.Equal(t, []string{"one", "", "three", "four", "", "six"}, got)
		require.True(t, r.Clean)
		require.Equal(t, p == aof.Always, r.Always)
		require.Equal(t, 6, r.Records)
		require.Empty(t, r.Stale)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	o := options(t)
	var want []string
	for i := range 30 {
		l, r, got := open(t, o)
		require.Equal(t, want, got)
		require.Equal(t, i > 0 && i%3 == 0, r.Clean, "opening %d", i)
		require.Nil(t, r.Torn)
		more := names(fmt.Sprint("run ", i), i)
		commit(t, l, more...)
		want = append(want, more...)
		if i%3 == 2 {
			require.NoError(t, l.Close())
		}
		l.Abandon()
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for _, manual := range []bool{false, true} {
		o := options(t)
		o.Manual = manual
		l, _, _ := open(t, o)
		want := names("r", 200)
		commit(t, l, want...)
		require.Greater(t, l.Head(), uint32(8))
		require.Equal(t, uint32(1), l.First())
		require.Equal(t, uint32(1), l.Start())
		require.Len(t, l.Sealed(), int(l.Head())-1)
		s := l.Sizes()
		require.LessOrEqual(t, s.Sealed, int64(4096*(l.Head()-1)))
		require.Greater(t, s.Used, int64(200*100))
		require.Zero(t, s.Buffered)
		require.NoError(t, l.Close())
		r, got := scan(t, o.Dir)
		require.Equal(t, want, got)
		require.GreaterOrEqual(t, len(r.Segments), int(l.Head()))
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	l, _, _ := open(t, options(t))
	require.NoError(t, l.Rotate())
	require.Equal(t, uint32(2), l.Head(), "the first batch of a log is one")
	require.NoError(t, l.Rotate())
	require.Equal(t, uint32(2), l.Head(), "nothing to seal")
	put(t, l, "x")
	require.NoError(t, l.Rotate())
	require.Equal(t, uint32(3), l.Head())
}

func TestLargeRecords(t *testing.T) {
	t.Parallel()
	for _, manual := range []bool{false, true} {
		o := options(t)
		o.Manual = manual
		l, _, _ := open(t, o)
		var want []string
		for _, size := range []int{1, 1000, 4096, 100_000, 5, 1 << 20, 3} {
			rec := string(make([]byte, size-1)) + "x"
			want = append(want, rec)
			commit(t, l, rec)
		}
		// Beyond the reservation.
		rec := make([]byte, 50_000)
		require.NoError(t, l.Commit(l.Append(rec, []int{len(rec)}, 0)))
		want = append(want, string(rec))
		require.ErrorIs(t, l.Reserve(aof.MaxReserve+1, aof.Urgent, 0), aof.ErrTooLarge)
		require.NoError(t, l.Close())
		_, got := scan(t, o.Dir)
		require.Equal(t, want, got)
	}
}

func TestManyCommit(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.SegmentSize = 64 << 10
	l, _, _ := open(t, o)
	const clients, each = 32, 100
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				rec := fmt.Sprintf("%d/%d %0*d", c, i, rand.IntN(300)+1, 0)
				pos := put(t, l, rec)
				if i%7 == 0 {
					l.SetPolicy(aof.Policy(rand.IntN(3)))
				}
				if i%5 == 0 {
					if l.Sync(pos) != nil {
						t.Error("sync failed")
					}
				} else if l.Commit(pos) != nil {
					t.Error("commit failed")
				}
			}
		})
	}
	wg.Wait()
	l.Abandon()
	_, got := scan(t, o.Dir)
	require.Len(t, got, clients*each)
	next := map[string]int{}
	for _, rec := range got {
		var c, i int
		_, err := fmt.Sscanf(rec, "%d/%d", &c, &i)
		require.NoError(t, err)
		require.Equal(t, next[fmt.Sprint(c)], i, "the records of a client are in order")
		next[fmt.Sprint(c)]++
	}
}

func TestLazyWriteAndSync(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Policy = aof.EverySec
	l, _, _ := open(t, o)
	for range 3 {
		syncs := l.Sizes().Syncs
		put(t, l, "nobody waits for this")
		require.Eventually(t, func() bool { s := l.Sizes(); return s.Buffered == 0 && s.Syncs > syncs }, waiting, tick)
	}
}

func TestDrop(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	commit(t, l, names("old", 60)...)
	at := l.Head()
	require.NoError(t, l.Rotate())
	commit(t, l, "kept")
	require.NoError(t, l.Drop(0))
	require.Equal(t, uint32(1), l.First())
	require.NoError(t, l.Drop(at+100), "the head stays")
	require.Equal(t, l.Head(), l.First())
	require.Empty(t, l.Sealed())
	l.Abandon()
	require.LessOrEqual(t, len(files(t, o.Dir)), 3)
	r, got := scan(t, o.Dir)
	require.Equal(t, []string{"kept"}, got)
	require.Equal(t, at+1, r.Segments[0].Number)
}

func TestForgottenSegmentsAreStale(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	commit(t, l, "forgotten")
	require.NoError(t, l.Rotate())
	raw, err := os.ReadFile(filepath.Join(o.Dir, "0000000001.aof"))
	require.NoError(t, err)
	require.NoError(t, l.Drop(2))
	l.Abandon()
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "0000000001.aof"), raw, 0o600))
	r, got := scan(t, o.Dir)
	require.Empty(t, got)
	require.Equal(t, []string{"0000000001.aof"}, r.Stale)
	open(t, o)
	require.NotContains(t, files(t, o.Dir), "0000000001.aof")
}

func TestBeginImage(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	commit(t, l, names("old", 40)...)
	require.NoError(t, l.Close())
	_, old := scan(t, o.Dir)

	for _, complete := range []bool{false, true} {
		b, err := aof.Begin(o)
		require.NoError(t, err)
		require.Equal(t, b.First(), b.Start())
		require.Greater(t, b.Start(), uint32(1))
		commit(t, b, names("new", 40)...)
		require.NoError(t, b.Drop(b.Head()), "does nothing before Image")
		require.Equal(t, b.Start(), b.First())
		_, got := scan(t, o.Dir)
		require.Equal(t, old, got)
		if complete {
			require.NoError(t, b.Image())
			_, got = scan(t, o.Dir)
			require.Equal(t, names("new", 40), got)
			commit(t, b, "more")
		}
		b.Abandon()
	}
	l, r, got := open(t, o)
	require.Equal(t, append(names("new", 40), "more"), got)
	require.Equal(t, uint64(3), r.Epoch)
	require.NoError(t, l.Close())
}

func TestBeginWithoutImageIsNoLog(t *testing.T) {
	t.Parallel()
	o := options(t)
	for range 3 {
		b, err := aof.Begin(o)
		require.NoError(t, err)
		commit(t, b, names("lost", 40)...)
		b.Abandon()
	}
	r, got := scan(t, o.Dir)
	require.True(t, r.Empty)
	require.Empty(t, got)
	l, _, got := open(t, o)
	require.Empty(t, got)
	commit(t, l, "there")
	l.Abandon()
	_, got = scan(t, o.Dir)
	require.Equal(t, []string{"there"}, got)
}

func TestSealedImageThatWasNotCompletedLeavesNothing(t *testing.T) {
	t.Parallel()
	o := options(t)
	b, err := aof.Begin(o)
	require.NoError(t, err)
	commit(t, b, "lost")
	require.NoError(t, b.Rotate())
	b.Abandon()
	l, _, got := open(t, o)
	require.Empty(t, got)
	require.Empty(t, l.Sealed(), "they were removed")
	require.Zero(t, l.Sizes().Sealed)
}

func TestOff(t *testing.T) {
	t.Parallel()
	for _, begin := range []bool{false, true} {
		o := options(t)
		l, _, _ := open(t, o)
		commit(t, l, names("x", 40)...)
		if begin {
			l.Abandon()
			var err error
			l, err = aof.Begin(o)
			require.NoError(t, err)
		}
		put(t, l, "buffered")
		require.NoError(t, l.Off())
		require.Empty(t, files(t, o.Dir))
		r, _ := scan(t, o.Dir)
		require.True(t, r.Empty)
	}
}

func TestLock(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	_, _, err := aof.Open(o, nil)
	require.ErrorIs(t, err, aof.ErrLocked)
	_, err = aof.Begin(o)
	require.ErrorIs(t, err, aof.ErrLocked)
	l.Abandon()
	open(t, o)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []aof.Options{{}, {Dir: "x", SegmentSize: 1}, {Dir: "x", SegmentSize: 2 << 30}, {Dir: "x", Policy: 9}} {
		_, _, err := aof.Open(o, nil)
		require.ErrorContains(t, err, "aof: ")
		_, err = aof.Begin(o)
		require.ErrorContains(t, err, "aof: ")
	}
	for _, p := range []aof.Policy{aof.Always, aof.EverySec, aof.No} {
		got, ok := aof.ParsePolicy(p.String())
		require.True(t, ok)
		require.Equal(t, p, got)
	}
	_, ok := aof.ParsePolicy("sometimes")
	require.False(t, ok)
}

func TestManualReserve(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Manual = true
	l, _, _ := open(t, o)
	require.NoError(t, l.Reserve(512, aof.Ordinary, 0))
	require.ErrorIs(t, l.Reserve(1, aof.Urgent, 0), aof.ErrBusy)
	l.Unreserve(500)
	require.NoError(t, l.Reserve(500, aof.Ordinary, 0))
	l.Append(make([]byte, 100), []int{100}, 512)
	require.Zero(t, l.Sizes().Syncs-1, "nothing is written yet but the first batch")
	l.Tick()
	require.Zero(t, l.Sizes().Buffered)
}

func TestReserveWaits(t *testing.T) {
	t.Parallel()
	l, _, _ := open(t, options(t))
	require.NoError(t, l.Reserve(1000, aof.Ordinary, 0))
	require.ErrorIs(t, l.Reserve(1000, aof.Ordinary, time.Nanosecond), aof.ErrBusy)
	got := make(chan error, 2)
	go func() { got <- l.Reserve(10_000, aof.Ordinary, 0) }() // larger than the buffer
	go func() { got <- l.Reserve(1000, aof.Urgent, 0) }()
	l.Unreserve(1000)
	// One of them is first; the other follows when that one gives back.
	require.NoError(t, <-got)
	s := l.Sizes()
	l.Unreserve(int(s.Buffered))
	require.NoError(t, <-got)
}
