package store

import "slices"

// A queue without jobs here, and with consumers, asks other nodes for some
// (NEEDJOBS); those that have more than they need give (YOURJOB). How often
// depends on how it went before.

// MostGiven is how many jobs are given at a time at most.
const MostGiven = 100

const (
	needFew      = 5 // jobs asked for when nothing is known of the rate
	needMost     = MostGiven
	needBytes    = 1 << 20 // most that is given at a time, beyond the first job
	callFirst    = 2000    // milliseconds between calls to all nodes, twice as long each time
	callMost     = 30_000
	askFirst     = 25 // the same between calls to those that gave
	askMost      = 2000
	giverLasts   = 5000 // milliseconds since a node gave last
	rateInterval = 1000 // of the buckets by which imports are counted
	rateLasts    = 5000
	movedKept    = 60_000 // an at-most-once job that was set aside is forgotten then, whatever became of it
)

// need is how a queue gets jobs from other nodes.
type need struct {
	called, asked   int64 // when all nodes, and the givers, were asked last; 0: never
	calls, asks     uint8 // times since that helped
	givers          []giver
	start, previous int64 // of the present bucket and the one before
	count, before   int   // jobs imported in them
}

type giver struct {
	node uint16
	at   int64
}

// want asks other nodes for jobs of a queue that has none: its consumers wait, or
// its last job was taken.
func (s *Shard) want(now int64, q *queue, lastTaken bool, fx *Effects) {
	if s.view.Linked.Empty() || s.view.Leaving || q.pause != 0 {
		return
	}
	if q.need == nil {
		if lastTaken {
			return
		}
		q.need = &need{}
	}
	n := q.need
	rate := n.rate(now)
	if lastTaken && rate == 0 {
		return
	}
	n.givers = slices.DeleteFunc(n.givers, func(g giver) bool { return now-g.at > giverLasts })
	if n.called == 0 || now-n.called > min(callMost, int64(callFirst)<<min(n.calls, 8)) {
		n.called, n.calls = now, min(n.calls+1, 8)
		var flags uint8
		if q.waiters.len > 0 {
			flags = FlagWaiting
		}
		s.send(now, s.view.Linked, false, &Message{Kind: MsgNeedJobs, Flags: flags, Queue: []byte(q.name), Count: 1}, fx)
	}
	if len(n.givers) == 0 || !lastTaken && now-n.asked <= min(askMost, int64(askFirst)<<min(n.asks, 8)) {
		return
	}
	n.asked, n.asks = now, min(n.asks+1, 8)
	count := needFew
	if rate > 0 {
		count = min(needMost, max(needFew, rate/len(n.givers)))
	}
	var to Set
	for _, g := range n.givers {
		to = to.With(g.node)
	}
	s.send(now, to.And(s.view.Linked), false, &Message{Kind: MsgNeedJobs, Queue: []byte(q.name), Count: uint32(count)}, fx)
}

// WantForWaiters asks for jobs of the queues that consumers wait for.
func (s *Shard) WantForWaiters(now int64, fx *Effects) {
	for q := s.waited; q != nil; q = q.waitedNext {
		s.want(now, q, false, fx)
	}
}

// Waited reports whether a consumer waits.
func (s *Shard) Waited() bool { return s.waited != nil }

// rate returns how many jobs were imported a second of late.
func (n *need) rate(now int64) int {
	if n == nil || n.start == 0 || now-n.start > rateLasts {
		return 0
	}
	from := n.start
	if n.previous != 0 {
		from = n.previous
	}
	return int((int64(n.before+n.count)*1000 + max(50, now-from) - 1) / max(50, now-from))
}

// imported counts a job that a node gave.
func (n *need) imported(now int64, from uint16) {
	n.asks = 0
	i := slices.IndexFunc(n.givers, func(g giver) bool { return g.node == from })
	if i < 0 {
		n.calls = 0
		n.givers = append(n.givers, giver{node: from})
		i = len(n.givers) - 1
	}
	n.givers[i].at = now
	if now-n.start > rateInterval {
		n.previous, n.before = n.start, n.count
		n.start, n.count = now, 0
	}
	n.count++
}

