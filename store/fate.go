package store

import "github.com/disqo/disqo/store/planted"

// tellMost is the longest time until holders that did not answer are told again,
// milliseconds: after a partition they agree within it.
const tellMost = 30_000

// spreadFate begins to tell the holders of a job that it died or lives again.
func (s *Shard) spreadFate(now int64, h uint32, fx *Effects) {
	if s.others(h).Empty() || planted.Is(planted.UntoldDeath) {
		return
	}
	s.beginToTell(now, h, SetOf(Self), fx)
}

// beginToTell is spreadFate, but for nodes that know.
func (s *Shard) beginToTell(now int64, h uint32, know Set, fx *Effects) {
	t := s.slots.terms(h)
	s.tells[h], t.told = know, 0
	s.tellFate(now, h, t, fx)
}

// tellLater is beginToTell for what this node has just been told: whoever told it
// tells the others as well, but may be lost, or leave, before all know. The job is not
// in the wheel.
func (s *Shard) tellLater(now int64, h uint32, t *terms, from uint16) {
	t.tellAt, t.told = 0, 0
	delete(s.tells, h)
	if know := SetOf(Self, from); !s.others(h).In(know) {
		s.tells[h], t.tellAt = know, now+4*collectFirst+s.jitter()
	}
}

// remind has nodes told once more of the death or return of a job, if they hold it:
// they may know no more what they confirmed.
func (s *Shard) remind(now int64, h uint32, nodes Set) {
	j, t := s.slots.get(h), s.slots.terms(h)
	if t == nil || t.generation == 0 || j.retry == 0 || j.state == Acked || s.others(h).And(nodes).Empty() {
		return
	}
	know, telling := s.tells[h]
	span := uint64(ackSoon) // it never heard of it
	if !telling {
		know, span = s.others(h), rouseSpan
	}
	s.lift(h)
	s.tells[h], t.told = know.Minus(nodes).With(Self), 0
	t.tellAt = now + int64(s.random()%span)
	s.lay(h)
}

// tellFate tells those that did not confirm it, or ends that when all did.
func (s *Shard) tellFate(now int64, h uint32, t *terms, fx *Effects) {
	if t.told >= collectStrangers {
		s.tells[h] = s.tells[h].Or(s.others(h).Minus(s.view.Known))
	}
	silent := s.others(h).Minus(s.tells[h])
	s.lift(h)
	if silent.Empty() {
		t.tellAt = 0
		delete(s.tells, h)
	} else {
		t.tellAt = now + min(again(t.told), tellMost) + s.jitter()
		t.told = min(t.told+1, 10)
	}
	s.lay(h)
	s.sayFate(now, h, silent, MsgFate, fx)
}

// sayFate tells nodes the terms of a job.
func (s *Shard) sayFate(now int64, h uint32, to Set, k Kind, fx *Effects) {
	j := s.slots.get(h)
	s.send(now, to, true, &Message{Kind: k, Flags: FlagKnown, ID: j.id, Nacks: j.nacks, Extra: j.extra, Holders: s.holders(h), Terms: s.termsOf(h)}, fx)
}

// fate answers a node that told the terms of a job. What it told was heeded
// already, see agree. Who knows holders that it does not know tells them.
func (s *Shard) fate(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	switch {
	case h == 0:
		s.send(now, SetOf(from), false, &Message{Kind: MsgGotFate, ID: m.ID}, fx)
	case s.slots.get(h).state == Acked:
		s.meetAck(now, h, SetOf(from), from, fx)
	default:
		s.sayFate(now, h, SetOf(from), MsgGotFate, fx)
		if s.slots.get(h).retry == 0 {
			return // nobody else has it
		}
		knew, told := s.others(h), m.Holders.With(from)
		s.learn(h, told, fx)
		know := s.tells[h].With(Self).With(from)
		switch more := knew.Minus(told).Minus(know); {
		case !more.Empty() && m.generation() == 0: // a priority: once is enough
			s.sayFate(now, h, more, MsgFate, fx)
		case !more.Empty():
			s.beginToTell(now, h, know.Or(told), fx)
		case !s.tells[h].Empty():
			s.tells[h] = know
		}
	}
}

// gotFate is told that a node knows the terms of a job, or not the job.
func (s *Shard) gotFate(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		return
	}
	told, ok := s.tells[h]
	if !ok || m.Flags&FlagKnown != 0 && m.generation() != s.generation(h) {
		return
	}
	if s.slots.get(h).retry > 0 && m.Flags&FlagKnown != 0 {
		s.learn(h, m.Holders, fx)
	}
	s.tells[h] = told.With(from)
	if s.others(h).In(s.tells[h]) {
		s.tellFate(now, h, s.slots.terms(h), fx)
	}
}

// generation returns that of the job that a message is about.
func (m *Message) generation() uint32 {
	if m.Terms == nil {
		return 0
	}
	return m.Terms.Generation
}

// statements are the kinds of messages that say something of a job which counts
// within its generation only.
const statements = 1<<MsgReplJob | 1<<MsgEnqueue | 1<<MsgWillQueue | 1<<MsgQueued | 1<<MsgLeased | 1<<MsgWorking | 1<<MsgYourJob |
	1<<MsgFate | 1<<MsgGotFate

