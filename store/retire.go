package store

import (
	"bytes"
	"maps"
	"slices"
)

// Retire lets other nodes go on with the jobs of this one, whose process is about to
// end (View.Ending): of up to n jobs from position pos on, 0 to begin with. It returns
// the position to go on from, -1 at the end, and how many of these jobs have yet to be
// handed over or taken, which another round finds out.
//
// A node whose log keeps its jobs gives those in its queues to others that hold them, or
// if none can be reached to any, and tells the holders; in the first round also until when
// a consumer of this node has a job, and where jobs are that it gave away before, as the
// holders would ask this node; and which jobs died or live again, if they do not know. Any
// other node has all its jobs taken over, as by Drain, also those that a consumer has. What
// is acknowledged and has holders that cannot be reached, or that is not known here, another
// node keeps as that.
func (s *Shard) Retire(now, pos int64, n int, keeps, first bool, fx *Effects) (next int64, left int) {
	if first && pos == 0 {
		s.entrustDummies(now, fx)
	}
	next = s.walk(pos, n, func(h uint32) {
		if s.retireJob(now, h, keeps, first, fx) {
			left++
		}
	})
	return next, left
}

// retireJob is Retire for a job. It reports whether that is to be handed over yet, or to
// be taken.
func (s *Shard) retireJob(now int64, h uint32, keeps, first bool, fx *Effects) bool {
	j, c := s.slots.get(h), s.slots.copies(h)
	switch {
	case j.state == WaitRepl:
		return false // nobody waits for it any more
	case c != nil && c.flags&flagMoved != 0:
		return true
	case j.state == Acked:
		return s.retireAcked(now, h, first, fx)
	case keeps:
		untold := s.retireFate(now, h, first, fx)
		return s.retireKept(now, h, j, c, first, fx) || untold
	}
	s.drainJob(now, h, fx)
	return s.slots.has(h)
}

// retireAcked is retireJob for a job that is acknowledged: holders that can be reached shall
// know, and for those that cannot another node keeps that.
func (s *Shard) retireAcked(now int64, h uint32, first bool, fx *Effects) bool {
	if first {
		id := s.slots.get(h).id
		s.collect(now, h, fx)
		if !s.slots.has(h) {
			return false
		}
		if !s.unconfirmed(h).In(s.view.Linked) {
			s.entrust(now, &id, fx)
		}
	}
	return !s.unconfirmed(h).And(s.view.Linked).Empty()
}

// retireFate tells the holders that can be reached that a job died or lives again, if they
// do not know: they would deliver it, or wait for it. It reports whether they have yet to
// confirm that.
func (s *Shard) retireFate(now int64, h uint32, first bool, fx *Effects) bool {
	if _, telling := s.tells[h]; telling && first {
		s.tellFate(now, h, s.slots.terms(h), fx)
	}
	know, telling := s.tells[h]
	return telling && !s.others(h).Minus(know).And(s.view.Linked).Empty()
}

// retireKept is retireJob for a job that stays on the disk.
func (s *Shard) retireKept(now int64, h uint32, j *slot, c *copies, first bool, fx *Effects) bool {
	switch {
	case j.state == Queued && s.queues[j.queue].pause == 0:
		return s.giveAway(now, h, fx)
	case j.state != Active || c == nil:
		return false
	case c.flags&flagGiven != 0 && c.said == saidQueued && c.who != Self:
		if now-(c.until-int64(j.retry)*1000) > drainWait { // within the jitter of giveJob
			s.declined(c.who)
			c.flags &^= flagGiven
			s.enqueue(now, h, j, byMove, fx) // for the next round
		}
		return true
	case !first:
		return false
	case c.leased(j, now):
		s.sayLeased(now, h, s.others(h), MsgLeased, fx)
	case c.turn > 0 && c.said != saidNothing && c.who != Self && c.until > now:
		s.passOn(now, h, c, s.others(h).Without(c.who), fx)
	}
	return false
}

// giveAway gives a queued job to another node, if one can be reached. It reports whether
// one can.
func (s *Shard) giveAway(now int64, h uint32, fx *Effects) bool {
	to := s.view.Linked.Minus(s.strangers(h))
	if to.Empty() {
		return false
	}
	if to = to.Minus(s.unwilling); to.Empty() || len(fx.Outbox.Buf) >= mailMost {
		return true
	}
	if known := to.And(s.others(h)); !known.Empty() {
		to = known
	}
	s.giveJob(now, h, s.anyOf(to), fx)
	return true
}

// ending returns the flag that a message has if the process is about to end.
func (s *Shard) ending() uint8 {
	if s.view.Ending {
		return FlagEnding
	}
	return 0
}

// declined notes that a node does not take jobs of this one, whose process is about to end.
func (s *Shard) declined(from uint16) {
	if s.view.Ending {
		s.unwilling = s.unwilling.With(from)
	}
}

// entrustDummies has another node keep each acknowledgement of a job that is not known
// here: the one that knows it may be away.
func (s *Shard) entrustDummies(now int64, fx *Effects) {
	ids := slices.SortedFunc(maps.Keys(s.dummies), func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) // a map has no order
	for i := range ids {
		s.entrust(now, &ids[i], fx)
	}
}

// entrust has another node keep the acknowledgement of a job.
func (s *Shard) entrust(now int64, id *ID, fx *Effects) {
	if !s.view.Linked.Empty() {
		s.send(now, SetOf(s.anyOf(s.view.Linked)), true, &Message{Kind: MsgSetAck, Flags: FlagEnding, ID: *id}, fx)
	}
}