// give hands jobs of a queue to a node whose consumers wait.
func (s *Shard) give(now int64, from uint16, m *Message, fx *Effects) {
	q := s.lookup(m.Queue)
	if q == nil || !q.live || q.jobs.Len() == 0 {
		if m.Flags&FlagWaiting != 0 {
			s.remember(now, from, m.Queue)
		}
		return
	}
	if q.pause&PauseOut != 0 || !s.view.Linked.Has(from) {
		return
	}
	count := int(min(m.Count, needMost))
	if q.jobs.Len() < 2*count {
		count = max(1, q.jobs.Len()/2)
	}
	for begun := len(fx.Outbox.Buf); count > 0 && s.suits(q, from) && len(fx.Outbox.Buf)-begun < needBytes; count-- {
		s.giveFirst(now, q, from, fx)
	}
}

// suits reports whether a queue has a job that a node can be given.
func (s *Shard) suits(q *queue, node uint16) bool {
	h, ok := q.jobs.Min()
	return ok && !s.strangers(h).Has(node)
}

// giveFirst hands the first job of a queue to a node.
func (s *Shard) giveFirst(now int64, q *queue, to uint16, fx *Effects) {
	h, _ := q.jobs.Min()
	s.giveJob(now, h, to, fx)
}

// giveJob hands a queued job to a node. A job that is at least once stays here as a
// copy; one that is at most once is never queued here again, unless that node says
// that it did not take it.
func (s *Shard) giveJob(now int64, h uint32, to uint16, fx *Effects) {
	j := s.slots.get(h)
	s.unlink(now, h, j)
	s.lift(h)
	j.qtime = 0
	c := s.addCopies(h)
	s.setHolders(h, s.holders(h).With(to))
	c.turn++
	if j.retry == 0 {
		s.setAside(now, h, j, c)
	} else {
		j.qtime = now + int64(j.retry)*1000 + s.jitter()
		c.state(saidQueued)
		c.who, c.until, c.asked = to, j.qtime, askNobody // it has not said so itself yet
	}
	s.lay(h)
	s.noteSet(h, j.retry == 0, fx)
	job := s.look(h)
	job.NextQueue = 0
	s.send(now, SetOf(to), j.retry == 0, &Message{
		Kind: MsgYourJob, Flags: s.ending(), ID: j.id, Turn: c.turn, Number: c.number, Nacks: j.nacks, Extra: j.extra, Holders: s.holders(h), Job: job,
		Terms: s.termsOf(h),
	}, fx)
	if s.view.Ending && j.retry > 0 {
		c.flags |= flagGiven
		s.passOn(now, h, c, s.others(h).Without(to), fx) // they would ask this node, which is gone by then
	}
}

// Refuse tells the giver of a job that it was not taken, and whether there is a
// copy of it here. Who asked to hold a copy hears of it if its process is about to end.
func (s *Shard) Refuse(now int64, from uint16, m *Message, fx *Effects) {
	switch {
	case m.Kind != MsgReplJob:
	case s.index.find(&m.ID) != 0:
		_ = s.hold(now, from, m, fx) // it takes no room
		return
	default:
		if m.Flags&FlagEnding != 0 {
			s.send(now, SetOf(from), false, &Message{Kind: MsgDropped, ID: m.ID}, fx)
		}
		return
	}
	var flags uint8
	if s.index.find(&m.ID) != 0 {
		flags = FlagKnown
	}
	s.send(now, SetOf(from), false, &Message{Kind: MsgRefused, Flags: flags, ID: m.ID, Turn: m.Turn}, fx)
}

