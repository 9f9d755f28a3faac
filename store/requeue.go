package store

// Only one node shall have a job in its queue or at a consumer. When the retry
// clock of another holder is about to run out, it asks (WILLQUEUE): the node that
// has the job queued says so (QUEUED), the one whose consumer has it says for how
// long (LEASED). What a holder heard it passes on to one that cannot hear it
// itself, minus the time since: never lengthened.

// askAllOnceIn says how seldom all holders are asked at once: after a partition
// some of them may know one node that has the job, and others another.
const askAllOnceIn = 8

// ask asks the holders of a job whether one of them has it, before it is queued
// here.
func (s *Shard) ask(now int64, h uint32, j *slot, c *copies, fx *Effects) {
	to := s.others(h)
	if c.asked == askNobody && c.who != Self && to.Has(c.who) {
		c.asked = askedOne
		if s.random()%askAllOnceIn != 0 {
			to = SetOf(c.who)
		}
	} else {
		c.asked = askedAll
	}
	s.lift(h)
	j.qtime = max(j.qtime, now+askAllBefore) // they need time to answer
	s.lay(h)
	s.send(now, to, false, &Message{Kind: MsgWillQueue, ID: j.id, Number: c.number, Terms: s.silentTerms(h)}, fx)
}

// willQueue answers a holder that is about to queue a job.
func (s *Shard) willQueue(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		return
	}
	j := s.slots.get(h)
	if j.state == Acked {
		s.meetAck(now, h, SetOf(from), from, fx)
		return
	}
	s.learn(h, SetOf(from), fx)
	c := s.slots.copies(h)
	switch {
	case j.state == Queued, j.state == WaitRepl: // it will be queued as soon as its producer can be answered
		c.heard(m.Number)
		c.state(saidQueued)
		s.sayQueued(now, h, s.others(h), 0, fx)
	case c.leased(j, now):
		s.insist(now, h, m.Number, s.others(h), fx)
	default:
		heard := c.said != saidNothing && c.who != Self && c.who != from && c.until > now
		if heard {
			s.passOn(now, h, c, SetOf(from), fx)
		}
		if !heard || !later(c.number, m.Number) { // or else that one has news to wait for
			s.giveWay(now, h, from)
		}
	}
}

// giveWay lets another holder be the first if both ask at once, but not for ever.
func (s *Shard) giveWay(now int64, h uint32, to uint16) {
	j, c := s.slots.get(h), s.slots.copies(h)
	if j.state != Active || j.retry == 0 || c.asked != askedOne && c.asked != askedAll || !s.yields(to, Self, &j.id) {
		return
	}
	s.lift(h)
	if c.asked == askedAll {
		c.asked = yielded
	} else {
		c.asked = yieldedEarly // and asks all yet: the answer may go to that one alone
	}
	j.qtime = max(j.qtime, now+3*askAllBefore) // that one queues it 2*askAllBefore after its question, and says so
	s.lay(h)
}

// sayQueued tells nodes that a job is in the queue here.
func (s *Shard) sayQueued(now int64, h uint32, to Set, flags uint8, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	m := &Message{
		Kind: MsgQueued, Flags: flags, ID: j.id, Who: Self, Number: c.number, Left: int64(j.retry) * 1000, Nacks: j.nacks, Extra: j.extra,
		Terms: s.silentTerms(h),
	}
	if flags&FlagForced != 0 {
		m.Terms = s.termsOf(h)
	}
	s.send(now, to, false, m, fx)
}

// sayLeased tells nodes that a consumer of this node has a job, or that it waits
// here after a failure.
func (s *Shard) sayLeased(now int64, h uint32, to Set, k Kind, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	m := &Message{
		Kind: k, ID: j.id, Who: Self, Number: c.number, Left: j.qtime - now, Holders: s.holders(h), Terms: s.termsOf(h),
	}
	if m.Terms != nil && m.Terms.Held {
		m.Flags, m.Nacks, m.Extra = FlagHeld, j.nacks, j.extra
	}
	s.send(now, to, false, m, fx)
}

