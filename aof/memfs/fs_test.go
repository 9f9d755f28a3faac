package memfs

import (
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// newDir returns a file system with a directory d.
func newDir(t *testing.T) *FS {
	t.Helper()
	f := New()
	require.NoError(t, f.MkdirAll("d"))
	return f
}

// create makes a file that holds data; nothing of it is durable.
func create(t *testing.T, f *FS, path, data string) aof.File {
	t.Helper()
	file, err := f.Create(path)
	require.NoError(t, err)
	write(t, file, data, 0)
	return file
}

func write(t *testing.T, file aof.File, data string, off int64) {
	t.Helper()
	n, err := file.WriteAt([]byte(data), off)
	require.NoError(t, err)
	require.Equal(t, len(data), n)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", "hello")
	_, err := f.Create("d/a")
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = f.Create("e/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = f.Open("d/b", true)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = f.List("e")
	require.ErrorIs(t, err, fs.ErrNotExist)

	write(t, file, "world", 1022) // over the edge of a sector, behind a hole
	size, err := file.Size()
	require.NoError(t, err)
	require.EqualValues(t, 1027, size)
	p := make([]byte, 1027)
	n, err := file.ReadAt(p, 0)
	require.NoError(t, err)
	require.Equal(t, 1027, n)
	require.Equal(t, "hello"+string(make([]byte, 1017))+"world", string(p))
	n, err = file.ReadAt(p, 1025)
	require.Equal(t, 2, n)
	require.ErrorIs(t, err, io.EOF)
	_, err = file.ReadAt(p, 5000)
	require.ErrorIs(t, err, io.EOF)

	require.NoError(t, file.Truncate(1024))
	require.NoError(t, file.Allocate(1027))
	require.NoError(t, file.Allocate(3))
	require.Equal(t, "hello"+string(make([]byte, 1017))+"wo\x00\x00\x00", string(f.Bytes("d/a")))

	require.NoError(t, f.Rename("d/a", "d/c"))
	require.ErrorIs(t, f.Rename("d/a", "d/c"), fs.ErrNotExist)
	names, err := f.List("d")
	require.NoError(t, err)
	require.Equal(t, []string{"c"}, names)
	names, err = f.List(".")
	require.NoError(t, err)
	require.Equal(t, []string{"d"}, names)
	require.NoError(t, f.Remove("d/c"))
	require.ErrorIs(t, f.Remove("d/c"), fs.ErrNotExist)
	require.Nil(t, f.Bytes("d/c"))
	write(t, file, "still open", 0)
	require.NoError(t, file.Close())
	require.ErrorIs(t, file.Close(), fs.ErrClosed)
	_, err = file.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	create(t, f, "d/a", "hello")
	file, err := f.Open("d/a", false)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, syscall.EBADF)
	require.ErrorIs(t, file.Sync(), syscall.EBADF)
	require.Equal(t, "hello", string(f.Bytes("d/a")))
}

func TestLock(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	lock, err := f.Lock("d/lock")
	require.NoError(t, err)
	_, err = f.Lock("d/lock")
	require.ErrorIs(t, err, aof.ErrLocked)
	after, err := f.CrashAll().Lock("d/lock")
	require.NoError(t, err, "a crash releases it")
	require.NoError(t, after.Close())
	require.NoError(t, lock.Close())
	_, err = f.Lock("d/lock")
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	_, err = f.Lock("d/lock")
	require.ErrorIs(t, err, aof.ErrLocked, "a second Close releases nothing of others")
}

func TestCapacity(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	f.SetCapacity(2048)
	a := create(t, f, "d/a", "hello")
	require.NoError(t, a.Allocate(1500))
	require.EqualValues(t, 1536, f.Used())
	b := create(t, f, "d/b", "x")
	require.ErrorIs(t, b.Allocate(513), syscall.ENOSPC)
	_, err := b.WriteAt(make([]byte, 513), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	write(t, a, "what is allocated can be written", 1000)
	require.NoError(t, f.Remove("d/a"))
	require.NoError(t, b.Allocate(2048))
}

func TestSetBytes(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	f.SetBytes("d/a", make([]byte, 1000))
	data := f.Bytes("d/a")
	require.Len(t, data, 1000)
	data[999] = 7
	f.SetBytes("d/a", data)
	f.SetBytes("d/b", []byte("b"))
	f = f.CrashNone()
	require.Equal(t, data, f.Bytes("d/a"))
	require.Equal(t, "b", string(f.Bytes("d/b")))
	f.SetBytes("d/a", nil)
	require.Empty(t, f.Bytes("d/a"))
}