// refused takes back a job that a node did not take.
func (s *Shard) refused(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		return
	}
	j, c := s.slots.get(h), s.slots.copies(h)
	moved := c != nil && c.flags&flagMoved != 0
	if c == nil || c.turn != m.Turn || j.state != Active || !moved && (c.said != saidQueued || c.who != from) {
		return
	}
	s.declined(from)
	c.flags &^= flagGiven
	if moved {
		s.takeBack(h, j, c)
	}
	if m.Flags&FlagKnown == 0 {
		s.setHolders(h, s.holders(h).Without(from))
	}
	s.enqueue(now, h, j, byMove, fx)
}

// setAside makes an at-most-once job one that another node has, to queue and
// deliver it: this one does so no more. Its timer is off the wheel.
func (s *Shard) setAside(now int64, h uint32, j *slot, c *copies) {
	j.flags |= flagDelivered | flagSpent
	s.spent.Load(h)
	c.flags = c.flags&^(flagDrain|flagOrigin) | flagMoved
	c.ptime = now + movedKept
}

// takeBack makes a job that was set aside one that may be queued here again.
func (s *Shard) takeBack(h uint32, j *slot, c *copies) {
	s.spent.Delete(h)
	j.flags &^= flagSpent | flagDelivered
	c.flags &^= flagMoved
	s.lift(h)
	c.ptime = 0
	s.lay(h)
}

// take queues a job that a node gave.
func (s *Shard) take(now int64, from uint16, m *Message, fx *Effects) error {
	q := s.lookup([]byte(m.Job.Queue))
	if q != nil && q.pause != 0 {
		return ErrPaused
	}
	if dead(m.generation()) {
		return nil // nobody gives the dead
	}
	once := m.Job.Retry == 0
	h := s.index.find(&m.ID)
	if h == 0 {
		if acked, err := s.acked(now, from, m, fx); acked {
			return err
		}
		holders := SetOf(Self)
		if !once {
			holders = m.Holders.With(from).With(Self)
		}
		m.Job.NextQueue = 0
		var err error
		if h, err = s.register(now, m, holders, from); err != nil {
			return err
		}
		q = s.link(now, h, s.slots.get(h))
		s.put(h, fx)
		s.imported(now, q, from)
		s.serve(now, q, fx)
	} else if !s.takeKnown(now, h, from, m, fx) && (once || s.slots.get(h).state == Acked) {
		return nil // an acknowledgement is an answer
	}
	if once || m.Flags&FlagEnding != 0 {
		s.send(now, SetOf(from), true, &Message{Kind: MsgGotJob, ID: m.ID, Turn: m.Turn}, fx)
	}
	return nil
}

// takeKnown is take for a job that this node knows already. It reports false if
// it is not the one to have it.
func (s *Shard) takeKnown(now int64, h uint32, from uint16, m *Message, fx *Effects) bool {
	j := s.slots.get(h)
	if j.state == Acked {
		s.meetAck(now, h, m.Holders.With(from), from, fx)
		return false
	}
	if j.retry > 0 {
		s.learn(h, m.Holders.With(from).With(Self), fx)
		s.slots.copies(h).heard(m.Number)
		j.nacks, j.extra = max(j.nacks, m.Nacks), max(j.extra, m.Extra)
	}
	c := s.slots.copies(h)
	switch {
	case j.state != Active:
		return false
	case j.retry == 0:
		if c == nil || c.flags&flagMoved == 0 {
			return false
		}
		s.takeBack(h, j, c)
		s.setHolders(h, SetOf(Self))
	case c.leased(j, now):
		s.insist(now, h, m.Number, SetOf(from), fx)
		return false
	}
	q := s.queues[j.queue]
	s.imported(now, q, from)
	return s.enqueue(now, h, j, byMove, fx)
}

// imported counts a job that a node gave to a queue.
func (s *Shard) imported(now int64, q *queue, from uint16) {
	if q.need == nil {
		q.need = &need{}
	}
	q.need.imported(now, from)
}
