package memfs

import (
	"io/fs"
	"path/filepath"
	"slices"
)

// change is a change of directory entries that no SyncDir has made durable. One
// with from and to moves within a directory, as a whole; one with only to makes
// a name, one with only from removes it. A move between directories is two.
type change struct {
	from, to string
	node     *inode
}

// apply makes the change in a table of names. What it removes may be missing, if
// an earlier change was lost.
func (c change) apply(names map[string]*inode) {
	if c.from != "" && names[c.from] == c.node {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

// path returns a name the change is about.
func (c change) path() string {
	if c.to != "" {
		return c.to
	}
	return c.from
}

// enter makes a change that is not durable. The mutex is held.
func (f *FS) enter(c change) {
	c.apply(f.names)
	f.pending = append(f.pending, c)
}

// make creates an empty file under a free name. The mutex is held.
func (f *FS) make(path string) *inode {
	f.inodes++
	n := &inode{id: f.inodes}
	f.enter(change{to: path, node: n})
	return n
}

// Rename moves a file within a directory, or to another, over what has the name.
func (f *FS) Rename(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	return f.change(Rename, from, func() error {
		n, err := f.find(from)
		if err != nil {
			return err
		}
		if err := f.inDir(filepath.Dir(to)); err != nil || f.names[to] == n {
			return err // two names of one file stay, as POSIX has it
		}
		if filepath.Dir(from) == filepath.Dir(to) {
			f.enter(change{from: from, to: to, node: n})
			return nil
		}
		f.enter(change{to: to, node: n})
		f.enter(change{from: from, node: n})
		return nil
	})
}

// Link gives a file a second name, which must be free. The entries are durable
// each on its own.
func (f *FS) Link(from, to string) error {
	from, to = filepath.Clean(from), filepath.Clean(to)
	return f.change(Link, from, func() error {
		n, err := f.find(from)
		if err != nil {
			return err
		}
		if err := f.inDir(filepath.Dir(to)); err != nil {
			return err
		}
		if f.names[to] != nil {
			return fs.ErrExist
		}
		f.enter(change{to: to, node: n})
		return nil
	})
}

// Remove unlinks a file. Those who have it open may go on with it.
func (f *FS) Remove(path string) error {
	path = filepath.Clean(path)
	return f.change(Remove, path, func() error {
		n, err := f.find(path)
		if err == nil {
			f.enter(change{from: path, node: n})
		}
		return err
	})
}

// SyncDir makes the entries of a directory durable.
func (f *FS) SyncDir(dir string) error {
	dir = filepath.Clean(dir)
	return f.change(SyncDir, dir, func() error {
		if err := f.inDir(dir); err != nil {
			return err
		}
		f.pending = slices.DeleteFunc(f.pending, func(c change) bool {
			here := filepath.Dir(c.path()) == dir
			if here {
				c.apply(f.disk)
			}
			return here
		})
		return nil
	})
}

// Bytes returns a copy of what a file holds now, nil if there is none.
func (f *FS) Bytes(path string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.names[filepath.Clean(path)]
	if n == nil {
		return nil
	}
	data := make([]byte, n.size)
	n.read(data, 0)
	return data
}

// SetBytes makes a file hold data, durably, and makes it, in a directory that
// exists, if there is none. It is
// no operation of a program: it is not counted and passes no hook. Bytes that do
// not change cost next to nothing.
func (f *FS) SetBytes(path string, data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path = filepath.Clean(path)
	n := f.names[path]
	if n == nil {
		n = f.make(path)
	}
	n.resize(int64(len(data)))
	for i, at := 0, 0; at < len(data); i, at = i+1, at+sectorSize {
		part := data[at:min(len(data), at+sectorSize)]
		if !n.equal(i, part) {
			n.write(part, int64(at))
		}
	}
	n.sizes, n.dirty, n.given = nil, nil, nil
	f.pending = slices.DeleteFunc(f.pending, func(c change) bool { return c.path() == path })
	f.disk[path] = n
}

// equal says whether sector i begins with part.
func (n *inode) equal(i int, part []byte) bool {
	if n.sectors[i] == nil {
		return string(part) == string(zeros[:len(part)])
	}
	return string(part) == string(n.sectors[i][:len(part)])
}

// zeros is what a nil sector holds.
var zeros sector
