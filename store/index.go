package store

// index finds a job's slot by its id: an open-addressed table with linear
// probing. An entry is the hash of an id and the handle of its slot, so that a
// search looks at few slots beside the one it is for, and moving an entry at
// none: a slot is a cache miss. A bucket follows from the hash by
// multiplication (Lemire, "Fast random integer generation in an interval", 2019),
// so tables of any length will do, and each is in order of the hash.
//
// Therefore a table grows, and shrinks, from front to back: at each change a few
// buckets of old are carried over to cur, and what is behind them is given up. A
// hash whose bucket of old is before moved is in cur, any other in old, and no
// change pays for the whole table, in time or in memory.
type index struct {
	slots *slots
	count int   // entries
	cur   table // what changes go to, but for old's
	old   table // empty, unless a change of size is under way
	moved int   // buckets of old that were given up
	spare []*segment
}

// entry is hash << 32 | handle; 0 is an empty bucket.
type entry uint64

func newEntry(id *ID, h uint32) entry { return entry(id.sum())<<32 | entry(h) }

func (e entry) hash() uint32   { return uint32(e >> 32) }
func (e entry) handle() uint32 { return uint32(e) }

// table has n buckets, and as many more at its end as entries are pushed beyond
// it. Segments that were never written are nil.
type table struct {
	n    int
	segs []*segment
}

type segment [segBuckets]entry

const (
	segBuckets = 128
	moveBatch  = 32 // buckets moved at each change, at least; far more than growth needs
	mostSpare  = 4  // segments
)

func newTable(segments int) table {
	return table{n: segments * segBuckets, segs: make([]*segment, segments)}
}

// home returns the bucket of a hash.
func (t *table) home(hash uint32) int { return int(uint64(hash) * uint64(t.n) >> 32) }

func (t *table) at(i int) entry {
	if s := i / segBuckets; s < len(t.segs) && t.segs[s] != nil {
		return t.segs[s][i%segBuckets]
	}
	return 0
}

func newIndex(s *slots) *index { return &index{slots: s, cur: newTable(1)} }

// find returns the handle of id, 0 when unknown.
func (x *index) find(id *ID) uint32 {
	t := x.of(id.sum())
	if i := x.probe(t, id); i >= 0 {
		return t.at(i).handle()
	}
	return 0
}

// of returns the table that a hash is in.
func (x *index) of(hash uint32) *table {
	if x.old.n > 0 && x.old.home(hash) >= x.moved {
		return &x.old
	}
	return &x.cur
}

// probe returns the bucket of id in t, -1 when it is not there.
func (x *index) probe(t *table, id *ID) int {
	hash := id.sum()
	i := t.home(hash)
	for s, k := i/segBuckets, i%segBuckets; s < len(t.segs) && t.segs[s] != nil; s, k = s+1, 0 {
		seg := t.segs[s]
		for ; k < segBuckets; k++ {
			e := seg[k]
			if e == 0 {
				return -1
			}
			if e.hash() == hash && x.slots.get(e.handle()).id == *id {
				return s*segBuckets + k
			}
		}
	}
	return -1
}

// insert adds a handle whose id is not in the index.
func (x *index) insert(h uint32) {
	x.move()
	if x.count++; x.old.n == 0 && x.count > x.cur.n/4*3 {
		x.resize(x.cur.n/segBuckets*3/2 + 1)
	}
	e := newEntry(&x.slots.get(h).id, h)
	x.place(x.of(e.hash()), e)
}

// place writes e to the first empty bucket from its home on.
func (x *index) place(t *table, e entry) {
	i := t.home(e.hash())
	for s, k := i/segBuckets, i%segBuckets; ; s, k = s+1, 0 {
		seg := x.segment(t, s)
		for ; k < segBuckets; k++ {
			if seg[k] == 0 {
				seg[k] = e
				return
			}
		}
	}
}

// segment returns a segment to write to; s is at most one past the last.
func (x *index) segment(t *table, s int) *segment {
	if s == len(t.segs) {
		t.segs = append(t.segs, nil)
	}
	if t.segs[s] == nil {
		if k := len(x.spare); k > 0 {
			t.segs[s], x.spare = x.spare[k-1], x.spare[:k-1]
			*t.segs[s] = segment{}
		} else {
			t.segs[s] = new(segment)
		}
	}
	return t.segs[s]
}

// remove deletes id, which is in the index; its slot must still hold it.
func (x *index) remove(id *ID) {
	t := x.of(id.sum())
	t.closeGap(x.probe(t, id))
	x.count--
	x.move()
	if x.old.n == 0 && x.cur.n > segBuckets && x.count < x.cur.n/4 {
		x.resize((x.cur.n/segBuckets + 1) / 2)
	}
}

// closeGap empties bucket i and moves later entries of the same run back, so
// that there are no tombstones (Knuth, volume 3, algorithm 6.4 R).
func (t *table) closeGap(i int) {
	for j := i + 1; ; j++ {
		e := t.at(j)
		if e == 0 {
			break
		}
		if t.home(e.hash()) <= i {
			t.segs[i/segBuckets][i%segBuckets] = e
			i = j
		}
	}
	t.segs[i/segBuckets][i%segBuckets] = 0
}

func (x *index) resize(segments int) {
	x.old, x.moved, x.cur = x.cur, 0, newTable(segments)
}

// move carries the next entries of old over to cur, up to an empty bucket: what
// is behind it has its place behind it. While old exists cur never fills up:
// moving ends long before as many inserts have come.
func (x *index) move() {
	if x.old.n == 0 {
		return
	}
	for end := x.moved + moveBatch; ; {
		e := x.old.at(x.moved)
		if e == 0 && x.moved >= min(end, x.old.n) {
			break
		}
		if e != 0 {
			x.place(&x.cur, e)
		}
		if x.moved++; x.moved%segBuckets == 0 {
			x.giveUp(x.moved/segBuckets - 1)
		}
	}
	if x.moved >= x.old.n {
		x.old, x.moved, x.spare = table{}, 0, nil
	}
}

// giveUp drops a segment of old.
func (x *index) giveUp(s int) {
	if seg := x.old.segs[s]; seg != nil && len(x.spare) < mostSpare {
		x.spare = append(x.spare, seg)
	}
	x.old.segs[s] = nil
}
