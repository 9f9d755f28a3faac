package store

import "github.com/disqo/disqo/store/planted"

// An acknowledged job that other nodes hold is kept, without its body, until all
// of them know: SETACK tells them, GOTACK is their answer, and DELJOB lets them
// forget it. Whoever knows more holders than the one who tells it collects too,
// so that none is left out.

// When the holders of an acknowledged job are told again, milliseconds: twice as
// long each time.
const (
	collectFirst = 1000
	collectMost  = 180_000
	// A holder that is no member of the cluster is given up after so many times:
	// half a minute, in which gossip would have told of it.
	collectStrangers = 5
)

// acknowledge makes a job an acknowledged one and begins its collection.
func (s *Shard) acknowledge(now int64, h uint32, j *slot, fx *Effects) {
	if !s.markAcked(now, h, j, fx) {
		return
	}
	s.collect(now, h, fx)
}

// markAcked makes a job an acknowledged one. It reports false if that was the
// end of it, as nobody else holds it.
func (s *Shard) markAcked(now int64, h uint32, j *slot, fx *Effects) bool {
	if j.state == WaitRepl {
		s.added(h, nil, fx)
	}
	if j.state == Queued {
		s.unlink(now, h, j)
	}
	if s.others(h).Empty() {
		s.remove(now, h, fx)
		return false
	}
	c := s.slots.copies(h)
	s.lift(h)
	c.flags &= flagHas | flagWide | flagExternal
	c.tries, c.ptime, c.said = 0, now+2*collectFirst+s.jitter(), saidNothing
	s.lay(h)
	s.setConfirmed(h, SetOf(Self))
	s.keepAck(h, j, fx)
	return true
}

// collect tells who has to know that a job is acknowledged, or, when all do,
// ends it.
func (s *Shard) collect(now int64, h uint32, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	if c.tries >= collectStrangers {
		s.setHolders(h, s.holders(h).And(s.view.Known.With(Self)))
	}
	holders, confirmed := s.others(h), s.confirmed(h)
	if holders.In(confirmed) {
		s.tell(now, holders, MsgDelJob, &j.id, fx)
		s.remove(now, h, fx)
		return
	}
	s.send(now, holders.Minus(confirmed), true, &Message{Kind: MsgSetAck, ID: j.id, Holders: s.holders(h)}, fx)
	s.lift(h)
	c.ptime = now + again(c.tries) + s.jitter()
	if planted.Is(planted.NoRetryOfSetAck) {
		c.ptime = j.etime
	}
	c.tries = min(c.tries+1, 10)
	s.lay(h)
}

// again is the time until the holders of an acknowledged job are told again.
func again(tries uint8) int64 { return min(collectMost, int64(collectFirst)<<tries) }

// setAck is told that a job is acknowledged.
func (s *Shard) setAck(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		if s.view.Leaving && m.Holders.Empty() {
			// It may have been given away, to a node that did not know it either when it was
			// asked. That one has its copy before this.
			s.send(now, s.view.Linked.Without(from), true, &Message{Kind: MsgSetAck, ID: m.ID}, fx)
		}
		switch {
		case s.view.Ending:
			return // who has it now is on its way to the holders
		case !m.Holders.Empty():
			s.dropDummy(&m.ID) // one of the holders knows, and collects
		case m.Flags&FlagEnding != 0:
			s.dummyAck(now, &m.ID, fx)
		}
		s.tell(now, SetOf(from), MsgGotAck, &m.ID, fx)
		return
	}
	j, knew := s.slots.get(h), s.holders(h)
	dummy, loose := m.Holders.Empty(), s.loose(h, from)
	changed := !dummy && s.setHolders(h, knew.Or(m.Holders).With(from))
	if j.state != Acked {
		if !s.markAcked(now, h, j, fx) {
			s.send(now, SetOf(from), true, &Message{Kind: MsgGotAck, Flags: FlagKnown, ID: m.ID}, fx)
			return
		}
	} else if changed {
		s.put(h, fx)
	}
	if !dummy && !knew.In(m.Holders.With(from).With(Self)) {
		s.collect(now, h, fx)
		return
	}
	if !dummy || !s.view.Ending { // who keeps it goes on with that
		s.send(now, SetOf(from), true, &Message{Kind: MsgGotAck, Flags: FlagKnown, ID: m.ID}, fx)
	}
	if loose {
		s.setConfirmed(h, s.confirmed(h).With(from))
	}
	if dummy || loose {
		s.collect(now, h, fx)
	}
}