// agree takes over what a message knows better of the terms of a job. It reports
// false if its sender is behind: it is told then, and what it says of where the
// job is does not count.
func (s *Shard) agree(now int64, from uint16, m *Message, fx *Effects) bool {
	if statements>>m.Kind&1 == 0 || m.Terms == nil && s.slots.termed == 0 {
		return true
	}
	h := s.index.find(&m.ID)
	if h == 0 || s.slots.get(h).state == Acked {
		return true
	}
	own, its := s.generation(h), m.generation()
	if its < own && m.Kind <= MsgHolders && !s.view.Terms.Has(from) {
		return s.humour(now, h, from, m, fx)
	}
	switch {
	case its > own:
		s.adopt(now, h, from, m, fx)
	case its < own:
		if m.Kind != MsgGotFate || m.Flags&FlagKnown != 0 {
			if s.slots.get(h).retry > 0 {
				s.learn(h, SetOf(from), fx)
			}
			s.sayFate(now, h, SetOf(from), MsgFate, fx)
		}
		return m.Kind == MsgReplJob || m.Kind == MsgGotFate
	case m.Terms != nil:
		s.merge(now, h, m, fx)
	}
	return true
}

// humour answers a node of an earlier version, which knows nothing of death: as
// long as it hears that a consumer has a dead job, it does not queue it. It
// reports whether what it says counts.
func (s *Shard) humour(now int64, h uint32, from uint16, m *Message, fx *Effects) bool {
	if !dead(s.generation(h)) || m.Kind == MsgReplJob {
		return true
	}
	s.learn(h, SetOf(from), fx)
	if j, c := s.slots.get(h), s.slots.copies(h); m.Kind == MsgWillQueue && j.retry > 0 {
		c.heard(m.Number)
		c.outrank()
		s.send(now, SetOf(from), false, &Message{
			Kind: MsgLeased, ID: j.id, Who: Self, Number: c.number, Left: int64(j.retry) * 1000, Holders: s.holders(h),
		}, fx)
	}
	return false
}

// adopt takes over the terms of a later generation.
func (s *Shard) adopt(now int64, h uint32, from uint16, m *Message, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	line := s.queues[j.queue].jobs
	if j.state == Queued {
		line.Delete(h) // it has another place under other terms
	}
	s.lift(h)
	t := s.addTerms(h)
	priority, rank := t.priority, t.rank
	s.setTerms(h, m.Terms)
	if rank > t.rank {
		t.priority, t.rank = priority, rank
	}
	t.flags &^= termsOut | termsHeld
	s.tellLater(now, h, t, from)
	switch {
	case (partsOf(m.Kind)&partCounts) != 0 || m.Flags&FlagHeld != 0:
		j.nacks, j.extra = m.Nacks, m.Extra
	case !dead(t.generation): // a new life, whose counts were not told
		j.nacks, j.extra = 0, 0
	}
	s.lay(h)
	if j.state == Queued {
		line.Load(h)
	}
	switch lies := dead(t.generation); {
	case j.state == WaitRepl, c != nil && c.flags&flagMoved != 0, j.retry == 0 && j.flags&flagDelivered != 0:
	case lies && j.state != Dead:
		s.lie(now, h)
	case !lies && j.state == Dead:
		s.rise(now, h)
	case !lies:
		s.forgetPlace(now, h, j, c)
	}
	s.noteTerms(h, true, fx)
}

// forgetPlace makes a job one of which nobody knows where it is: it died and was
// put back while this node did not hear of it.
func (s *Shard) forgetPlace(now int64, h uint32, j *slot, c *copies) {
	if j.retry == 0 || c == nil {
		return
	}
	if j.state == Queued {
		s.unlink(now, h, j)
	}
	s.lift(h)
	j.qtime = min(now+int64(j.retry)*1000+s.jitter()+askOneBefore, mostTime-1)
	c.said, c.asked = saidNothing, askNobody
	s.lay(h)
}

// merge takes over what a message knows better of the terms of the same
// generation.
func (s *Shard) merge(now int64, h uint32, m *Message, fx *Effects) {
	o, t := m.Terms, s.slots.terms(h)
	if t == nil {
		if o.Plain() {
			return
		}
		t = s.addTerms(h)
	}
	was := *t
	if t.limit == 0 && t.base == 0 { // it came by a node that knew nothing of terms
		t.limit, t.base, t.most = o.Limit, o.Base, o.Most
	}
	if !o.silent && len(o.Reason) > 0 && (o.Tries > t.tries || t.reasonLen == 0 || m.Flags&(FlagForced|FlagHeld) != 0) {
		s.setReason(h, t, o.Reason)
	}
	o.news = o.Tries > t.tries
	t.tries = max(t.tries, o.Tries)
	if o.Rank > t.rank || o.Rank == t.rank && o.Priority < t.priority {
		s.rerank(h, o.Priority, o.Rank)
	}
	if *t != was {
		s.noteTerms(h, false, fx)
	}
}
