package store

// Drain asks other nodes to take the copies that this one holds, as it leaves the
// cluster: of up to n jobs, from position pos on (0 to begin with). Whoever took
// one says so (GOTJOB), and only then it is gone here. A job that a consumer has
// is left until it is acknowledged or comes back; one that can never be delivered
// again is dropped. It returns the position to go on from, -1 at the end.
func (s *Shard) Drain(now, pos int64, n int, fx *Effects) (next int64) {
	return s.walk(pos, n, func(h uint32) { s.drainJob(now, h, fx) })
}

// drainWait is how long a node is given to take a copy, milliseconds.
const drainWait = 2000

func (s *Shard) drainJob(now int64, h uint32, fx *Effects) {
	j := s.slots.get(h)
	switch {
	case j.state == Acked || j.state == WaitRepl:
		return
	case j.retry == 0 && j.flags&flagDelivered != 0:
		s.remove(now, h, fx)
		return
	}
	c := s.addCopies(h)
	held := s.class(h) == ClassDelayed
	if c.leased(j, now) && !held && !s.view.Ending || c.flags&flagDrain != 0 || len(fx.Outbox.Buf) >= mailMost {
		return
	}
	to := s.pick(1, s.holders(h).Or(s.strangers(h)).Or(s.unwilling))
	switch {
	case c.flags&flagOrigin != 0 && !to.Empty() && !s.view.Ending:
		return // first let it have all its copies
	case to.Empty():
		to = s.others(h).And(s.view.Linked).Minus(s.unwilling)
		if !to.Empty() {
			to = SetOf(s.anyOf(to))
		}
	}
	if to.Empty() {
		return
	}
	s.lift(h)
	c.flags = c.flags&^flagOrigin | flagDrain
	c.ptime = now + drainWait
	s.lay(h)
	s.learn(h, to, fx)
	// Another one that leaves at this moment tells its own.
	s.send(now, s.others(h).Minus(to), false, &Message{Kind: MsgHolders, ID: j.id, Holders: s.holders(h)}, fx)
	s.sendCopy(now, h, to, fx)
}

// handOver ends this node's part in a job: another node confirmed that it holds
// it, and queues it if it was queued here.
func (s *Shard) handOver(now int64, h uint32, to uint16, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	c.flags &^= flagDrain
	s.setHolders(h, s.holders(h).With(to))
	delayed := s.class(h) == ClassDelayed
	leased := c.leased(j, now) && !delayed
	switch {
	case !s.view.Leaving, leased && !s.view.Ending:
		return
	case j.retry == 0 && j.flags&flagDelivered != 0: // meanwhile
		s.tell(now, s.others(h), MsgDelJob, &j.id, fx)
		s.remove(now, h, fx)
		return
	}
	delayed = delayed && j.qtime > now
	queued := j.state == Queued || j.state == Dead && j.retry == 0 // that one is set aside there
	if j.state == Queued {
		s.unlink(now, h, j)
	}
	switch {
	case leased:
		s.sayLeased(now, h, s.others(h), MsgLeased, fx)
	case queued || delayed:
		left := int64(0)
		if delayed {
			left = j.qtime - now
		}
		s.send(now, SetOf(to), true, &Message{Kind: MsgEnqueue, ID: j.id, Who: to, Number: c.number, Left: left, Terms: s.silentTerms(h)}, fx)
	}
	s.send(now, s.others(h), true, &Message{Kind: MsgDropped, ID: j.id, Holders: s.others(h)}, fx)
	s.remove(now, h, fx)
}