// loose reports whether a copy of a job may be on its way from here to another
// node than from. That node may tell from that it does not know the job, and get
// it then. What is sent to it from here comes after the copy.
func (s *Shard) loose(h uint32, from uint16) bool {
	c := s.slots.copies(h)
	switch {
	case c == nil || s.slots.get(h).state == Acked:
		return false
	case c.flags&flagOrigin != 0 && !s.others(h).Without(from).In(s.confirmed(h)):
		return true
	}
	gave := c.turn > 0 && c.said == saidQueued && c.who != Self && c.who != from
	return c.tries > 0 || c.flags&flagDrain != 0 || gave
}

// gotAck is told that a node knows that a job is acknowledged.
func (s *Shard) gotAck(now int64, from uint16, m *Message, fx *Effects) {
	known := m.Flags&FlagKnown != 0
	h := s.index.find(&m.ID)
	if h == 0 {
		s.dummyKnown(now, from, &m.ID, known, fx)
		return
	}
	if s.slots.get(h).state != Acked {
		return
	}
	if known {
		s.learn(h, SetOf(from), fx)
	}
	if s.holders(h).Has(from) {
		s.setConfirmed(h, s.confirmed(h).With(from))
	}
	if s.others(h).In(s.confirmed(h)) {
		s.collect(now, h, fx)
	}
}

// forgetJob is told that a job is done. A node that collects itself goes on until
// all holders answered: behind their answers no copy can be on its way here, while
// who says this only knows that of itself.
func (s *Shard) forgetJob(now int64, id *ID, fx *Effects) {
	s.dropDummy(id)
	h := s.index.find(id)
	if h == 0 || s.slots.get(h).state == Acked && s.slots.copies(h).tries > 0 {
		return
	}
	s.remove(now, h, fx)
}

// meetAck tells a node that sent a job that it is acknowledged.
func (s *Shard) meetAck(now int64, h uint32, holders Set, from uint16, fx *Effects) {
	s.learn(h, holders, fx)
	s.setConfirmed(h, s.confirmed(h).Without(from))
	s.send(now, SetOf(from), true, &Message{Kind: MsgSetAck, ID: s.slots.get(h).id, Holders: s.holders(h)}, fx)
}

// FastAck deletes a job here and tells its holders, or all nodes if it is not
// known here, to do the same, once: whoever does not hear it keeps the job. It
// reports whether the job was known.
func (s *Shard) FastAck(now int64, id *ID, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 {
		s.dropDummy(id)
		s.tell(now, s.view.Linked, MsgDelJob, id, fx)
		return false
	}
	s.added(h, nil, fx)
	s.tell(now, s.others(h), MsgDelJob, id, fx)
	s.remove(now, h, fx)
	return true
}

// Forget takes a node that is no member any more out of the holders of up to n
// jobs, from position pos on (0 to begin with). It returns the position to go on
// from, -1 at the end.
func (s *Shard) Forget(now int64, node uint16, pos int64, n int, fx *Effects) int64 {
	return s.walk(pos, n, func(h uint32) { s.without(now, h, node, fx) })
}

// dropped is told that a node holds no copy of a job any more.
func (s *Shard) dropped(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		return
	}
	s.hearHolders(now, h, m, fx) // one of them may be new
	if !s.slots.has(h) {
		return
	}
	s.without(now, h, from, fx)
	if c := s.slots.copies(h); s.view.Ending && c != nil && c.flags&flagDrain != 0 {
		s.declined(from)
		s.lift(h)
		c.flags, c.ptime = c.flags&^flagDrain, 0 // the next round asks another one
		s.lay(h)
	}
}

// hearHolders is told of nodes that hold a job. If it is acknowledged, those that are new
// here may be so to who collects, too.
func (s *Shard) hearHolders(now int64, h uint32, m *Message, fx *Effects) {
	if s.learn(h, m.Holders, fx) && s.slots.get(h).state == Acked {
		s.collect(now, h, fx)
	}
}

// without takes a node out of the holders of a job.
func (s *Shard) without(now int64, h uint32, node uint16, fx *Effects) {
	if !s.holders(h).Has(node) || s.slots.copies(h) == nil {
		return
	}
	s.setHolders(h, s.holders(h).Without(node))
	s.setConfirmed(h, s.confirmed(h).Without(node))
	if s.slots.get(h).state == Acked && s.others(h).In(s.confirmed(h)) {
		s.collect(now, h, fx)
		return
	}
	s.noteHolders(h, fx)
}

// walk calls visit for the jobs at up to n positions from pos on, which it may
// remove, and returns the position to go on from, -1 at the end.
func (s *Shard) walk(pos int64, n int, visit func(h uint32)) int64 {
	for ; n > 0 && pos < int64(s.slots.limit())-1; n-- {
		if s.slots.slabs[pos/slabSlots] == nil {
			pos = (pos/slabSlots + 1) * slabSlots
			continue
		}
		pos++
		if h := uint32(pos); s.slots.has(h) {
			visit(h)
		}
	}
	if pos < int64(s.slots.limit())-1 {
		return pos
	}
	return -1
}
