package aof_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// backup makes a backup beside the log and returns its directory.
func backup(t *testing.T, l *aof.Log, o aof.Options) (dir string, made *aof.Backup) {
	t.Helper()
	dir = filepath.Join(filepath.Dir(o.Dir), "backup")
	made, err := l.Backup(t.Context(), dir)
	require.NoError(t, err)
	return dir, made
}

// A backup holds what was appended before it, committed or not, and nothing
// else; the log goes on, and what it removes later is still in the backup.
func TestBackup(t *testing.T) {
	t.Parallel()
	for _, policy := range []aof.Policy{aof.Always, aof.EverySec, aof.No} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			o := options(t)
			o.Policy = policy
			l, _, _ := open(t, o)
			before, later := names("before", 60), names("later", 60)
			commit(t, l, before[:59]...)
			put(t, l, before[59])
			dir, made := backup(t, l, o)
			files := contents(t, dir)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, made.Segments, "no lock, and nothing else")
			require.Len(t, files, made.Segments)
			require.Greater(t, made.Segments, 3)
			size := 0
			for _, data := range files {
				size += len(data)
			}
			require.EqualValues(t, size, made.Bytes)
			commit(t, l, later...)
			require.NoError(t, l.Drop(l.Head()))
			require.Equal(t, files, contents(t, dir))

			r, got := scan(t, dir)
			require.Equal(t, before, got)
			require.False(t, r.Clean || r.Always, "what happened later is missing")
			require.Nil(t, r.Torn)
			require.Empty(t, r.Stale)
			var flags aof.Flags
			_, err = aof.Scan(aof.OS(), dir, func(b *aof.Batch) error { flags = b.Flags; return nil })
			require.NoError(t, err)
			require.Equal(t, aof.FlagImage, flags, "of the last batch")
			require.NoError(t, l.Close())
			_, got = scan(t, o.Dir)
			require.Subset(t, later, got)
		})
	}
}

// Whoever opens a backup in its place, and not a copy, changes no file of the
// log that it was made of.
func TestBackupOpensInPlace(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	before := names("before", 60)
	commit(t, l, before...)
	dir, _ := backup(t, l, o)
	require.NoError(t, l.Close())
	files := contents(t, o.Dir)

	at := o
	at.Dir = dir
	b, _, got := open(t, at)
	require.Equal(t, before, got)
	commit(t, b, names("other", 60)...)
	require.NoError(t, b.Drop(b.Head()))
	require.NoError(t, b.Close())
	require.Equal(t, files, contents(t, o.Dir))

	l, r, got := open(t, o)
	require.Equal(t, before, got)
	require.True(t, r.Clean)
	commit(t, l, names("later", 60)...)
}

// A log whose segments are linked is opened again after a kill right behind the
// seal: what it does to them then leaves the backup as it was.
func TestBackupAndRestart(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	before := names("before", 30)
	commit(t, l, before...)
	dir, _ := backup(t, l, o)
	l.Abandon()
	files := contents(t, dir)
	for range 3 {
		var got []string
		l, _, got = open(t, o)
		require.Subset(t, got, before)
		l.Abandon()
		require.Equal(t, files, contents(t, dir))
	}
	l, _, _ = open(t, o)
	commit(t, l, names("later", 30)...)
	require.NoError(t, l.Off())
	require.Equal(t, files, contents(t, dir))
	_, got := scan(t, dir)
	require.Equal(t, before, got)
}

// A backup of a backup, and of a log without a record.
func TestBackupOfBackup(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	for i := range 3 {
		dir := filepath.Join(filepath.Dir(o.Dir), fmt.Sprint("copy", i))
		_, err := l.Backup(t.Context(), dir)
		require.NoError(t, err)
		_, err = l.Backup(t.Context(), dir+"again")
		require.NoError(t, err)
		l.Abandon()
		o.Dir = dir
		var got []string
		l, _, got = open(t, o)
		require.Equal(t, i, len(got))
		commit(t, l, "record")
	}
}

// Appenders and reclamation go on while backups are made.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Policy = aof.EverySec
	l, _, _ := open(t, o)
	commit(t, l, fmt.Sprintf("%09d", 1))
	var wg sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	sent := 1
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rec := []byte(fmt.Sprintf("%0200d", 0))
				if l.Reserve(len(rec)+aof.RecordOverhead, aof.Ordinary, waiting) != nil {
					continue
				}
				mu.Lock()
				sent++
				copy(rec, fmt.Sprintf("%09d", sent))
				pos := l.Append(rec, []int{len(rec)}, len(rec)+aof.RecordOverhead)
				mu.Unlock()
				_ = l.Commit(pos)
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			if sealed := l.Sealed(); len(sealed) > 20 {
				_ = l.Drop(sealed[len(sealed)/2].Number)
			}
		}
	})
	for i := range 20 {
		mu.Lock()
		before := sent
		mu.Unlock()
		dir := filepath.Join(filepath.Dir(o.Dir), fmt.Sprint("backup", i))
		_, err := l.Backup(t.Context(), dir)
		require.NoError(t, err)
		mu.Lock()
		after := sent
		mu.Unlock()
		_, got := scan(t, dir)
		require.NotEmpty(t, got)
		number := func(rec string) (n int) {
			_, err := fmt.Sscanf(rec, "%09d", &n)
			require.NoError(t, err)
			return n
		}
		first, last := number(got[0]), number(got[len(got)-1])
		require.Len(t, got, last-first+1, "records without a gap")
		require.GreaterOrEqual(t, last, before)
		require.LessOrEqual(t, last, after)
	}
	stop()
	wg.Wait()
	require.NoError(t, l.Close())
}

