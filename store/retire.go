package store

// Retire lets other nodes go on with the jobs of this one, whose process is about to
// end (View.Ending): of up to n jobs from position pos on, 0 to begin with. It returns
// the position to go on from, -1 at the end, and how many of these jobs have yet to be
// handed over, or were just now, which another round finds out.
//
// A node whose log keeps its jobs gives those in its queues to others that hold them, or
// if none can be reached to any, and tells the holders; in the first round also until when
// a consumer of this node has a job, and where jobs are that it gave away before, as the
// holders would ask this node. Any other node has all its jobs taken
// over, as by Drain, also those that a consumer has.
func (s *Shard) Retire(now, pos int64, n int, keeps, first bool, fx *Effects) (next int64, left int) {
	next = s.walk(pos, n, func(h uint32) {
		switch {
		case !keeps && s.slots.get(h).state == Acked, s.slots.get(h).state == WaitRepl:
			return // its holders were told; nobody waits for it any more
		case !keeps:
			s.drainJob(now, h, fx)
			if s.slots.has(h) {
				left++
			}
		case s.retireJob(now, h, first, fx):
			left++
		}
	})
	return next, left
}

// retireJob is Retire for a job that stays on the disk. It reports whether that is given
// to another node, or waits for its answer.
func (s *Shard) retireJob(now int64, h uint32, first bool, fx *Effects) bool {
	j, c := s.slots.get(h), s.slots.copies(h)
	switch {
	case c != nil && c.flags&flagMoved != 0:
		return true
	case c != nil && j.state == Active:
		switch {
		case !first:
		case c.leased(j, now):
			s.sayLeased(now, h, s.others(h), MsgLeased, fx)
		case c.turn > 0 && c.said != saidNothing && c.who != Self && c.until > now:
			s.passOn(now, h, c, s.others(h).Without(c.who), fx)
		}
		return false
	case j.state != Queued || s.queues[j.queue].pause != 0:
		return false
	}
	to := s.view.Linked.Minus(s.strangers(h))
	if known := to.And(s.others(h)); !known.Empty() {
		to = known
	}
	if to.Empty() {
		return false
	}
	if len(fx.Outbox.Buf) < mailMost {
		taker := to.at(int(s.random() % uint64(to.Len())))
		s.giveJob(now, h, taker, fx)
		if j.retry > 0 {
			c = s.slots.copies(h)
			s.passOn(now, h, c, s.others(h).Without(taker), fx)
		}
	}
	return true
}