// insist tells nodes that a consumer of this node has a job, although it was said
// otherwise by the statement with that number.
func (s *Shard) insist(now int64, h uint32, number uint32, to Set, fx *Effects) {
	c := s.slots.copies(h)
	c.heard(number)
	c.state(saidLeased)
	s.sayLeased(now, h, to, MsgLeased, fx)
}

// passOn tells nodes what was heard of another one.
func (s *Shard) passOn(now int64, h uint32, c *copies, to Set, fx *Effects) {
	j := s.slots.get(h)
	m := &Message{
		Kind: MsgQueued, ID: j.id, Who: c.who, Number: c.number, Left: c.until - now, Nacks: j.nacks, Extra: j.extra, Holders: s.holders(h),
		Terms: s.silentTerms(h),
	}
	if c.said == saidLeased {
		m.Kind = MsgLeased
		if m.Left > int64(j.retry)*1000 {
			m.Flags = FlagHeld
		}
	}
	s.send(now, to, false, m, fx)
}

// elsewhere is told that a job is queued or leased at a node: QUEUED, LEASED or
// WORKING.
func (s *Shard) elsewhere(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 || m.Who == Self {
		return
	}
	j := s.slots.get(h)
	if j.state == WaitRepl {
		s.got(now, from, m, fx) // whoever has it in its queue holds it
		if h = s.index.find(&m.ID); h == 0 || j.state == WaitRepl {
			return
		}
	}
	if j.state == Acked {
		s.meetAck(now, h, SetOf(from), from, fx)
		return
	}
	s.learn(h, m.Holders.With(from).With(m.Who), fx)
	if j.state == Dead {
		return // nobody who knows its generation has it
	}
	// Who does not know how often this node queued it speaks of an earlier delivery,
	// and who has counted a failure itself of one there.
	c, nacked := s.slots.copies(h), m.Nacks > j.nacks && m.Extra >= j.extra && (m.Terms == nil || !m.Terms.news)
	if m.Kind == MsgQueued {
		s.queuedElsewhere(now, from, m, h, fx)
	} else {
		s.leasedElsewhere(now, from, m, h, fx)
	}
	if c.who != Self && j.state == Active {
		s.overtaken(now, h, nacked, m.Who, fx)
	}
}

// leasedElsewhere is told that a consumer of a node has a job, or that it waits
// there after a failure.
func (s *Shard) leasedElsewhere(now int64, from uint16, m *Message, h uint32, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	j.nacks, j.extra = max(j.nacks, m.Nacks), max(j.extra, m.Extra)
	switch own := c.leased(j, now); {
	case m.Kind == MsgLeased && own && c.asked < askedAll: // its own lease is what counts, until it asks
	case j.state == Queued:
		s.contend(now, h, from, m, saidLeased, fx)
	default: // who has a consumer there, too, knows better
		s.hear(now, h, from, m, saidLeased, own && from == m.Who)
	}
}

// queuedElsewhere is told that a job is in the queue of a node.
func (s *Shard) queuedElsewhere(now int64, from uint16, m *Message, h uint32, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	// A client's word that was counted here already is older than this lease.
	forced := m.Flags&FlagForced != 0 && (m.Nacks > j.nacks || m.Extra > j.extra || !c.leased(j, now))
	j.nacks, j.extra = max(j.nacks, m.Nacks), max(j.extra, m.Extra)
	switch {
	case !forced && c.leased(j, now):
		if from == m.Who {
			s.insist(now, h, m.Number, SetOf(from), fx)
		}
	case j.state == Queued:
		s.contend(now, h, from, m, saidQueued, fx)
	default:
		switch {
		case c.who == Self:
			c.said = saidNothing // a lease that was ended
		case forced && from == m.Who && c.who != from && c.until > now:
			s.send(now, SetOf(c.who), false, m, fx) // whom the speaker may not know
		}
		s.hear(now, h, from, m, saidQueued, forced)
	}
}