// onMem opens a log in memory with some sealed segments.
func onMem(t *testing.T) (*aof.Log, *memfs.FS) {
	t.Helper()
	fs := memfs.New()
	l, _, err := aof.Open(aof.Options{FS: fs, Dir: "d/log", SegmentSize: 4096, Manual: true}, nil)
	require.NoError(t, err)
	t.Cleanup(l.Abandon)
	commit(t, l, names("record", 60)...)
	return l, fs
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	l, fs := onMem(t)
	require.NoError(t, fs.MkdirAll("d/full"))
	fs.SetBytes("d/full/lock", nil)
	head := l.Head()
	for _, dir := range []string{"d/full", "d/log"} {
		_, err := l.Backup(t.Context(), dir)
		require.ErrorIs(t, err, aof.ErrNotEmpty)
	}
	require.Equal(t, head, l.Head(), "nothing is sealed in vain")
	require.NoError(t, l.Close())
	_, err := l.Backup(t.Context(), "d/closed")
	require.ErrorIs(t, err, aof.ErrClosed)

	l, err = aof.Begin(aof.Options{FS: fs, Dir: "d/log", SegmentSize: 4096, Manual: true})
	require.NoError(t, err)
	defer l.Abandon()
	_, err = l.Backup(t.Context(), "d/begun")
	require.ErrorIs(t, err, aof.ErrUnfinished)
	require.NoError(t, l.Image())
	_, err = l.Backup(t.Context(), "d/begun")
	require.NoError(t, err)
}

// A full disk keeps what is left of the head for those who need it.
func TestBackupOnFullDisk(t *testing.T) {
	t.Parallel()
	l, fs := onMem(t)
	fs.SetCapacity(fs.Used())
	for l.Full() == nil {
		put(t, l, "record")
		l.Tick()
	}
	_, err := l.Backup(t.Context(), "d/backup")
	var full *aof.FullError
	require.ErrorAs(t, err, &full)
	require.NoError(t, l.Err())
	fs.SetCapacity(0)
	l.Tick()
	_, err = l.Backup(t.Context(), "d/backup")
	require.NoError(t, err)
}

// While segments are linked none is removed, no second backup begins, and
// records are appended and committed.
func TestBackupHoldsReclamation(t *testing.T) {
	t.Parallel()
	l, fs := onMem(t)
	require.NoError(t, fs.MkdirAll("d/backup"))
	links, synced := 0, []string(nil)
	fs.OnOp(func(op memfs.Op) error {
		if op.Kind == memfs.SyncDir {
			synced = append(synced, op.Path)
		}
		if op.Kind != memfs.Link {
			return nil
		}
		links++
		require.False(t, aof.MayDrop(l))
		_, err := l.Backup(context.Background(), "d/second")
		require.ErrorIs(t, err, aof.ErrBackup)
		commit(t, l, names("meanwhile", 30)...)
		return nil
	})
	made, err := l.Backup(t.Context(), "d/backup")
	require.NoError(t, err)
	require.Equal(t, made.Segments-1, links)
	require.Contains(t, synced, "d", "whoever made the directory did not see to that")
	require.True(t, aof.MayDrop(l))
	var got []string
	_, err = aof.Scan(fs, "d/backup", collect(&got))
	require.NoError(t, err)
	require.Equal(t, names("record", 60), got)
}

