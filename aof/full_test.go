package aof_test

import (
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// faulty is a file system whose operations fail on demand.
type faulty struct {
	aof.FS
	full  atomic.Bool // Allocate fails with ENOSPC
	write atomic.Bool // WriteAt writes half and fails
	short atomic.Bool // WriteAt writes half and says nothing
	sync  atomic.Bool // Sync fails with EIO
	dir   atomic.Bool // SyncDir fails with EIO
}

type faultyFile struct {
	aof.File
	fs *faulty
}

func (f *faulty) Create(path string) (aof.File, error) {
	file, err := f.FS.Create(path)
	return faultyFile{file, f}, err
}

func (f *faulty) SyncDir(dir string) error {
	if f.dir.Load() {
		return syscall.EIO
	}
	return f.FS.SyncDir(dir)
}

func (f faultyFile) Allocate(size int64) error {
	if f.fs.full.Load() {
		return syscall.ENOSPC
	}
	return f.File.Allocate(size)
}

func (f faultyFile) WriteAt(b []byte, off int64) (int, error) {
	if f.fs.write.Load() || f.fs.short.Load() {
		n, err := f.File.WriteAt(b[:len(b)/2], off)
		if f.fs.write.Load() {
			err = errors.Join(err, syscall.EIO)
		}
		return n, err
	}
	return f.File.WriteAt(b, off)
}

func (f faultyFile) Sync() error {
	if f.fs.sync.Load() {
		return syscall.EIO
	}
	return f.File.Sync()
}

func TestFull(t *testing.T) {
	t.Parallel()
	for _, manual := range []bool{false, true} {
		o := options(t)
		fs := &faulty{FS: aof.OS()}
		o.FS, o.Manual, o.SegmentSize = fs, manual, 16<<10
		l, _, _ := open(t, o)
		var want []string
		add := func(rec string, c aof.Class) error {
			n := len(rec) + aof.RecordOverhead
			most := time.Minute
			if fs.full.Load() {
				most = time.Millisecond
			}
			if err := l.Reserve(n, c, most); err != nil {
				return err
			}
			want = append(want, rec)
			return l.Commit(l.Append([]byte(rec), []int{len(rec)}, n))
		}
		for l.Head() < 3 {
			require.NoError(t, add("before the disk is full", aof.Ordinary))
		}
		fs.full.Store(true)

		var full *aof.FullError
		untilFull(t, &full, func() error { return add("ordinary", aof.Ordinary) })
		require.Equal(t, full, l.Full())
		require.Contains(t, full.Path, ".aof")
		require.Equal(t, o.SegmentSize, full.Need)
		require.ErrorIs(t, full, syscall.ENOSPC)
		require.NoError(t, add("urgent", aof.Urgent))
		untilFull(t, &full, func() error { return add("urgent", aof.Urgent) })
		require.NoError(t, add("reclaimed", aof.Reclaim), "acknowledging does not take what that needs")
		require.ErrorAs(t, l.Reserve(5000, aof.Urgent, time.Millisecond), &full, "larger than the buffer")
		require.ErrorAs(t, l.Rotate(), &full)
		require.NoError(t, l.Err())

		head := l.Head()
		require.NoError(t, l.Drop(2), "there is always room for that")
		fs.full.Store(false)
		require.NoError(t, l.Drop(head))
		want = nil // those before the head; the rest is counted below
		require.Eventually(t, func() bool { l.Tick(); return l.Full() == nil }, waiting, tick)
		require.NoError(t, add("after", aof.Ordinary))
		require.NoError(t, l.Close())
		_, got := scan(t, o.Dir)
		require.Equal(t, "after", got[len(got)-1])
	}
}

// untilFull calls f until it fails, which it must with a *FullError once the
// log has found the disk full.
func untilFull(t *testing.T, full **aof.FullError, f func() error) {
	t.Helper()
	for range 10_000 {
		if err := f(); err != nil && !errors.Is(err, aof.ErrBusy) {
			require.ErrorAs(t, err, full)
			return
		}
	}
	t.Fatal("never full")
}

func TestFullWhenOpened(t *testing.T) {
	t.Parallel()
	o := options(t)
	fs := &faulty{FS: aof.OS()}
	o.FS = fs
	fs.full.Store(true)
	var full *aof.FullError
	_, _, err := aof.Open(o, nil)
	require.ErrorAs(t, err, &full)
	_, err = aof.Begin(o)
	require.ErrorAs(t, err, &full)
	require.Empty(t, files(t, o.Dir))
	fs.full.Store(false)
	open(t, o)
}

// TestClosedWhileFull closes a log that holds what fits nowhere.
func TestClosedWhileFull(t *testing.T) {
	t.Parallel()
	for _, abandon := range []bool{false, true} {
		o := options(t)
		fs := &faulty{FS: aof.OS()}
		o.FS = fs
		l, _, _ := open(t, o)
		fs.full.Store(true)
		got := make(chan error, 1)
		pos := l.Append(make([]byte, 100_000), []int{100_000}, 0)
		go func() { got <- l.Commit(pos) }()
		require.Eventually(t, func() bool { return l.Full() != nil }, waiting, tick)
		var full *aof.FullError
		if abandon {
			l.Abandon()
			require.ErrorIs(t, <-got, aof.ErrClosed)
		} else {
			require.ErrorAs(t, l.Close(), &full)
			require.ErrorAs(t, <-got, &full)
		}
	}
}

func TestFailureIsFinal(t *testing.T) {
	t.Parallel()
	breaks := map[string]func(*faulty) *atomic.Bool{
		"write": func(f *faulty) *atomic.Bool { return &f.write },
		"short": func(f *faulty) *atomic.Bool { return &f.short },
		"sync":  func(f *faulty) *atomic.Bool { return &f.sync },
	}
	for name, fault := range breaks {
		for _, manual := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := options(t)
				fs := &faulty{FS: aof.OS()}
				failed := make(chan error, 2)
				o.FS, o.Manual, o.OnFail = fs, manual, func(err error) { failed <- err }
				l, _, _ := open(t, o)
				commit(t, l, "good")
				good := l.End()
				fault(fs).Store(true)
				// Who makes the next segment may meet it first.
				bad, err := tryPut(l, "bad")
				if err == nil {
					err = l.Commit(bad)
				}
				require.Error(t, err)
				require.Equal(t, err, <-failed)
				fault(fs).Store(false) // it is never tried again
				require.Equal(t, err, l.Commit(l.Append([]byte("x"), []int{1}, 0)))
				require.Equal(t, err, l.Commit(good), "nothing is acknowledged after a failure")
				require.Equal(t, err, l.Sync(1))
				require.Equal(t, err, l.Reserve(1, aof.Urgent, time.Minute))
				require.Equal(t, err, l.Err())
				require.Equal(t, err, l.Drop(9))
				require.Equal(t, err, l.Image())
				require.Equal(t, err, l.Rotate())
				require.ErrorIs(t, l.Close(), err)
				require.Empty(t, failed)
				_, got := scan(t, o.Dir)
				require.Equal(t, "good", got[0])
			})
		}
	}
}

