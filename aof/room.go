package aof

import (
	"slices"
	"time"
)

// MaxReserve is the most that can be reserved at a time, bytes.
const MaxReserve = 1 << 30

// Every segment keeps room at its end: for a close and a seal, without which
// it cannot be left; and for the batches of some Drops, without which a full
// disk would stay full.
const (
	tail     = 2 * BatchHeader
	dropRoom = 16 * BatchHeader
)

// Class says what room may be used for it when space is short.
type Class uint8

const (
	// Ordinary is what takes space for long: it has none on a full disk.
	Ordinary Class = iota
	// Urgent is what frees space or must not wait, such as acknowledgements, and
	// holds nothing that lives: it may use what a full disk left but for what it
	// takes to write anew all that can live in a segment.
	Urgent
	// Reclaim is the writing anew of records, so that their segments can be
	// dropped: it may use all.
	Reclaim
)

// roomWaiter is a Reserve that waits.
type roomWaiter struct {
	n     int64
	class Class
	done  bool // err is the outcome
	err   error
	wake  chan struct{} // capacity 1
}

// Reserve waits for room to append n more bytes, RecordOverhead per record
// included, for so long at most; 0 is no bound. Append or Unreserve gives them
// back. Errors: *FullError when the disk is full, at once unless c is Urgent,
// which waits for that to change; ErrBusy after that time, ErrTooLarge,
// ErrClosed, or the failure that ended the log.
//
// The caller holds no lock that an appender needs, and no other reservation.
func (l *Log) Reserve(n int, c Class, most time.Duration) error {
	size := int64(n)
	if l.out.Add(size) <= l.fast.Load() {
		return nil
	}
	l.out.Add(-size)
	if n < 0 || n > MaxReserve {
		return ErrTooLarge
	}
	w := &roomWaiter{n: size, class: c, wake: make(chan struct{}, 1)}
	l.mu.Lock()
	l.ahead()
	l.rooms = append(l.rooms, w)
	l.queued.Add(1)
	l.grant()
	if !w.done {
		l.ahead() // it wants a larger one
		l.grant()
	}
	if !w.done && !l.o.Manual {
		l.waitRoom(w, most)
	}
	defer l.mu.Unlock()
	if w.done {
		return w.err
	}
	l.rooms = slices.DeleteFunc(l.rooms, func(o *roomWaiter) bool { return o == w })
	l.queued.Add(-1)
	l.grant()
	if l.full != nil {
		return l.full
	}
	return ErrBusy
}

// ahead makes the spares of a Manual log, which has no keeper, that are due. mu
// is held, and let go meanwhile.
func (l *Log) ahead() {
	if l.o.Manual && l.lacking() {
		l.mu.Unlock()
		l.provide()
		l.mu.Lock()
	}
}

// waitRoom returns when w is done or the time has passed. mu is held, and let
// go meanwhile.
func (l *Log) waitRoom(w *roomWaiter, most time.Duration) {
	var timeout <-chan time.Time
	if most > 0 {
		t := time.NewTimer(most)
		defer t.Stop()
		timeout = t.C
	}
	l.mu.Unlock()
	defer l.mu.Lock()
	select {
	case <-w.wake:
	case <-timeout:
	}
}

// Unreserve gives back n bytes of a reservation.
func (l *Log) Unreserve(n int) {
	l.out.Add(-int64(n))
	if l.queued.Load() > 0 {
		l.mu.Lock()
		l.grant()
		l.mu.Unlock()
	}
}

// grant serves those who wait for room, in the order of their coming but for
// classes that may use more, and opens or closes the fast path of Reserve. mu
// is held.
func (l *Log) grant() {
	blocked := -1 // the highest class of which one waits on
	waiting := l.rooms[:0]
	for _, w := range l.rooms {
		var ok bool
		var err error
		if int(w.class) > blocked {
			ok, err = l.admit(w.n, w.class)
		}
		if !ok && err == nil {
			blocked = max(blocked, int(w.class))
			waiting = append(waiting, w)
			continue
		}
		if ok {
			l.out.Add(w.n)
		}
		w.done, w.err = true, err
		w.wake <- struct{}{}
		l.queued.Add(-1)
	}
	clear(l.rooms[len(waiting):])
	l.rooms = waiting
	most := int64(-1)
	if len(l.rooms) == 0 && l.err == nil && !l.closing && !l.lacking() {
		most = l.limit
	}
	l.fast.Store(most)
}

