package store

import "github.com/disqo/disqo/store/planted"

// Waiter is a consumer blocked in GETJOB, in the FIFO of each queue it named.
//
// It has one claim. Whoever may end its wait (a hand-off here, a timeout, a
// disconnect, a job it found itself) takes the claim first; only the winner
// may pop a job for it. Claim and Deliver are called under the lock of a shard
// and must not block.
type Waiter interface {
	// Claim takes the claim and reports whether it was still to be had.
	Claim() bool
	// Deliver hands over a job after Claim was won. j and its memory are the
	// store's and end with the call.
	Deliver(j *Job)
	// Wake ends the wait. The store never calls it: it lists the waiters to
	// be woken in Effects, for its caller to do so without the lock.
	Wake()
}

// Ticket is a waiter's place in the FIFO of one queue.
type Ticket struct {
	waiter     Waiter
	queue      *queue // nil when it left the FIFO
	prev, next *Ticket
}

type waitList struct {
	first, last *Ticket
	len         int
}

func (l *waitList) push(t *Ticket) {
	t.prev, t.next = l.last, nil
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
	l.len++
}

func (l *waitList) remove(t *Ticket) {
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next, t.queue = nil, nil, nil
	l.len--
}

// serve hands deliverable jobs of q to its waiters, first come, first served. q
// need not be live: a job with a delay does not make it so.
// After it, q has no deliverable job or no waiter.
func (s *Shard) serve(now int64, q *queue, fx *Effects) {
	for q.pause&PauseOut == 0 && q.waiters.first != nil && q.jobs.Len() > 0 {
		t := q.waiters.first
		s.leave(q, t)
		if !t.waiter.Claim() && !planted.Is(planted.DoubleHandOff) {
			continue
		}
		t.waiter.Deliver(s.pop(now, q, fx))
		fx.Wakes = append(fx.Wakes, t.waiter)
	}
	if len(s.hungry) > 0 && q.live {
		s.feed(now, q, fx)
	}
}

// Block puts w at the end of a queue's FIFO, or delivers a job to it at once
// if one came in the meantime. The ticket is nil when w's claim is taken, here
// or elsewhere, so that it needs to wait at no further queue.
func (s *Shard) Block(now int64, name []byte, w Waiter, fx *Effects) (*Ticket, error) {
	q, err := s.intern(name)
	if err != nil {
		return nil, err
	}
	s.awaken(q, now)
	q.atime = now
	if q.pause&PauseOut == 0 && q.jobs.Len() > 0 {
		if w.Claim() {
			w.Deliver(s.pop(now, q, fx))
			fx.Wakes = append(fx.Wakes, w)
		}
		return nil, nil
	}
	t := &Ticket{waiter: w, queue: q}
	if q.waiters.first == nil {
		if q.waitedNext = s.waited; s.waited != nil {
			s.waited.waitedPrev = q
		}
		s.waited = q
	}
	q.waiters.push(t)
	s.want(now, q, false, fx)
	return t, nil
}

// Unblock takes a ticket back; one that was served already is ignored.
func (s *Shard) Unblock(t *Ticket) {
	if t.queue != nil {
		s.leave(t.queue, t)
	}
}

// leave takes a ticket out of the FIFO of its queue.
func (s *Shard) leave(q *queue, t *Ticket) {
	q.waiters.remove(t)
	if q.waiters.first != nil {
		return
	}
	if q.waitedNext != nil {
		q.waitedNext.waitedPrev = q.waitedPrev
	}
	if q.waitedPrev != nil {
		q.waitedPrev.waitedNext = q.waitedNext
	} else {
		s.waited = q.waitedNext
	}
	q.waitedNext, q.waitedPrev = nil, nil
}
