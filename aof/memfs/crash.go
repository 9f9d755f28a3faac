package memfs

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
)

// UnitKind says what may survive a crash or not.
type UnitKind uint8

// The kinds of units.
const (
	Entry  UnitKind = iota // a change of a directory
	Length                 // the size of a file
	Sector                 // 512 bytes of a file
)

// Unit is something that is not durable: after a crash it is in one of N states.
// 0 is the durable one, N-1 the newest.
type Unit struct {
	Kind UnitKind
	Path string
	Off  int64 // of a sector, in bytes
	N    int   // at least 2
}

// Crash returns what a disk may hold after a power loss now: choose is called
// for every unit, in an order that depends on nothing but the operations so far,
// and returns which of its states survives. It must not use this FS. The result
// is independent of this FS, which goes on; all of it is durable, nothing is
// locked.
func (f *FS) Crash(choose func(Unit) int) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := maps.Clone(f.disk)
	for _, c := range f.pending {
		if choose(Unit{Kind: Entry, Path: c.path(), N: 2}) != 0 {
			c.apply(names)
		}
	}
	c := f.with(names, func(path string, n *inode) *inode { return n.crash(path, choose) })
	c.disk = maps.Clone(c.names)
	return c
}

// with returns a new FS of these names whose files copy makes, each once, in the
// order of their creation. The mutex is held.
func (f *FS) with(names map[string]*inode, copy func(string, *inode) *inode) *FS {
	type file struct {
		path string
		node *inode
	}
	files := make([]file, 0, len(names))
	for path, n := range names {
		files = append(files, file{path, n})
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.node.id, b.node.id), cmp.Compare(a.path, b.path))
	})
	c := &FS{
		dirs: maps.Clone(f.dirs), names: make(map[string]*inode, len(names)), locks: map[string]bool{},
		inodes: f.inodes, capacity: f.capacity,
	}
	for i, file := range files {
		if i > 0 && files[i-1].node == file.node { // two names, or half of a move between directories
			c.names[file.path] = c.names[files[i-1].path]
			continue
		}
		c.names[file.path] = copy(file.path, file.node)
	}
	return c
}

// crash returns what may be left of a file.
func (n *inode) crash(path string, choose func(Unit) int) *inode {
	c := n.share()
	if len(n.sizes) > 0 {
		c.size = n.sizes[choose(Unit{Kind: Length, Path: path, N: len(n.sizes)})]
		c.own()
		c.sectors = fit(c.sectors, c.size)
	}
	for _, i := range slices.Sorted(maps.Keys(n.dirty)) {
		versions := n.dirty[i]
		s := versions[choose(Unit{Kind: Sector, Path: path, Off: int64(i) * sectorSize, N: len(versions)})]
		if i < len(c.sectors) && c.sectors[i] != s {
			c.own()
			c.sectors[i] = s
		}
	}
	if last := len(c.sectors) - 1; c.size%sectorSize != 0 && c.sectors[last] != nil {
		c.own()
		c.sectors[last] = c.sectors[last].cut(c.size)
	}
	return c
}

// CrashNone is a crash in which nothing survives that was not durable.
func (f *FS) CrashNone() *FS { return f.Crash(func(Unit) int { return 0 }) }

// CrashAll is a crash in which everything survives.
func (f *FS) CrashAll() *FS { return f.Crash(func(u Unit) int { return u.N - 1 }) }

// CrashRandom is a crash in which chance decides: first how much survives, then
// what.
func (f *FS) CrashRandom(rng *rand.Rand) *FS {
	keep := rng.Float64()
	return f.Crash(func(u Unit) int {
		if rng.Float64() >= keep {
			return 0
		}
		return 1 + rng.IntN(u.N-1)
	})
}

// Kill ends the programs that use this FS and returns what the next ones see, as
// Clone does. Everything done with the old FS and its handles fails with
// fs.ErrClosed from here on.
func (f *FS) Kill() *FS {
	c := f.Clone()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead = true
	return c
}

// Clone returns what a kill of the programs that use this FS would leave to the
// next ones: every write, with the same of it durable as here, and no lock. The
// programs go on.
func (f *FS) Clone() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	twins := map[*inode]*inode{}
	twin := func(_ string, n *inode) *inode {
		if twins[n] == nil {
			twins[n] = n.clone()
		}
		return twins[n]
	}
	c := f.with(f.names, twin)
	c.disk = f.with(f.disk, twin).names
	c.pending = slices.Clone(f.pending)
	for i := range c.pending {
		c.pending[i].node = twin("", c.pending[i].node)
	}
	return c
}
