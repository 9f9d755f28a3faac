package node

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/store"
)

const logDir = "/data/appendonlydir"

// openNode makes a node whose log is in a file system.
func openNode(t *testing.T, fs aof.FS, o LogOptions) (*Node, *Loaded) {
	t.Helper()
	n, err := New(Options{ID: testID})
	require.NoError(t, err)
	o.FS, o.Dir = fs, logDir
	loaded, err := n.OpenLog(context.Background(), o)
	require.NoError(t, err)
	n.Start()
	t.Cleanup(func() { _ = n.Close() })
	return n, loaded
}

// safely adds a job and waits until it is safe.
func safely(n *Node, s *store.Spec) (store.ID, error) {
	var m Mark
	id, _, err := n.Add(s, false, &m)
	if err == nil {
		err = m.Wait()
	}
	return id, err
}

// ledger is what clients of a node were told.
type ledger struct {
	mu    sync.Mutex
	added map[store.ID]bool // answered, and not asked to be removed
	gone  map[store.ID]bool // removal answered
}

func (l *ledger) acked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.gone)
}

// Power is lost at random moments under load, with any part of what was not
// synced: what was answered holds. Segments are small, so that they are
// reclaimed all the time.
func TestPowerLossUnderLoad(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			powerLoss(t, seed)
		})
	}
}

