package aof

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS returns the real file system.
func OS() FS { return osFS{} }

type osFS struct{}

// MkdirAll syncs the parent of each directory that it makes.
func (o osFS) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := o.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return o.SyncDir(parent)
}

func (osFS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Create(path string) (File, error) {
	return openOS(path, os.O_CREATE|os.O_EXCL|os.O_RDWR)
}

func (osFS) Open(path string, write bool) (File, error) {
	if write {
		return openOS(path, os.O_RDWR)
	}
	return openOS(path, os.O_RDONLY)
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) Link(from, to string) error   { return os.Link(from, to) }
func (osFS) Remove(path string) error     { return os.Remove(path) }

func (osFS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

func (osFS) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := flock(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// osFile is an *os.File, whose reads and writes at an offset are whole or fail
// and retry EINTR.
type osFile struct{ *os.File }

func openOS(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// fillZeros makes the file size bytes long by writing zeros behind its end.
func (f osFile) fillZeros(size int64) error {
	at, err := f.Size()
	for err == nil && at < size {
		n := min(size-at, int64(len(zeros)))
		_, err = f.WriteAt(zeros[:n], at)
		at += n
	}
	return err
}
