package memfs

import (
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/disqo/disqo/aof"
)

// FS is a file system in memory. It is safe for concurrent use.
type FS struct {
	mu    sync.Mutex
	dirs  map[string]bool
	names map[string]*inode // path to file, as the programs see it
	locks map[string]bool

	disk    map[string]*inode // path to file, as the disk has it
	pending []change          // from disk to names, oldest first

	inodes   int // made so far
	ops      int
	hook     func(Op) error
	capacity int64
	dead     bool // killed: its handles are closed
}

var _ aof.FS = (*FS)(nil)

// New returns an empty file system.
func New() *FS {
	return &FS{
		dirs: map[string]bool{}, names: map[string]*inode{}, disk: map[string]*inode{}, locks: map[string]bool{},
	}
}

// alive says whether the programs on this file system still run. The mutex is held.
func (f *FS) alive() error {
	if f.dead {
		return fs.ErrClosed
	}
	return nil
}

// pathError is the error of an operation on a path, nil if err is.
func pathError(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// change does an operation that is one under the mutex.
func (f *FS) change(kind Kind, path string, do func() error) error {
	if err := f.begin(Op{Kind: kind, Path: path}); err != nil {
		return pathError(kind.String(), path, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return pathError(kind.String(), path, do())
}

// MkdirAll makes a directory and its parents durably.
func (f *FS) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	return f.change(Mkdir, dir, func() error {
		for !f.dirs[dir] {
			f.dirs[dir] = true
			dir = filepath.Dir(dir)
		}
		return nil
	})
}

// List returns the names in a directory, sorted.
func (f *FS) List(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir = filepath.Clean(dir)
	if err := f.inDir(dir); err != nil {
		return nil, pathError("list", dir, err)
	}
	var list []string
	for path := range f.names {
		if filepath.Dir(path) == dir {
			list = append(list, filepath.Base(path))
		}
	}
	for path := range f.dirs {
		if filepath.Dir(path) == dir && path != dir {
			list = append(list, filepath.Base(path))
		}
	}
	slices.Sort(list)
	return list, nil
}

// inDir says whether there may be files in a directory. The mutex is held.
func (f *FS) inDir(dir string) error {
	if !f.dirs[dir] {
		return fs.ErrNotExist
	}
	return f.alive()
}

// Create makes an empty file; it must not exist.
func (f *FS) Create(path string) (aof.File, error) {
	path = filepath.Clean(path)
	h := &handle{fs: f, path: path, write: true}
	err := f.change(Create, path, func() error {
		if err := f.inDir(filepath.Dir(path)); err != nil {
			return err
		}
		if f.names[path] != nil {
			return fs.ErrExist
		}
		h.node = f.make(path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// Open opens a file for reading and, if write is set, for writing.
func (f *FS) Open(path string, write bool) (aof.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path = filepath.Clean(path)
	n, err := f.find(path)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &handle{fs: f, node: n, path: path, write: write}, nil
}

// find returns the file of a name. The mutex is held.
func (f *FS) find(path string) (*inode, error) {
	if err := f.alive(); err != nil {
		return nil, err
	}
	if n := f.names[path]; n != nil {
		return n, nil
	}
	return nil, fs.ErrNotExist
}

// Lock takes the lock of a file, made if need be, or fails with aof.ErrLocked.
func (f *FS) Lock(path string) (io.Closer, error) {
	path = filepath.Clean(path)
	err := f.change(Lock, path, func() error {
		if err := f.inDir(filepath.Dir(path)); err != nil {
			return err
		}
		if f.locks[path] {
			return aof.ErrLocked
		}
		if f.names[path] == nil {
			f.make(path)
		}
		f.locks[path] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &held{fs: f, path: path}, nil
}

// held is a lock that was taken.
type held struct {
	fs   *FS
	path string
	once sync.Once
}

// Close releases the lock.
func (h *held) Close() error {
	h.once.Do(func() {
		h.fs.mu.Lock()
		defer h.fs.mu.Unlock()
		delete(h.fs.locks, h.path)
	})
	return nil
}
