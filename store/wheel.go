package store

import "math/bits"

// wheel is a hierarchical timing wheel (Varghese and Lauck, SOSP 1987) over
// slots: eight levels of 64 buckets, one millisecond a tick at the lowest,
// 2^48 in all. Timers are the slots themselves, in doubly linked lists, so
// starting and stopping one is O(1) and costs no memory.
//
// A timer stands at the level of the highest six-bit digit in which its
// deadline differs from cur. So whatever stands at a level is due before
// everything at the levels above, and the earliest bucket is found by looking
// at eight bitmaps.
type wheel struct {
	slots *slots
	cur   int64 // every timer due at or before cur has fired or is in dueBucket
	head  [numBuckets]uint32
	set   [wheelLevels]uint64 // which buckets of a level have timers
}

const (
	wheelBits   = 6
	wheelLevels = 8
	wheelMask   = 1<<wheelBits - 1
	dueBucket   = wheelLevels << wheelBits // timers taken off the wheel, to be fired or put back
	numBuckets  = dueBucket + 1
	bucketTag   = 1 << 31 // slot.prev names a bucket: the slot is its first
)

// deadline is when a job wants to be looked at again.
func (s *slots) deadline(h uint32) int64 {
	j, c := s.get(h), s.copies(h)
	at := j.etime
	if j.state == Active && j.qtime != 0 {
		at = min(at, c.asksAt(j.qtime))
	}
	if c != nil && c.ptime != 0 {
		at = min(at, c.ptime)
	}
	if t := s.terms(h); t != nil && t.tellAt != 0 {
		at = min(at, t.tellAt)
	}
	return at
}

// start puts the timer of h on the wheel; it must not be there.
func (w *wheel) start(h uint32) {
	s, d := w.slots.get(h), w.slots.deadline(h)
	if d <= w.cur {
		w.push(dueBucket, h, s)
		return
	}
	level := (bits.Len64(uint64(d^w.cur)) - 1) / wheelBits
	b := level<<wheelBits | int(d>>(level*wheelBits))&wheelMask
	w.set[level] |= 1 << (b & wheelMask)
	w.push(b, h, s)
}

func (w *wheel) push(b int, h uint32, s *slot) {
	s.next, s.prev = w.head[b], bucketTag|uint32(b)
	if s.next != 0 {
		w.slots.get(s.next).prev = h
	}
	w.head[b] = h
}

// stop takes the timer of h off the wheel; it must be there.
func (w *wheel) stop(h uint32) {
	s := w.slots.get(h)
	if s.next != 0 {
		w.slots.get(s.next).prev = s.prev
	}
	if s.prev&bucketTag == 0 {
		w.slots.get(s.prev).next = s.next
		return
	}
	b := s.prev &^ bucketTag
	w.head[b] = s.next
	if s.next == 0 && b != dueBucket {
		w.set[b>>wheelBits] &^= 1 << (b & wheelMask)
	}
}

// next returns the time of the earliest bucket that has timers: none fires
// before it. ok is false when there is no timer.
func (w *wheel) next() (at int64, ok bool) {
	if w.head[dueBucket] != 0 {
		return w.cur, true
	}
	if b, t := w.earliest(); b >= 0 {
		return t, true
	}
	return 0, false
}

// earliest returns the bucket that is due first and its time, -1 for none.
func (w *wheel) earliest() (bucket int, at int64) {
	for level := range wheelLevels {
		if w.set[level] == 0 {
			continue
		}
		i := bits.TrailingZeros64(w.set[level])
		shift := level * wheelBits
		upper := w.cur >> (shift + wheelBits) << (shift + wheelBits)
		return level<<wheelBits | i, upper | int64(i)<<shift
	}
	return -1, 0
}

// advance moves the wheel to now and calls fire for each timer that is due,
// its timer stopped. It handles at most budget timers and reports whether
// there is more to do at this now.
func (w *wheel) advance(now int64, budget int, fire func(h uint32)) (more bool) {
	for {
		for h := w.head[dueBucket]; h != 0; h = w.head[dueBucket] {
			if budget == 0 {
				return true
			}
			budget--
			w.stop(h)
			if w.slots.deadline(h) <= w.cur {
				fire(h)
			} else {
				w.start(h)
			}
		}
		b, at := w.earliest()
		if b < 0 || at > now {
			w.cur = max(w.cur, now)
			return false
		}
		w.cur = at
		w.head[dueBucket], w.head[b] = w.head[b], 0
		w.slots.get(w.head[dueBucket]).prev = bucketTag | dueBucket
		w.set[b>>wheelBits] &^= 1 << (b & wheelMask)
	}
}