// contend is told that another node has a job that is in the queue here. If it
// says so itself, and that is newer, this one gives way; or else it is told, and
// so is a node where a client wanted it.
func (s *Shard) contend(now int64, h uint32, from uint16, m *Message, what said, fx *Effects) {
	switch j := s.slots.get(h); {
	case from != m.Who && m.Flags&FlagForced != 0:
		s.sayQueued(now, h, SetOf(m.Who), 0, fx)
	case from != m.Who:
	case s.news(h, from, m):
		s.unlink(now, h, j)
		s.hear(now, h, from, m, what, true)
		s.note(h, true, fx)
	default:
		s.sayQueued(now, h, SetOf(from), 0, fx)
	}
}

// news reports whether what a message says of where a job is replaces what is
// known. Of two statements with the same number it is that of the node with the
// greater id, for this job.
func (s *Shard) news(h uint32, from uint16, m *Message) bool {
	switch c := s.slots.copies(h); {
	case from == m.Who && (c.said == saidNothing || c.who != Self && c.asks()):
		return true // that is what this node wants to know
	case m.Number != c.number:
		return later(m.Number, c.number)
	case c.said == saidNothing:
		return true
	case m.Who == c.who:
		return from == m.Who // it may have more time; who passes it on has not
	default:
		return s.yields(m.Who, c.who, &m.ID)
	}
}

// yields reports whether node b leaves a job to node a, if nothing else decides.
func (s *Shard) yields(a, b uint16, id *ID) bool {
	return greater(s.limits.Roll.ID(a), s.limits.Roll.ID(b), id)
}

// hear keeps what was said of a node that has an active job, if it is news or to
// be believed anyhow, and waits until it is not true any more. What is no news is
// not acted on: who does asks again, and is told the same.
func (s *Shard) hear(now int64, h uint32, from uint16, m *Message, what said, believed bool) {
	j, c := s.slots.get(h), s.slots.copies(h)
	left := min(m.Left, int64(j.retry)*1000)
	if m.Flags&FlagHeld != 0 {
		left = m.Left
	}
	until := min(now+left, mostTime-4*askOneBefore)
	if j.retry == 0 || until <= now || !believed && !s.news(h, from, m) {
		return
	}
	c.heard(m.Number)
	c.said, c.who, c.until, c.asked = what, m.Who, until, askNobody
	s.lift(h)
	if t := s.slots.terms(h); t != nil {
		t.flags &^= termsHeld
	}
	j.qtime = until + s.jitter()
	if what == saidLeased {
		j.qtime += 2 * askOneBefore // its node queues it when the lease ends
	}
	s.lay(h)
}

// enqueueAt puts a job that another node handed over into the queue, after its
// delay.
func (s *Shard) enqueueAt(now int64, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		return
	}
	j, c := s.slots.get(h), s.slots.copies(h)
	switch paused := s.queues[j.queue].pause&PauseIn != 0; {
	case j.state != Active || c != nil && c.leased(j, now):
		return
	case j.retry > 0 && paused:
		return // it comes when its retry clock runs out
	case c != nil && c.flags&flagMoved != 0:
		s.takeBack(h, j, c)
	case j.retry == 0 && j.flags&flagDelivered != 0:
		return
	}
	if c != nil {
		c.heard(m.Number)
	}
	if t := s.slots.terms(h); t != nil && dead(t.generation) {
		s.lie(now, h)
		s.noteTerms(h, true, fx)
		return
	}
	if m.Left <= 0 {
		s.enqueue(now, h, j, byMove, fx)
		return
	}
	s.lift(h)
	j.flags &^= flagQueuedOnce
	j.qtime = min(now+m.Left, mostTime-1)
	if c != nil {
		c.asked = neverAsked
	}
	s.lay(h)
	s.note(h, true, fx)
}
