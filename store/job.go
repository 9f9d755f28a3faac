package store

import "github.com/disqo/disqo/store/planted"

// Get returns a view of a job.
func (s *Shard) Get(id *ID) (*Job, bool) {
	h := s.index.find(id)
	if h == 0 {
		return nil, false
	}
	return s.look(h), true
}

// Ack acknowledges a job: it is done. It reports whether the job was known and
// not yet acknowledged. A job that this node alone holds is collected at once;
// of another the acknowledgement is kept, without the body, until the other
// holders were told. That of an unknown job is kept for a while, too, for the
// nodes that know it.
func (s *Shard) Ack(now int64, id *ID, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 {
		s.dummyAck(now, id, fx)
		return false
	}
	j := s.slots.get(h)
	if j.state == Acked {
		tries := s.slots.copies(h).tries
		if s.collect(now, h, fx); s.index.find(id) == h {
			s.slots.copies(h).tries = tries // to say it often makes no holder a stranger
		}
		return false
	}
	s.happenedTo(j, EventAcked)
	s.acknowledge(now, h, j, fx)
	return true
}

// keepAck makes an active job an acknowledged one, which has no body.
func (s *Shard) keepAck(h uint32, j *slot, fx *Effects) {
	logged := s.journalled(s.slots.home(h))
	if logged {
		s.live.add(s.slots.home(h), -s.putSize(h))
	}
	if j.flags&flagSpent != 0 {
		s.spent.Delete(h)
	}
	s.leaveOrder(h, j, s.queues[j.queue])
	s.lift(h)
	s.dropTerms(h)
	s.used -= int64(chunkSize(j.chunk()))
	s.arena.release(j.body)
	j.body, j.bodyLen, j.flags = 0, 0, j.flags&keptFlags
	j.state, j.qtime = Acked, 0
	s.lay(h)
	if logged {
		s.slots.setHome(h, 0)
		s.put(h, fx)
	}
}

// Delete removes a job whatever its state and reports whether it was known.
func (s *Shard) Delete(now int64, id *ID, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 {
		return false
	}
	s.remove(now, h, fx)
	return true
}

// Enqueue puts an active job back into its queue, ending a DELAY or a lease.
// It reports false for unknown jobs, queued ones, and delivered ones that are
// at most once.
func (s *Shard) Enqueue(now int64, id *ID, fx *Effects) bool {
	h := s.index.find(id)
	return h != 0 && s.enqueue(now, h, s.slots.get(h), byClient, fx)
}

// Return takes back a delivery that never reached its consumer. lease and turn
// are NextQueue and Turn of the view that was delivered: a job that moved on
// since then is left alone. Nothing is counted, and an at-most-once job counts as never
// delivered.
func (s *Shard) Return(now int64, id *ID, lease int64, turn uint8, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 {
		return false
	}
	j := s.slots.get(h)
	if j.state != Active || j.flags&flagDelivered == 0 || j.qtime != lease || j.flags>>turnShift != turn {
		return false
	}
	if j.flags&flagSpent != 0 {
		s.spent.Delete(h)
		j.flags &^= flagSpent | flagDelivered
	}
	return s.enqueue(now, h, j, byReturn, fx)
}

// Dequeue takes a job out of its queue without delivering it. An at-least-once
// job comes back when its retry time next comes round.
func (s *Shard) Dequeue(now int64, id *ID, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 {
		return false
	}
	j := s.slots.get(h)
	if j.state != Queued {
		return false
	}
	s.unqueue(now, h, j, rolled(j.qtime, j.retry, now), fx)
	return true
}

// Requeue returns when the job goes (back) into its queue, 0 for never. For a
// job that is queued and stays there it is the next of the times, one each
// retry period, at which its holders look whether that is so.
func (j *Job) Requeue(now int64) int64 { return rolled(j.NextQueue, j.Retry, now) }

func rolled(qtime int64, retry uint32, now int64) int64 {
	if qtime == 0 || qtime > now || retry == 0 {
		return qtime
	}
	period := int64(retry) * 1000
	return qtime + ((now-qtime)/period+1)*period
}

