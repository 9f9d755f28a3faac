package store

import "math/bits"

// arena keeps the bodies of a shard's jobs in size-classed chunks cut from
// pages of pageSize bytes, after Bonwick's slab allocator (USENIX 1994). The
// collector sees one pointer a page instead of one a body. A page whose last
// chunk is freed is handed back whole, so memory follows the number of jobs
// down as well as up. Bodies too large to share a page get an allocation of
// their own.
//
// A ref is a uint32: 0 is nothing; with largeBit it is an index into large,
// otherwise page number and chunk number.
type arena struct {
	pages     []*page
	freePages []uint32             // numbers whose page was handed back
	partial   [numClasses][]uint32 // pages of a class with room
	large     [][]byte
	freeLarge []uint32
}

const (
	pageSize  = 64 << 10
	chunkBits = 12 // a page of the smallest class has pageSize/16 chunks
	largeBit  = 1 << 31
	maxPages  = largeBit >> chunkBits
	maxShared = 8 << 10 // larger bodies have an allocation of their own
	minShift  = 4       // smallest chunk: 16 bytes
)

// page is pageSize bytes cut into equal chunks. Free chunks form a list
// through their own first two bytes (chunk number + 1, 0 ends it); chunks
// from bump on were never used.
type page struct {
	mem   []byte
	class uint8
	free  uint16
	bump  uint16
	used  uint16
	at    int // position in its class's partial list, -1 when full
}

// Classes are 16 bytes apart up to 256, then eight to a doubling: a chunk
// wastes at most an eighth of itself above 128 bytes.
const (
	linearClasses = 16
	numClasses    = linearClasses + 8*5 // 256 -> 8 KiB is five doublings
)

// classOf returns the class whose chunks hold n bytes, 1 <= n <= maxShared.
func classOf(n int) int {
	if n <= linearClasses<<minShift {
		return (n - 1) >> minShift
	}
	k := bits.Len(uint(n-1)) - 1 // 2^k <= n-1 < 2^(k+1), k >= 8
	return linearClasses + (k-8)*8 + ((n-1)>>(k-3))&7
}

// classSize returns the bytes of a chunk of class c.
func classSize(c int) int {
	if c < linearClasses {
		return (c + 1) << minShift
	}
	c -= linearClasses
	k := 8 + c/8
	return 1<<k + (c%8+1)<<(k-3)
}

// chunkSize returns what a body of n bytes occupies.
func chunkSize(n int) int {
	switch {
	case n == 0:
		return 0
	case n > maxShared:
		return n
	}
	return classSize(classOf(n))
}

// alloc returns the ref and the memory of n bytes; the caller fills it.
func (a *arena) alloc(n int) (uint32, []byte) {
	if n == 0 {
		return 0, nil
	}
	if n > maxShared {
		return a.allocLarge(n)
	}
	c := classOf(n)
	num, p := a.room(c)
	size := classSize(c)
	var chunk int
	if p.free != 0 {
		chunk = int(p.free) - 1
		m := p.mem[chunk*size:]
		p.free = uint16(m[0]) | uint16(m[1])<<8
	} else {
		chunk = int(p.bump)
		p.bump++
	}
	p.used++
	if p.free == 0 && int(p.bump) == len(p.mem)/size {
		a.detach(p)
	}
	return num<<chunkBits | uint32(chunk) + 1<<chunkBits, p.mem[chunk*size : chunk*size+n : (chunk+1)*size]
}

// room returns a page of class c with a free chunk.
func (a *arena) room(c int) (uint32, *page) {
	if l := a.partial[c]; len(l) > 0 {
		num := l[len(l)-1]
		return num, a.pages[num]
	}
	p := &page{mem: make([]byte, pageSize), class: uint8(c), at: -1}
	var num uint32
	if k := len(a.freePages); k > 0 {
		num = a.freePages[k-1]
		a.freePages = a.freePages[:k-1]
		a.pages[num] = p
	} else {
		num = uint32(len(a.pages))
		a.pages = append(a.pages, p)
	}
	a.attach(num, p)
	return num, p
}

func (a *arena) attach(num uint32, p *page) {
	p.at = len(a.partial[p.class])
	a.partial[p.class] = append(a.partial[p.class], num)
}

func (a *arena) detach(p *page) {
	l := a.partial[p.class]
	last := l[len(l)-1]
	l[p.at] = last
	a.pages[last].at = p.at
	a.partial[p.class] = l[:len(l)-1]
	p.at = -1
}

func (a *arena) allocLarge(n int) (uint32, []byte) {
	mem := make([]byte, n)
	if k := len(a.freeLarge); k > 0 {
		i := a.freeLarge[k-1]
		a.freeLarge = a.freeLarge[:k-1]
		a.large[i] = mem
		return i | largeBit, mem
	}
	a.large = append(a.large, mem)
	return uint32(len(a.large)-1) | largeBit, mem
}

// full reports whether no further page can be addressed.
func (a *arena) full() bool { return len(a.pages) >= maxPages-1 && len(a.freePages) == 0 }

// get returns the n bytes behind ref; they stay the arena's.
func (a *arena) get(ref uint32, n int) []byte {
	if ref == 0 {
		return nil
	}
	if ref&largeBit != 0 {
		return a.large[ref&^largeBit]
	}
	ref -= 1 << chunkBits
	p := a.pages[ref>>chunkBits]
	at := int(ref&(1<<chunkBits-1)) * classSize(int(p.class))
	return p.mem[at : at+n]
}

// release frees ref. A page that becomes empty is handed back to the runtime,
// unless it is the only one of its class with room: the next body of that size
// is likely to come soon.
func (a *arena) release(ref uint32) {
	if ref == 0 {
		return
	}
	if ref&largeBit != 0 {
		i := ref &^ largeBit
		a.large[i] = nil
		a.freeLarge = append(a.freeLarge, i)
		return
	}
	ref -= 1 << chunkBits
	num, chunk := ref>>chunkBits, ref&(1<<chunkBits-1)
	p := a.pages[num]
	m := p.mem[int(chunk)*classSize(int(p.class)):]
	m[0], m[1] = byte(p.free), byte(p.free>>8)
	p.free = uint16(chunk) + 1
	p.used--
	if p.at < 0 {
		a.attach(num, p)
	}
	if p.used == 0 && len(a.partial[p.class]) > 1 {
		a.detach(p)
		a.pages[num] = nil
		a.freePages = append(a.freePages, num)
	}
}
