package store

import "github.com/disqo/disqo/store/planted"

// How jobs come into their queues, and leave them.

// cause says why a job goes into its queue; it decides what is counted.
type cause uint8

const (
	byAdd    cause = iota // ADDJOB, or the end of a DELAY, or of a lease
	byClient              // ENQUEUE
	byNack                // a consumer gave it back
	byReturn              // it never reached its consumer: nothing is counted
	byMove                // another node handed it over: nothing is counted
)

// enqueue puts an active job into its queue. It reports false for one that is
// queued already, or that must not be delivered again.
func (s *Shard) enqueue(now int64, h uint32, j *slot, why cause, fx *Effects) bool {
	switch {
	case !j.returns():
		return false
	case dead(s.generation(h)): // it was set aside when it died
		s.lie(now, h)
		s.noteTerms(h, true, fx)
		return true
	}
	again, c, t := j.flags&flagQueuedOnce != 0, s.slots.copies(h), s.slots.terms(h)
	switch {
	case why == byNack:
		j.nacks = saturate(j.nacks)
		s.happenedTo(j, EventNacked)
	case t != nil && t.flags&termsHeld != 0: // it was counted as the delivery failed
	case why <= byClient && again:
		j.extra = saturate(j.extra)
		if why == byAdd {
			s.happenedTo(j, EventRetried)
		}
	}
	if why == byClient || why == byNack {
		c.outrank()
	}
	q := s.link(now, h, j)
	if why == byReturn {
		s.unhappened(q, EventQueued)
		s.unhappened(q, EventLeft)
		s.unhappened(q, EventDelivered)
	}
	asked := c != nil && c.asked != neverAsked
	if others := s.others(h); why <= byNack && (again || asked || why == byNack) && !others.Empty() {
		var flags uint8
		if why != byAdd {
			flags = FlagForced
		}
		s.sayQueued(now, h, others, flags, fx)
	}
	if t != nil && why <= byNack {
		s.noteTerms(h, true, fx)
	} else {
		s.note(h, true, fx)
	}
	s.serve(now, q, fx)
	return true
}

// link puts an active job into its queue and returns that.
func (s *Shard) link(now int64, h uint32, j *slot) *queue {
	q := s.queues[j.queue]
	s.awaken(q, now)
	s.lift(h)
	j.flags |= flagQueuedOnce
	if t := s.slots.terms(h); t != nil {
		t.flags &^= termsOut | termsHeld
	}
	j.state, j.qtime = Queued, 0
	if j.retry > 0 {
		j.qtime = now + int64(j.retry)*1000
	}
	s.slots.copies(h).state(saidQueued)
	s.lay(h)
	q.jobs.Load(h)
	q.atime = now
	s.happened(q, EventQueued)
	return q
}

func saturate(n uint16) uint16 {
	if n == ^uint16(0) {
		return n
	}
	return n + 1
}

// pop delivers the first job of q, which must have one: the retry clock starts
// here.
func (s *Shard) pop(now int64, q *queue, fx *Effects) *Job {
	h, _ := q.jobs.PopMin()
	j := s.slots.get(h)
	s.lift(h)
	j.state, j.qtime = Active, 0
	j.flags |= flagDelivered
	j.flags += 1 << turnShift
	if j.retry > 0 {
		j.qtime = planted.Clock(now) + int64(j.retry)*1000
	} else {
		j.flags |= flagSpent
		s.spent.Load(h)
	}
	if t := s.slots.terms(h); t != nil {
		t.flags |= termsOut
	}
	if c := s.slots.copies(h); c != nil {
		c.state(saidLeased)
		c.asked = askNobody
	}
	s.lay(h)
	q.atime = now
	s.happened(q, EventLeft)
	s.happened(q, EventDelivered)
	if q.jobs.Len() == 0 {
		s.want(now, q, true, fx)
	}
	s.note(h, j.retry == 0, fx)
	return s.look(h)
}

// unqueue makes a queued job active again without delivering it.
func (s *Shard) unqueue(now int64, h uint32, j *slot, qtime int64, fx *Effects) {
	s.unlink(now, h, j)
	s.lift(h)
	j.qtime = qtime
	if c := s.slots.copies(h); c != nil {
		c.said, c.asked = saidNothing, askNobody
	}
	s.lay(h)
	s.note(h, true, fx)
}

// unlink takes a queued job out of its queue; it is active then.
func (s *Shard) unlink(now int64, h uint32, j *slot) {
	q := s.queues[j.queue]
	q.jobs.Delete(h)
	s.lift(h)
	j.state = Active
	s.lay(h)
	q.atime = now
	s.happened(q, EventLeft)
}

// Fetch delivers up to n jobs of a queue to yield, which returns false when it
// wants no more after the one it was given. It makes the queue live, as a
// consumer asked for it.
func (s *Shard) Fetch(now int64, name []byte, n int, fx *Effects, yield func(*Job) bool) (int, error) {
	q, err := s.intern(name)
	if err != nil {
		return 0, err
	}
	s.awaken(q, now)
	if q.pause&PauseOut != 0 {
		return 0, nil
	}
	got := 0
	for got < n && q.jobs.Len() > 0 {
		got++
		if !yield(s.pop(now, q, fx)) {
			break
		}
	}
	if got == 0 {
		s.want(now, q, false, fx)
	}
	return got, nil
}