func powerLoss(t *testing.T, seed uint64) {
	fs := memfs.New()
	n, _ := openNode(t, fs, LogOptions{Policy: aof.Always, SegmentSize: 64 << 10})
	n.SetReclaim(100, 1)
	l := &ledger{added: map[store.ID]bool{}, gone: map[store.ID]bool{}}
	ctx, stop := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() { l.work(ctx, t, n, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	rnd := rand.New(rand.NewPCG(seed, 99))
	for range 25 {
		before := l.acked()
		require.Eventually(t, func() bool { return l.acked() > before+20 }, 30*time.Second, time.Millisecond)
		l.mu.Lock()
		added, gone := maps.Clone(l.added), maps.Clone(l.gone)
		l.mu.Unlock()
		crashed := fs.CrashRandom(rnd)
		survivor, _ := openNode(t, crashed, LogOptions{Policy: aof.Always, SegmentSize: 64 << 10})
		for id := range gone {
			require.False(t, survivor.Get(&id, func(*store.Job) {}), "a job came back")
		}
		l.mu.Lock()
		for id := range added {
			if l.added[id] { // nobody began to remove it since
				require.True(t, survivor.Get(&id, func(*store.Job) {}), "a job is lost")
			}
		}
		l.mu.Unlock()
		require.NoError(t, survivor.Close())
	}
	stop()
	clients.Wait()
	require.Positive(t, n.LogInfo().LastRewrite, "segments were reclaimed")
	require.Greater(t, n.journal.Load().log.First(), uint32(3))
}

// work adds jobs, and removes some of them, until ctx ends.
func (l *ledger) work(ctx context.Context, t *testing.T, n *Node, rnd *rand.Rand) {
	var mine []store.ID
	for ctx.Err() == nil {
		s := spec(fmt.Sprint("q", rnd.IntN(5)), fmt.Sprintf("%0*d", 1+rnd.IntN(300), 7))
		id, err := safely(n, s)
		if err != nil {
			t.Error(err)
			return
		}
		l.mu.Lock()
		l.added[id] = true
		l.mu.Unlock()
		if mine = append(mine, id); len(mine) < 50 {
			continue
		}
		k := rnd.IntN(len(mine))
		id, mine[k] = mine[k], mine[len(mine)-1]
		mine = mine[:len(mine)-1]
		l.mu.Lock()
		delete(l.added, id)
		l.mu.Unlock()
		var m Mark
		if _, err := n.Ack(&id, &m); err == nil && m.Wait() == nil {
			l.mu.Lock()
			l.gone[id] = true
			l.mu.Unlock()
		}
	}
}

// A log that fails is told once, and nothing is answered after it.
func TestFailedLog(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	failed := make(chan error, 9)
	n, err := New(Options{ID: testID, OnFail: func(err error) { failed <- err }})
	require.NoError(t, err)
	_, err = n.OpenLog(context.Background(), LogOptions{FS: fs, Dir: logDir, Policy: aof.Always})
	require.NoError(t, err)
	n.Start()
	_, err = safely(n, spec("q", "fine"))
	require.NoError(t, err)
	fs.OnOp(func(op memfs.Op) error {
		if op.Kind == memfs.Sync {
			return syscall.EIO
		}
		return nil
	})
	_, err = safely(n, spec("q", "lost"))
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorIs(t, <-failed, syscall.EIO)
	fs.OnOp(nil)
	_, err = safely(n, spec("q", "too late"))
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorIs(t, n.LogInfo().Err, syscall.EIO)
	require.Error(t, n.Close())
	require.Empty(t, failed)

	n, loaded := openNode(t, fs.CrashNone(), LogOptions{})
	require.Equal(t, 1, loaded.Jobs)
	require.Equal(t, []string{"fine"}, fetch(t, n, 5, "q"))
}

// A log that is not whole yet is no log; one that was switched off is none.
func TestImageIsAllOrNothing(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	n := newNode(t, Options{})
	for i := range 2000 {
		add(t, n, spec(fmt.Sprint("q", i%7), "body"))
	}
	o := LogOptions{FS: fs, Dir: logDir, Policy: aof.EverySec, SegmentSize: 64 << 10}
	rnd := rand.New(rand.NewPCG(1, 2))
	var states []*memfs.FS
	var mu sync.Mutex
	fs.OnOp(func(op memfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind == memfs.Sync || op.Kind == memfs.SyncDir || op.Kind == memfs.Remove {
			states = append(states, fs.CrashRandom(rnd))
		}
		return nil
	})
	done := make(chan error, 1)
	require.NoError(t, n.StartLog(o, func(err error) { done <- err }))
	require.ErrorIs(t, n.StartLog(o, nil), ErrLogOn)
	require.NoError(t, <-done)
	require.Equal(t, "on", n.LogInfo().State)
	whole := fs.CrashNone()
	mu.Lock()
	require.Greater(t, len(states), 5)
	for _, state := range states {
		_, loaded := openNode(t, state, o)
		require.Contains(t, []int{0, 2000}, loaded.Jobs)
	}
	mu.Unlock()
	_, loaded := openNode(t, whole, o)
	require.Equal(t, 2000, loaded.Jobs)
	require.NoError(t, n.StopLog())
	require.ErrorIs(t, n.StopLog(), ErrLogOff)
	for _, crashed := range []*memfs.FS{fs.CrashNone(), fs.CrashAll()} {
		_, loaded = openNode(t, crashed, o)
		require.Zero(t, loaded.Jobs)
	}
}

// After a kill under a weak policy nobody knows what was delivered. A crash at
// any moment of the next start, under a strong one, must not make that look
// known.
func TestDoubtSurvivesCrashes(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	n, _ := openNode(t, fs, LogOptions{Policy: aof.EverySec, SegmentSize: 64 << 10})
	s := spec("q", "perhaps delivered")
	s.Retry = 0
	_, err := safely(n, s)
	require.NoError(t, err)
	killed := fs.Kill()
	rnd := rand.New(rand.NewPCG(3, 4))
	var states []*memfs.FS
	killed.OnOp(func(memfs.Op) error {
		states = append(states, killed.CrashAll(), killed.CrashNone(), killed.CrashRandom(rnd))
		return nil
	})
	again, loaded := openNode(t, killed, LogOptions{Policy: aof.Always, SegmentSize: 64 << 10})
	require.Equal(t, 1, loaded.Doubtful)
	require.NoError(t, again.Close())
	require.Greater(t, len(states), 20)
	for i, state := range states {
		survivor, _ := openNode(t, state, LogOptions{Policy: aof.Always, SegmentSize: 64 << 10})
		require.Empty(t, fetch(t, survivor, 1, "q"), "state %d", i)
		require.NoError(t, survivor.Close())
	}
}

// A job that is at most once, delivered just before the power is lost, does not
// come again: what the log said of an earlier time says nothing of a later one.
func TestWeakPolicyIsNotTrusted(t *testing.T) {
	t.Parallel()
	small := func(p aof.Policy) LogOptions { return LogOptions{Policy: p, SegmentSize: 64 << 10} }
	prepare := func(p aof.Policy) (*memfs.FS, *Node) {
		fs := memfs.New()
		n, _ := openNode(t, fs, small(p))
		s := spec("q", "body")
		s.Retry = 0
		_, err := safely(n, s)
		require.NoError(t, err)
		return fs, n
	}
	for name, weaken := range map[string]func() (*memfs.FS, *Node){
		"after a clean stop": func() (*memfs.FS, *Node) {
			fs, n := prepare(aof.EverySec)
			require.NoError(t, n.Close())
			n, _ = openNode(t, fs, small(aof.No))
			return fs, n
		},
		"after always": func() (*memfs.FS, *Node) {
			fs, _ := prepare(aof.Always)
			fs = fs.Kill()
			n, _ := openNode(t, fs, small(aof.No))
			return fs, n
		},
		"after always, switched": func() (*memfs.FS, *Node) {
			fs, n := prepare(aof.Always)
			require.NoError(t, n.SetPolicy(aof.No))
			return fs, n
		},
		"after a picture": func() (*memfs.FS, *Node) {
			fs := memfs.New()
			n := newNode(t, Options{})
			s := spec("q", "body")
			s.Retry = 0
			add(t, n, s)
			o, done := small(NeverSync), make(chan error, 1)
			o.FS, o.Dir = fs, logDir
			require.NoError(t, n.StartLog(o, func(err error) { done <- err }))
			require.NoError(t, <-done)
			require.NoError(t, n.LeaveLog())
			return fs, n
		},
		"after loading once": func() (*memfs.FS, *Node) {
			fs, n := prepare(aof.Always)
			require.NoError(t, n.Close())
			o := small(aof.Always)
			o.ReadOnce = true
			n, _ = openNode(t, fs, o)
			return fs, n
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs, n := weaken()
			require.Equal(t, []string{"body"}, fetch(t, n, 1, "q"))
			n, loaded := openNode(t, fs.CrashNone(), small(aof.Always))
			require.Empty(t, fetch(t, n, 1, "q"), "delivered twice")
			require.Equal(t, 1, loaded.Doubtful)
		})
	}
}

// A policy that is set while a picture is taken does not make it a log to be
// trusted.
func TestPictureKeepsItsPolicy(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	n := newNode(t, Options{})
	s := spec("q", "body")
	s.Retry = 0
	add(t, n, s)
	done := make(chan error, 1)
	o := LogOptions{FS: fs, Dir: logDir, SegmentSize: 64 << 10, Policy: NeverSync, Picture: true}
	require.NoError(t, n.StartLog(o, func(err error) { done <- err }))
	require.NoError(t, n.SetPolicy(aof.Always))
	require.NoError(t, <-done)
	_, err := safely(n, spec("other", "x"))
	require.NoError(t, err)
	require.NoError(t, n.LeaveLog())
	require.Equal(t, []string{"body"}, fetch(t, n, 1, "q"))
	n, loaded := openNode(t, fs.CrashNone(), LogOptions{Policy: aof.No, ReadOnce: true, QueueAll: true})
	require.Equal(t, 1, loaded.Doubtful)
	require.Empty(t, fetch(t, n, 1, "q"), "delivered twice")
}

// A log that is begun where another was read from is not taken for that one,
// whatever its segments are called.
func TestNewLogAfterReadingOnce(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	n, _ := openNode(t, fs, LogOptions{Policy: aof.Always})
	_, err := safely(n, spec("q", "old"))
	require.NoError(t, err)
	require.NoError(t, n.Close())
	n, _ = openNode(t, fs, LogOptions{ReadOnce: true})
	done, elsewhere := make(chan error, 1), memfs.New()
	require.NoError(t, n.StartLog(LogOptions{FS: elsewhere, Dir: logDir}, func(err error) { done <- err }))
	require.NoError(t, <-done)
	_, loaded := openNode(t, elsewhere.CrashNone(), LogOptions{})
	require.Equal(t, 1, loaded.Jobs)
}

// A node that is closed while its log is being completed completes it; a
// picture is dropped.
func TestCloseCompletesTheLog(t *testing.T) {
	t.Parallel()
	for _, picture := range []bool{false, true} {
		fs := memfs.New()
		n := newNode(t, Options{})
		for range 5000 {
			add(t, n, spec("q", "body"))
		}
		o := LogOptions{FS: fs, Dir: logDir, SegmentSize: 64 << 10, Picture: picture}
		require.NoError(t, n.StartLog(o, func(error) {}))
		require.NoError(t, n.Close())
		_, loaded := openNode(t, fs, o)
		if picture {
			require.Contains(t, []int{0, 5000}, loaded.Jobs, "all or nothing")
		} else {
			require.Equal(t, 5000, loaded.Jobs)
		}
	}
}

// Switching off and on does not take what was journalled then for journalled
// now.
func TestSwitchOffAndOn(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	n := newNode(t, Options{})
	o := LogOptions{FS: fs, Dir: logDir, SegmentSize: 64 << 10}
	for round := range 4 {
		add(t, n, spec("q", fmt.Sprint("body", round)))
		done := make(chan error, 1)
		require.NoError(t, n.StartLog(o, func(err error) { done <- err }))
		require.NoError(t, <-done)
		_, loaded := openNode(t, fs.CrashNone(), o)
		require.Equal(t, round+1, loaded.Jobs)
		require.NoError(t, n.StopLog())
	}
}

// A load that is told to stop stops.
func TestLoadEnds(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	n, _ := openNode(t, fs, LogOptions{})
	for range 100 {
		add(t, n, spec("q", "body"))
	}
	require.NoError(t, n.Close())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n, err := New(Options{ID: testID})
	require.NoError(t, err)
	_, err = n.OpenLog(ctx, LogOptions{FS: fs, Dir: logDir})
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, n.Close())
	_, loaded := openNode(t, fs, LogOptions{})
	require.Equal(t, 100, loaded.Jobs)
	require.True(t, loaded.Report.Clean)
}

// What no node can have written is refused.
func TestLoadRefusesRecords(t *testing.T) {
	t.Parallel()
	for _, rec := range [][]byte{{}, {99}, {1, 2, 3}, make([]byte, 100)} {
		fs := memfs.New()
		log, _, err := aof.Open(aof.Options{FS: fs, Dir: logDir}, nil)
		require.NoError(t, err)
		log.Append(rec, []int{len(rec)}, 0)
		require.NoError(t, log.Close())
		n, err := New(Options{ID: testID})
		require.NoError(t, err)
		_, err = n.OpenLog(context.Background(), LogOptions{FS: fs, Dir: logDir})
		require.ErrorIs(t, err, store.ErrCorrupt)
		require.ErrorContains(t, err, "segment 1")
		require.NoError(t, n.Close())
	}
}
