package store

// index finds a job's slot by its id: an open-addressed table of handles with
// linear probing, checked against the slot's own id, so that an entry is four
// bytes. It grows and shrinks by moving a few buckets at each change, so that
// no change pays for moving the whole table.
type index struct {
	slots *slots
	cur   []uint32
	count int // entries in cur
	old   []uint32
	moved int // buckets of old that were moved
}

const (
	minIndex  = 64
	moveBatch = 32         // buckets moved at each change; far more than growth needs
	tombstone = ^uint32(0) // a bucket of old whose entry went away
)

func newIndex(s *slots) *index { return &index{slots: s, cur: make([]uint32, minIndex)} }

// find returns the handle of id, 0 when unknown.
func (x *index) find(id *ID) uint32 {
	if at := x.probe(x.cur, id); at >= 0 {
		return x.cur[at]
	}
	if x.old != nil {
		if at := x.probe(x.old, id); at >= 0 {
			return x.old[at]
		}
	}
	return 0
}

// probe returns the bucket of id in t, -1 when it is not there.
func (x *index) probe(t []uint32, id *ID) int {
	mask := uint32(len(t) - 1)
	for i := id.sum() & mask; ; i = (i + 1) & mask {
		h := t[i]
		if h == 0 {
			return -1
		}
		if h != tombstone && x.slots.get(h).id == *id {
			return int(i)
		}
	}
}

// insert adds a handle whose id is not in the index.
func (x *index) insert(h uint32) {
	x.move()
	if x.old == nil && x.count+1 > len(x.cur)*3/4 {
		x.resize(len(x.cur) * 2)
	}
	x.place(h)
}

func (x *index) place(h uint32) {
	mask := uint32(len(x.cur) - 1)
	i := x.slots.get(h).id.sum() & mask
	for x.cur[i] != 0 {
		i = (i + 1) & mask
	}
	x.cur[i] = h
	x.count++
}

// remove deletes id; its slot must still hold it.
func (x *index) remove(id *ID) {
	if at := x.probe(x.cur, id); at >= 0 {
		x.closeGap(uint32(at))
		x.count--
	} else if x.old != nil {
		if at := x.probe(x.old, id); at >= 0 {
			x.old[at] = tombstone
		}
	}
	x.move()
	if x.old == nil && len(x.cur) > minIndex && x.count < len(x.cur)/8 {
		x.resize(len(x.cur) / 4)
	}
}

// closeGap empties bucket i of cur and moves later entries of the same run
// back, so that cur needs no tombstones (Knuth, volume 3, algorithm 6.4 R).
func (x *index) closeGap(i uint32) {
	mask := uint32(len(x.cur) - 1)
	for j := (i + 1) & mask; x.cur[j] != 0; j = (j + 1) & mask {
		home := x.slots.get(x.cur[j]).id.sum() & mask
		if (j-home)&mask >= (j-i)&mask {
			x.cur[i] = x.cur[j]
			i = j
		}
	}
	x.cur[i] = 0
}

func (x *index) resize(n int) {
	x.old, x.moved, x.count = x.cur, 0, 0
	x.cur = make([]uint32, n)
}

// move carries a batch of old's buckets over to cur. While old exists cur
// never fills up: moving ends long before as many inserts have come.
func (x *index) move() {
	if x.old == nil {
		return
	}
	end := min(x.moved+moveBatch, len(x.old))
	for ; x.moved < end; x.moved++ {
		if h := x.old[x.moved]; h != 0 && h != tombstone {
			x.old[x.moved] = tombstone
			x.place(h)
		}
	}
	if x.moved == len(x.old) {
		x.old = nil
	}
}
