package store

import (
	"cmp"

	"github.com/tidwall/btree"
)

// line is the queued jobs of a queue in order of delivery: the more urgent
// first, of the same priority the older. Jobs of the priority that they have by
// default stand in a tree of their own, so that they cost what they would if
// there was no other.
type line struct {
	s      *Shard
	plain  *btree.BTreeG[uint32]
	urgent *btree.BTreeG[uint32] // lower than the default; as late nil if there never was one
	late   *btree.BTreeG[uint32]
	aged   *btree.BTreeG[uint32] // those of urgent and late, the oldest first
}

func (s *Shard) newLine() *line { return &line{s: s, plain: s.newOrder()} }

// ranks is the order of jobs with a priority of their own.
func (s *Shard) ranks(a, b uint32) bool {
	if c := cmp.Compare(s.priority(a), s.priority(b)); c != 0 {
		return c < 0
	}
	return s.before(a, b)
}

// tree returns the tree of a job of that priority.
func (l *line) tree(priority uint32) *btree.BTreeG[uint32] {
	switch {
	case priority == DefaultPriority:
		return l.plain
	case l.aged == nil:
		l.aged = l.s.newOrder()
		l.urgent = btree.NewBTreeGOptions(l.s.ranks, btree.Options{NoLocks: true})
		l.late = btree.NewBTreeGOptions(l.s.ranks, btree.Options{NoLocks: true})
	}
	if priority < DefaultPriority {
		return l.urgent
	}
	return l.late
}

// Len returns how many jobs are in line.
func (l *line) Len() int {
	if l.aged == nil {
		return l.plain.Len()
	}
	return l.plain.Len() + l.aged.Len()
}

// Load puts a job in line.
func (l *line) Load(h uint32) {
	p := l.s.priority(h)
	l.tree(p).Load(h)
	if p != DefaultPriority {
		l.aged.Load(h)
	}
}

// Delete takes a job out of the line, if it is there.
func (l *line) Delete(h uint32) {
	p := l.s.priority(h)
	l.tree(p).Delete(h)
	if p != DefaultPriority {
		l.aged.Delete(h)
	}
}

// Min returns the job that is delivered next.
func (l *line) Min() (uint32, bool) {
	if l.aged == nil {
		return l.plain.Min()
	}
	for _, t := range [...]*btree.BTreeG[uint32]{l.urgent, l.plain, l.late} {
		if h, ok := t.Min(); ok {
			return h, true
		}
	}
	return 0, false
}

// PopMin takes the job that is delivered next out of the line.
func (l *line) PopMin() (uint32, bool) {
	if l.aged == nil {
		return l.plain.PopMin()
	}
	h, ok := l.Min()
	if ok {
		l.Delete(h)
	}
	return h, ok
}

// GetAt returns the i-th job in line.
func (l *line) GetAt(i int) (uint32, bool) {
	if l.aged == nil {
		return l.plain.GetAt(i)
	}
	for _, t := range [...]*btree.BTreeG[uint32]{l.urgent, l.plain, l.late} {
		if i < t.Len() {
			return t.GetAt(i)
		}
		i -= t.Len()
	}
	return 0, false
}

// Oldest returns the job in line that was created first.
func (l *line) Oldest() (uint32, bool) {
	h, ok := l.plain.Min()
	if l.aged == nil {
		return h, ok
	}
	a, any := l.aged.Min()
	if !ok || any && l.s.before(a, h) {
		return a, any
	}
	return h, ok
}

// Scan calls yield with the jobs in order of delivery, until it returns false.
func (l *line) Scan(yield func(uint32) bool) {
	more := true
	each := func(h uint32) bool {
		more = yield(h)
		return more
	}
	if l.aged != nil {
		l.urgent.Scan(each)
	}
	if more {
		l.plain.Scan(each)
	}
	if l.aged != nil && more {
		l.late.Scan(each)
	}
}