// A backup that cannot be made is removed, and can be tried again; the log goes
// on.
func TestBackupGivenUp(t *testing.T) {
	t.Parallel()
	l, fs := onMem(t)
	ctx, cancel := context.WithCancel(t.Context())
	fs.OnOp(func(op memfs.Op) error {
		if op.Kind == memfs.Link {
			cancel()
		}
		return nil
	})
	_, err := l.Backup(ctx, "d/backup")
	require.ErrorIs(t, err, context.Canceled)
	left, err := fs.List("d/backup")
	require.NoError(t, err)
	require.Empty(t, left)

	for kind, reason := range map[memfs.Kind]error{
		memfs.Link: syscall.EXDEV, memfs.Create: syscall.ENOSPC, memfs.Mkdir: syscall.EACCES, memfs.Write: syscall.EIO,
		memfs.Sync: syscall.EIO, memfs.SyncDir: syscall.EIO,
	} {
		fs.OnOp(func(op memfs.Op) error {
			if op.Kind == kind && (kind == memfs.Link || filepath.Dir(op.Path) == "d/backup" || op.Path == "d/backup") {
				return reason
			}
			return nil
		})
		_, err := l.Backup(t.Context(), "d/backup")
		require.ErrorIs(t, err, reason, "%v", kind)
		left, err := fs.List("d/backup")
		require.NoError(t, err)
		require.Empty(t, left, "%v", kind)
		fs.OnOp(nil)
		commit(t, l, "goes on")
	}
	_, err = l.Backup(t.Context(), "d/backup")
	require.NoError(t, err)
}

// A log that is closed meanwhile does not wait for all of a backup.
func TestBackupEndsWithTheLog(t *testing.T) {
	t.Parallel()
	l, fs := onMem(t)
	closed := make(chan error, 1)
	links := 0
	fs.OnOp(func(op memfs.Op) error {
		if op.Kind == memfs.Link {
			if links++; links == 1 {
				go func() { closed <- l.Close() }()
			}
			require.Eventually(t, func() bool { return aof.Closing(l) }, waiting, tick)
		}
		return nil
	})
	_, err := l.Backup(t.Context(), "d/backup")
	require.ErrorIs(t, err, aof.ErrClosed)
	require.Equal(t, 1, links)
	require.NoError(t, <-closed)
}

// backedUp is a backup of a crash test.
type backedUp struct {
	dir  string
	held *history // what was appended before it
	done bool
}

// backupRun is a crashRun that makes backups, and looks at them too at every
// operation on the file system.
type backupRun struct {
	*crashRun
	list   []*backedUp
	judged int // states of backups
	opened int // of those, which opened whole before they were done
}

// backup makes a backup of what was appended so far.
func (c *backupRun) backup() error {
	h := c.history
	b := &backedUp{
		dir:  fmt.Sprintf("data/backup%d", len(c.list)),
		held: &history{recs: slices.Clone(h.recs), acked: h.acked, base: maps.Clone(h.base)},
	}
	c.list = append(c.list, b)
	if _, err := c.log.Backup(context.Background(), b.dir); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	b.done = true
	c.owner.done(c.log.End(), true)
	return nil
}

// look is the hook.
func (c *backupRun) look(op memfs.Op) error {
	_ = c.crash(op)
	for _, b := range c.list[max(0, len(c.list)-3):] {
		for _, fs := range []*memfs.FS{c.fs.CrashNone(), c.fs.CrashAll(), c.fs.Clone(), c.fs.CrashRandom(c.dice), c.fs.CrashRandom(c.dice)} {
			if err := c.judgeBackup(fs, b); err != nil && c.err == nil {
				c.err = fmt.Errorf("crash before %v: %s: %w", op, b.dir, err)
			}
		}
	}
	return nil
}

// judgeBackup opens what a crash left of a backup. One that was not done does
// not open, or is empty, or has everything.
func (c *backupRun) judgeBackup(fs *memfs.FS, b *backedUp) error {
	c.judged++
	opts := c.opts
	opts.FS, opts.Dir = fs, b.dir
	var got records
	log, report, err := aof.Open(opts, got.visit)
	if !b.done && (errors.As(err, new(*aof.CorruptError)) || err == nil && report.Empty) {
		return nil
	}
	if err != nil {
		return err
	}
	log.Abandon()
	if report.Empty || report.Off || report.Clean || report.Always || report.Torn != nil {
		return fmt.Errorf("it reports %+v", *report)
	}
	if !b.done {
		c.opened++
	}
	return b.held.judge(got.list, len(b.held.recs))
}

// TestCrashBackups takes the power away at each operation of scripts that make
// backups, reclaim, restart and lose power.
func TestCrashBackups(t *testing.T) {
	t.Parallel()
	for _, policy := range []aof.Policy{aof.Always, aof.EverySec} {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			c := &backupRun{crashRun: newCrashRun(policy, seeded(t))}
			c.often = weights{reclaim: 150, rotate: 100, restart: 40, epoch: 10, off: 5}
			c.random, c.hook = scaled(10, 1), c.look
			c.fs.OnOp(c.hook)
			require.NoError(t, c.open())
			steps := scaled(600, 150)
			for i := range steps {
				if i%15 == 14 {
					require.NoError(t, c.backup())
				}
				require.NoError(t, c.step(c.often))
				require.NoError(t, c.err)
			}
			require.Positive(t, c.opened, "the last operations of a backup were reached")
			t.Logf("%d operations, %d crash states, %d of backups, %d opened early", c.ops, c.states, c.judged, c.opened)
		})
	}
}
