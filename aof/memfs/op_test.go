package memfs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHookSeesEveryOperation(t *testing.T) {
	t.Parallel()
	f := New()
	var seen []string
	f.OnOp(func(op Op) error {
		seen = append(seen, op.String())
		return nil
	})
	require.NoError(t, f.MkdirAll("d"))
	file := create(t, f, "d/a", "hello")
	require.NoError(t, file.Allocate(9))
	require.NoError(t, file.Truncate(8))
	require.NoError(t, file.Sync())
	require.NoError(t, f.Rename("d/a", "d/b"))
	require.NoError(t, f.Remove("d/b"))
	require.NoError(t, f.SyncDir("d"))
	_, err := f.Lock("d/l")
	require.NoError(t, err)
	require.NoError(t, f.Link("d/l", "d/k"))
	require.Equal(t, []string{
		"#1 mkdir d 0+0", "#2 create d/a 0+0", "#3 write d/a 0+5", "#4 allocate d/a 0+9", "#5 truncate d/a 0+8",
		"#6 sync d/a 0+0", "#7 rename d/a 0+0", "#8 remove d/b 0+0", "#9 syncdir d 0+0", "#10 lock d/l 0+0", "#11 link d/l 0+0",
	}, seen)
	require.Equal(t, 11, f.Ops())
	require.Equal(t, "kind 99", Kind(99).String())
}

func TestHookFails(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 8; n++ {
		f := newDir(t)
		f.OnOp(func(op Op) error {
			if op.N == n+1 {
				return syscall.EIO
			}
			return nil
		})
		err := script(f)
		require.ErrorIs(t, err, syscall.EIO, "operation %d", n)
		require.Equal(t, n+1, f.Ops(), "nothing was done after it")
	}
}

// script does eight operations, and stops at the first that fails.
func script(f *FS) error {
	file, err := f.Create("d/a")
	if err != nil {
		return err
	}
	_, err = file.WriteAt([]byte("x"), 0)
	for _, do := range []func() error{
		func() error { return err },
		func() error { return file.Allocate(9) },
		func() error { return file.Truncate(8) },
		file.Sync,
		func() error { return f.Rename("d/a", "d/b") },
		func() error { return f.Remove("d/b") },
		func() error { return f.SyncDir("d") },
	} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

func TestHookWritesShort(t *testing.T) {
	t.Parallel()
	for _, want := range []error{nil, syscall.ENOSPC} {
		f := newDir(t)
		file := create(t, f, "d/a", "......")
		f.OnOp(func(Op) error { return fmt.Errorf("hook: %w", &ShortWrite{N: 3, Err: want}) })
		n, err := file.WriteAt([]byte("hello"), 0)
		require.Equal(t, 3, n)
		require.ErrorIs(t, err, want)
		require.Equal(t, "hel...", string(f.Bytes("d/a")))
	}
	require.ErrorContains(t, &ShortWrite{N: 3, Err: errors.New("why")}, "3 bytes: why")
}

func TestFailedSyncIsNeverMadeGood(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", "hello")
	require.NoError(t, f.SyncDir("d"))
	f.OnOp(func(Op) error { return syscall.EIO })
	require.ErrorIs(t, file.Sync(), syscall.EIO)
	f.OnOp(nil)
	require.NoError(t, file.Sync())
	require.Equal(t, "\x00\x00\x00\x00\x00", string(f.CrashNone().Bytes("d/a")))
	require.Equal(t, "hello", string(f.CrashAll().Bytes("d/a")))
	f = f.Kill()
	require.Equal(t, "\x00\x00\x00\x00\x00", string(f.CrashNone().Bytes("d/a")), "the next process reads it, but it is not there")
	file, err := f.Open("d/a", true)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("hello"), 0)
	require.NoError(t, err)
	require.NoError(t, file.Sync())
	require.Equal(t, "hello", string(f.CrashNone().Bytes("d/a")), "but for what is written anew")
}

func TestKill(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", "synced")
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	write(t, file, "kernel", 0)
	create(t, f, "d/b", "new")
	_, err := f.Lock("d/lock")
	require.NoError(t, err)

	require.Equal(t, "kernel", string(f.Clone().Bytes("d/a")))
	write(t, file, "kernel", 0)

	next := f.Kill()
	_, err = file.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = file.ReadAt(nil, 0)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, file.Sync(), fs.ErrClosed)
	_, err = f.Open("d/a", false)
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = f.List("d")
	require.ErrorIs(t, err, fs.ErrClosed)
	require.ErrorIs(t, f.Remove("d/a"), fs.ErrClosed)

	require.Equal(t, "kernel", string(next.Bytes("d/a")))
	require.Equal(t, "new", string(next.Bytes("d/b")))
	_, err = next.Lock("d/lock")
	require.NoError(t, err)
	require.Equal(t, "synced", string(next.CrashNone().Bytes("d/a")), "a kill makes nothing durable")
	require.Nil(t, next.CrashNone().Bytes("d/b"))
	file, err = next.Open("d/a", true)
	require.NoError(t, err)
	require.NoError(t, file.Sync())
	require.Equal(t, "kernel", string(next.CrashNone().Bytes("d/a")))
}