func TestDirectoryFailure(t *testing.T) {
	t.Parallel()
	o := options(t)
	fs := &faulty{FS: aof.OS()}
	failed := make(chan error, 1)
	o.FS, o.OnFail = fs, func(err error) { failed <- err }
	l, _, _ := open(t, o)
	commit(t, l, names("x", 40)...)
	fs.dir.Store(true)
	require.ErrorIs(t, l.Drop(l.Head()), syscall.EIO)
	require.ErrorIs(t, <-failed, syscall.EIO)
}

var _ io.Closer = (*aof.Log)(nil)

// Whatever urgent records take of a full disk, what lives in the oldest segment
// can be written anew and the segment be dropped, lap after lap and start after
// start.
func TestReclaimOnFullDisk(t *testing.T) {
	t.Parallel()
	for extra := range int64(8) {
		reclaimOnFullDisk(t, 7*256<<10+extra*32<<10)
	}
}

func reclaimOnFullDisk(t *testing.T, capacity int64) {
	fs := memfs.New()
	fs.SetCapacity(capacity)
	o := aof.Options{FS: fs, Dir: "log", SegmentSize: 256 << 10, Manual: true, Policy: aof.EverySec}
	l, _, err := aof.Open(o, nil)
	require.NoError(t, err)
	living := map[uint32]int{} // records, by segment
	pending := 0
	commit := func() error {
		err := l.Commit(l.End())
		living[l.Head()] += pending
		pending = 0
		return err
	}
	add := func(size int, c aof.Class) error { // in batches as large as they get
		n := size + aof.RecordOverhead
		err := l.Reserve(n, c, 0)
		if err != nil && pending > 0 {
			require.NoError(t, commit())
			err = l.Reserve(n, c, 0)
		}
		if err != nil {
			return err
		}
		l.Append(make([]byte, size), []int{size}, n)
		if c == aof.Urgent {
			return commit()
		}
		pending++
		return nil
	}
	var full *aof.FullError
	untilFull(t, &full, func() error { return add(3000, aof.Ordinary) })
	s := l.Sizes()
	require.GreaterOrEqual(t, s.Free, s.Kept+s.Leeway)
	for lap := range 60 {
		untilFull(t, &full, func() error { return add(40, aof.Urgent) })
		oldest := l.Sealed()[0].Number
		for i := range living[oldest] {
			require.NoError(t, add(3000, aof.Reclaim), "capacity %d, lap %d: %d of %d records", capacity, lap, i, living[oldest])
		}
		require.NoError(t, commit())
		require.NoError(t, l.Drop(oldest+1))
		if lap%3 == 0 {
			fs = fs.Clone()
			o.FS = fs
			l.Abandon()
			l, _, err = aof.Open(o, nil)
			require.NoError(t, err)
			l.Tick()
		}
	}
	l.Abandon()
}