// Working postpones the next delivery by the job's retry time from now on and
// returns that time in seconds. A job that is queued leaves the queue, unless
// it is at most once: that one was not delivered yet and would be lost. What
// was to come later already stays there. ErrNoJob and ErrTooLate refuse.
func (s *Shard) Working(now int64, id *ID, fx *Effects) (retry uint32, err error) {
	h := s.index.find(id)
	if h == 0 {
		return 0, ErrNoJob
	}
	j := s.slots.get(h)
	if j.state == Acked || j.state == Dead {
		return 0, ErrNoJob
	}
	created := j.ctime / 1e6
	if life := j.etime - created; life > 0 && now-created > life/2 {
		return 0, ErrTooLate
	}
	if j.retry == 0 {
		return 0, nil
	}
	if j.state == Queued {
		s.unlink(now, h, j)
	}
	c := s.slots.copies(h)
	told := c != nil && j.state == Active
	s.lift(h)
	j.qtime = max(j.qtime, now+int64(j.retry)*1000)
	if told {
		c.outrank()
		c.state(saidLeased)
		c.asked = askNobody
	}
	s.lay(h)
	s.note(h, true, fx)
	if told {
		s.sayLeased(now, h, s.others(h), MsgWorking, fx)
	}
	return j.retry, nil
}

// Tick does what is due at now, for at most budget jobs: TTLs end, delays and
// leases run out. It reports whether more is due already.
func (s *Shard) Tick(now int64, budget int, fx *Effects) (more bool) {
	s.tickDummies(now, fx)
	for budget > 0 && len(fx.Outbox.Buf) < mailMost {
		n := min(budget, tickStep)
		budget -= n
		if more = s.wheel.advance(now, n, func(h uint32) { s.fire(now, h, fx) }); !more {
			return false
		}
	}
	return true
}

// Copies of jobs may be large: Tick looks each so many jobs, and Drain each job,
// whether there is mail of so many bytes already.
const (
	tickStep = 16
	mailMost = 1 << 20
)

// fire handles a job whose timer ran out; it is off the wheel.
func (s *Shard) fire(now int64, h uint32, fx *Effects) {
	j := s.slots.get(h)
	s.wheel.start(h) // it was never out of the counts
	if j.etime <= now {
		if j.state != Acked && j.flags&flagSpent == 0 {
			s.happenedTo(j, EventExpired)
		}
		s.remove(now, h, fx)
		return
	}
	if t := s.slots.terms(h); t != nil && t.tellAt != 0 && t.tellAt <= now {
		s.tellFate(now, h, t, fx)
		return
	}
	c := s.slots.copies(h)
	if c != nil && c.ptime != 0 && c.ptime <= now {
		switch {
		case j.state == Acked:
			s.collect(now, h, fx)
		case c.flags&flagOrigin != 0:
			s.probe(now, h, fx)
		case c.flags&flagMoved != 0:
			s.remove(now, h, fx)
		default: // nobody took over this node's copy
			c.flags &^= flagDrain
			s.lift(h)
			c.ptime = 0
			s.lay(h)
		}
		return
	}
	if c != nil && c.asked < askedAll && c.asksAt(j.qtime) <= now && !planted.Is(planted.ForgetWillQueue) {
		s.ask(now, h, j, c, fx)
		return
	}
	if j.retry > 0 && s.queues[j.queue].pause&PauseIn != 0 {
		s.lift(h)
		j.qtime = now + int64(j.retry)*1000
		if c != nil {
			j.qtime += s.jitter()
			c.said, c.asked = saidNothing, askNobody // that is no lease
		}
		s.lay(h)
		s.note(h, false, fx)
		return
	}
	s.comesBack(now, h, j, fx)
}

// Evict removes up to n jobs that can never be delivered again, oldest first,
// and returns how many.
func (s *Shard) Evict(now int64, n int, fx *Effects) int {
	for i := range n {
		h, ok := s.spent.Min()
		if !ok {
			return i
		}
		s.remove(now, h, fx)
	}
	return n
}