// admit says whether n more bytes may be reserved: neither ok nor an error is
// to wait. mu is held.
//
// With its spares at hand, whatever is outstanding fits into the first. While
// they are being made, and on a full disk, it depends on the class. What exceeds
// the buffer is served alone.
func (l *Log) admit(n int64, c Class) (ok bool, err error) {
	if l.err != nil {
		return false, l.err
	}
	if l.closing {
		return false, ErrClosed
	}
	out := l.out.Load()
	if n > l.limit && out > 0 || n <= l.limit && out+n > l.limit {
		return false, nil
	}
	if n > l.limit && batchSize(n) > l.head.free(l.off) && (len(l.spares) == 0 || l.spares[0].size < nextSize(n)) {
		if l.full != nil {
			return false, l.full
		}
		l.wants(nextSize(n))
		return false, nil
	}
	if !l.lacking() {
		return true, nil
	}
	l.wants(0)
	return l.scarce(spread(out+n), c)
}

// scarce is admit while there are too few spares; need bytes are outstanding,
// with what asks. mu is held.
func (l *Log) scarce(need int64, c Class) (ok bool, err error) {
	most := l.head.free(l.off)
	if len(l.spares) > 0 {
		most = max(most, l.spares[0].free(SegmentHeader))
	}
	switch {
	case c == Ordinary && l.full != nil:
		return false, l.full
	case need <= most && l.room()-need >= l.kept(c):
		return true, nil
	case c == Reclaim && l.full != nil && l.out.Load() == 0:
		return false, l.full // there is nothing to be written that would need less than was feared
	case l.full != nil:
		l.look() // reclamation may help
	}
	return false, nil
}

// room is what the head and the spares can still take. mu is held.
func (l *Log) room() int64 {
	room := max(0, l.head.free(l.off))
	for _, s := range l.spares {
		room += max(0, s.free(SegmentHeader))
	}
	return room
}

// kept is how much room a class leaves when space is short. mu is held.
func (l *Log) kept(c Class) int64 {
	switch c {
	case Ordinary:
		return l.kept(Urgent) + l.leeway()
	case Urgent:
		return l.o.SegmentSize + l.o.SegmentSize/4
	}
	return 0
}

// leeway is what urgent reservations have for themselves. Half of it is more
// than a reclamation of all segments can lose to what is left at the end of each
// sealed one: it grows with their number, as far as two spares allow. mu is held.
func (l *Log) leeway() int64 {
	return l.o.SegmentSize/4 + min(int64(len(l.sealed))*segmentLoss*2, l.o.SegmentSize/8*3)
}

// segmentLoss is what a sealed segment takes beside records: a part of a block
// of the file system, and headers.
const segmentLoss = 4 << 10

// free is what a segment can take from an offset on; negative if that is too
// far.
func (s *segment) free(off int64) int64 { return s.size - tail - dropRoom - off }

// wants asks for spares, the first of at least that size. mu is held.
func (l *Log) wants(size int64) {
	l.want = max(l.want, size)
	kick(l.kickKeeper)
}

// spread bounds what n bytes of records take in a segment: nobody knows in how
// many batches they will come. Records of 16 bytes or more at most quadruple,
// and no thousand batches are on their way at a time.
func spread(n int64) int64 { return min(4*n, n+64<<10) }

// nextSize is the size of a segment into which n bytes of records fit.
func nextSize(n int64) int64 {
	return (SegmentHeader + batchSize(n) + tail + dropRoom + minSegment - 1) / minSegment * minSegment
}
