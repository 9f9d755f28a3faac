package memfs

import (
	"maps"
	"slices"
)

// sectorSize is what a disk writes as a whole or not at all, in bytes.
const sectorSize = 512

// sector is immutable once it is part of a file, so that file systems can share
// it. A nil one is all zeros.
type sector [sectorSize]byte

// inode is the contents of a file, whatever it is called. Its FS's mutex guards it.
type inode struct {
	id      int // order of creation, for a stable order of choices
	size    int64
	sectors []*sector // as many as size needs
	shared  bool      // sectors is part of another FS too: copy before a change

	// What is not synced: the sizes and the versions of each sector, oldest (the
	// durable one) first, newest last. Empty if nothing changed.
	sizes []int64
	dirty map[int][]*sector
	// given are the dirty sectors that a sync failed to write: the system takes
	// them for clean, so that no later sync writes them, until they are written to.
	given map[int]bool
}

// count returns how many sectors size bytes need.
func count(size int64) int { return int((size + sectorSize - 1) / sectorSize) }

// read copies what there is at off into p, and returns how much it was.
func (n *inode) read(p []byte, off int64) (done int) {
	p = p[:max(0, min(int64(len(p)), n.size-off))]
	for done < len(p) {
		at := off + int64(done)
		part := p[done:min(len(p), done+sectorSize-int(at%sectorSize))]
		if s := n.sectors[at/sectorSize]; s != nil {
			copy(part, s[at%sectorSize:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return done
}

// write puts p at off and makes the file longer if need be.
func (n *inode) write(p []byte, off int64) {
	if end := off + int64(len(p)); len(p) > 0 && end > n.size {
		n.resize(end)
	}
	for len(p) > 0 {
		var s sector
		i, in := int(off/sectorSize), int(off%sectorSize)
		if old := n.sectors[i]; old != nil {
			s = *old
		}
		done := copy(s[in:], p)
		n.put(i, &s)
		p, off = p[done:], off+int64(done)
	}
}

// resize cuts or extends the file. What is cut is zeros if it comes back.
func (n *inode) resize(size int64) {
	if size == n.size {
		return
	}
	if len(n.sizes) == 0 {
		n.sizes = append(n.sizes, n.size)
	}
	n.sizes = append(n.sizes, size)
	if size < n.size {
		for i := count(size); i < len(n.sectors); i++ {
			if n.sectors[i] != nil {
				n.put(i, nil)
			}
		}
		if i := size / sectorSize; size%sectorSize != 0 && n.sectors[i] != nil {
			n.put(int(i), n.sectors[i].cut(size))
		}
	}
	n.own()
	n.sectors = fit(n.sectors, size)
	n.size = size
}

// cut returns the sector with zeros from where a file of size bytes ends.
func (s *sector) cut(size int64) *sector {
	head := *s
	clear(head[size%sectorSize:])
	return &head
}

// fit makes a list of sectors as long as size bytes need.
func fit(list []*sector, size int64) []*sector {
	if n := count(size); n < len(list) {
		return list[:n]
	}
	return append(list, make([]*sector, count(size)-len(list))...)
}

// put makes s the newest version of sector i.
func (n *inode) put(i int, s *sector) {
	n.own()
	if n.dirty == nil {
		n.dirty = map[int][]*sector{}
	}
	if len(n.dirty[i]) == 0 {
		n.dirty[i] = append(n.dirty[i], n.sectors[i])
	}
	n.dirty[i] = append(n.dirty[i], s)
	n.sectors[i] = s
	delete(n.given, i)
}

// own makes the list of sectors this inode's alone.
func (n *inode) own() {
	if n.shared {
		n.sectors, n.shared = slices.Clone(n.sectors), false
	}
}

// sync makes the size durable, and the contents but for what was given up.
func (n *inode) sync() {
	n.sizes = nil
	if len(n.given) == 0 {
		n.dirty = nil
		return
	}
	maps.DeleteFunc(n.dirty, func(i int, _ []*sector) bool { return !n.given[i] })
}

// giveUp is a sync that failed.
func (n *inode) giveUp() {
	if n.given == nil {
		n.given = map[int]bool{}
	}
	for i := range n.dirty {
		n.given[i] = true
	}
}

// share returns a second inode with the same contents and nothing unsynced.
func (n *inode) share() *inode {
	n.shared = true
	return &inode{id: n.id, size: n.size, sectors: n.sectors, shared: true}
}

// clone returns a second inode in the same state.
func (n *inode) clone() *inode {
	c := n.share()
	c.given, c.sizes = maps.Clone(n.given), slices.Clone(n.sizes)
	if n.dirty != nil {
		c.dirty = maps.Clone(n.dirty)
		for i, versions := range c.dirty {
			c.dirty[i] = slices.Clone(versions)
		}
	}
	return c
}
