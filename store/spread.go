package store

import (
	"errors"

	"github.com/disqo/disqo/store/planted"
)

// ErrRemoved tells an Adder that the job was removed before enough nodes held it.
var ErrRemoved = errors.New("store: job removed before enough nodes held it")

// Adder waits until a job that was added is on as many nodes as it shall be.
type Adder interface {
	// Added ends the wait, with nil or ErrRemoved. The store never calls it: it
	// is listed in Effects, for the caller of the change to do so without the
	// lock.
	Added(err error)
}

// Added is what became of a job whose Adder waits.
type Added struct {
	Adder Adder
	Err   error
}

// How long a node waits for the confirmation of a copy before it asks again,
// and one node more: twice as long each time.
const (
	spreadFirst = 50   // milliseconds
	spreadAdd   = 1000 // most, while ADDJOB waits
	spreadMost  = 4000 // most, afterwards
	// So often, three seconds in all, nodes that can be reached are asked alone.
	spreadElsewhere = 5
)

// spread makes a new job one that other nodes shall hold too, and asks them.
// It reports whether the job may be queued here now.
func (s *Shard) spread(now int64, h uint32, j *slot, spec *Spec, fx *Effects) (ready bool) {
	c := s.addCopies(h)
	c.flags |= flagOrigin
	c.sync = max(1, spec.Sync)
	if planted.Is(planted.OneCopyLess) {
		c.sync = max(1, c.sync-1)
	}
	own, wanted := SetOf(Self), int(spec.Repl)-1
	if spec.External {
		own, wanted = Set{}, wanted+1
		c.flags |= flagExternal
	}
	peers := s.pick(wanted, s.strangers(h))
	s.setHolders(h, own.Or(peers))
	s.setConfirmed(h, own)
	c.ptime = now + spreadFirst
	s.sendCopy(now, h, peers, fx)
	if own.Len() >= int(c.sync) {
		return true
	}
	j.state = WaitRepl
	if spec.Adder != nil {
		s.adders[h] = spec.Adder
	}
	return false
}

// sendCopy asks nodes to hold a job.
func (s *Shard) sendCopy(now int64, h uint32, to Set, fx *Effects) {
	j := s.look(h)
	if s.slots.get(h).flags&flagQueuedOnce != 0 {
		j.NextQueue = s.delayed(now, h) // what is left of a delay counts, not of a lease
	}
	if dead(s.generation(h)) {
		to = to.And(s.view.Terms) // others would deliver it
	}
	s.send(now, to, false, &Message{
		Kind: MsgReplJob, Flags: s.ending(), ID: j.ID, Number: s.slots.copies(h).number, Nacks: j.Nacks, Extra: j.Extra, Holders: s.holders(h), Job: j,
		Terms: s.termsOf(h),
	}, fx)
}

// delayed returns until when the DELAY of a job lasts, as far as a node knows that holds a
// copy and has not heard of it since: register made its time that and a RETRY, within the
// jitter. It is 0 if it is over.
func (s *Shard) delayed(now int64, h uint32) int64 {
	j, c := s.slots.get(h), s.slots.copies(h)
	until := j.qtime - int64(j.retry)*1000 + mostJitter
	if j.flags&flagDelay == 0 || j.flags&flagDelivered != 0 || j.state != Active || c.said != saidNothing || until <= now {
		return 0
	}
	return until
}

// strangers are the nodes that could not take a copy of a job as they do not know
// its terms.
func (s *Shard) strangers(h uint32) Set {
	if s.slots.terms(h) == nil {
		return Set{}
	}
	return s.view.Known.Minus(s.view.Terms)
}

// got takes note that a node holds a job.
func (s *Shard) got(now int64, from uint16, m *Message, fx *Effects) {
	h := s.index.find(&m.ID)
	if h == 0 {
		return
	}
	j, c := s.slots.get(h), s.slots.copies(h)
	switch {
	case c == nil || j.state == Acked:
	case c.flags&flagGiven != 0 && c.turn == m.Turn:
		c.flags &^= flagGiven
	case c.flags&flagMoved != 0:
		if c.turn == m.Turn {
			s.remove(now, h, fx)
		}
	case c.flags&flagOrigin != 0:
		s.setHolders(h, s.holders(h).With(from))
		s.setConfirmed(h, s.confirmed(h).With(from))
		s.spreads(now, h, fx)
	case c.flags&flagDrain != 0:
		s.handOver(now, h, from, fx)
	}
}

// spreads looks whether enough nodes confirmed a job by now.
func (s *Shard) spreads(now int64, h uint32, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	n := s.confirmed(h).Len()
	if j.state == WaitRepl && n >= int(c.sync) {
		s.added(h, nil, fx)
		if c.flags&flagExternal != 0 {
			s.handOut(now, h, fx)
			return
		}
		s.ready(now, h, j, fx)
	}
	if n >= int(j.repl) && j.state != WaitRepl && c.flags&flagOrigin != 0 { // it may be given away by now
		s.lift(h)
		c.flags &^= flagOrigin
		c.ptime = 0
		s.setConfirmed(h, Set{})
		s.lay(h)
		s.noteSet(h, false, fx)
	}
}

// ready makes a job that waited for its copies one that can be delivered.
func (s *Shard) ready(now int64, h uint32, j *slot, fx *Effects) {
	s.lift(h)
	j.state = Active
	s.lay(h)
	if dead(s.generation(h)) { // it was buried elsewhere meanwhile
		s.lie(now, h)
		s.noteTerms(h, true, fx)
		return
	}
	if j.qtime <= now {
		q := s.link(now, h, j)
		s.serve(now, q, fx)
	}
}

// added tells the Adder of a job, if it has one, how its wait ended.
func (s *Shard) added(h uint32, err error, fx *Effects) {
	if a := s.adders[h]; a != nil {
		delete(s.adders, h)
		fx.Added = append(fx.Added, Added{a, err})
	}
}

// handOut lets one of the holders of a job, of which this node is none, queue it.
func (s *Shard) handOut(now int64, h uint32, fx *Effects) {
	j, confirmed := s.slots.get(h), s.confirmed(h)
	to := s.anyOf(confirmed)
	s.send(now, SetOf(to), false, &Message{Kind: MsgEnqueue, ID: j.id, Who: to, Number: s.slots.copies(h).number, Left: max(0, j.qtime-now), Terms: s.silentTerms(h)}, fx)
	if !s.holders(h).In(confirmed) && j.retry == 0 {
		s.tell(now, s.holders(h).Minus(SetOf(to)), MsgDelJob, &j.id, fx)
	}
	s.lift(h)
	j.state = Active // it waits no more
	s.lay(h)
	s.remove(now, h, fx)
}

// probe asks again who did not confirm a copy, and other nodes for those that
// cannot.
func (s *Shard) probe(now int64, h uint32, fx *Effects) {
	j, c := s.slots.get(h), s.slots.copies(h)
	holders, confirmed := s.holders(h), s.confirmed(h)
	again := holders.Minus(confirmed).And(s.view.Reachable)
	more := 1
	if j.state != WaitRepl {
		more = max(0, int(j.repl)-confirmed.Len()-again.Len())
		if c.tries >= spreadElsewhere {
			more = max(more, 1) // they do not take it
		}
	}
	fresh := s.pick(more, holders.Or(s.strangers(h)))
	if s.learn(h, fresh, fx) {
		s.send(now, confirmed, false, &Message{Kind: MsgHolders, ID: j.id, Holders: s.holders(h)}, fx)
	}
	to := again.And(s.view.Linked).Or(fresh)
	s.sendCopy(now, h, to, fx)
	most := int64(spreadMost)
	if j.state == WaitRepl {
		most = spreadAdd
	}
	s.lift(h)
	c.tries = min(c.tries+1, 10)
	c.ptime = now + min(most, int64(spreadFirst)<<c.tries) + s.jitter()/10
	if to.Empty() && j.state != WaitRepl && c.tries > spreadElsewhere {
		c.ptime, s.owing = 0, true // until Rouse
	}
	s.lay(h)
}

// Rouse goes on with spreading jobs of which no node could take a copy, as now one
// may, and begins to tell nodes that have begun anew which of the jobs that they hold
// have died or were put back, as they may have lost that with the end of their logs:
// of up to n positions from pos on (0 to begin with). Nodes that have come are told soon of
// acknowledgements that they do not know. It returns the position to go on from, -1 at the
// end.
func (s *Shard) Rouse(now, pos int64, n int, reborn Set) int64 {
	if s.slots.termed == 0 {
		reborn = Set{}
	}
	if pos == 0 {
		s.hurryDummies(now)
		if !s.owing && reborn.Empty() && s.counts.Jobs[ClassAcked] == 0 {
			return -1
		}
		s.owing = false
	}
	return s.walk(pos, n, func(h uint32) {
		if !reborn.Empty() {
			s.remind(now, h, reborn)
		}
		c, span := s.slots.copies(h), uint64(rouseSpan)
		switch {
		case c == nil:
			return
		case s.slots.get(h).state == Acked:
			if c.tries == 0 || c.ptime < now+ackSoon || s.unconfirmed(h).And(s.view.Linked).Empty() {
				return // another one collects, or it is soon, or nobody is there to be told
			}
			span = ackSoon
		case c.flags&flagOrigin == 0 || c.ptime != 0:
			return
		}
		s.lift(h)
		c.ptime, c.tries = now+int64(s.random()%span), min(c.tries, 1)
		s.lay(h)
	})
}

// rouseSpan spreads what Rouse sets going, milliseconds.
const rouseSpan = 2000

// GiveUp ends the wait of a job's Adder, which is not told: whoever held the job
// forgets it again, as if it was acknowledged. It reports false if the job does
// not wait any more; else how many nodes confirmed it, and which were asked and
// did not.
func (s *Shard) GiveUp(now int64, id *ID, fx *Effects) (confirmed int, silent Set, ok bool) {
	h := s.index.find(id)
	if h == 0 {
		return 0, silent, false
	}
	j := s.slots.get(h)
	if j.state != WaitRepl {
		return 0, silent, false
	}
	delete(s.adders, h)
	have := s.confirmed(h)
	silent = s.others(h).Minus(have)
	s.acknowledge(now, h, j, fx)
	return have.Len(), silent, true
}

// hold takes a copy of a job from another node.
func (s *Shard) hold(now int64, from uint16, m *Message, fx *Effects) error {
	holders := m.Holders.With(from).With(Self)
	h := s.index.find(&m.ID)
	if h == 0 {
		if acked, err := s.acked(now, from, m, fx); acked {
			return err
		}
		if q := s.lookup([]byte(m.Job.Queue)); q != nil && q.pause&PauseIn != 0 {
			return ErrPaused
		}
		var err error
		if h, err = s.register(now, m, holders, from); err != nil {
			return err
		}
		if m.Job.Retry == 0 && s.slots.get(h).state == Active { // until its sender says ENQUEUE
			s.lift(h)
			s.setAside(now, h, s.slots.get(h), s.slots.copies(h))
			s.lay(h)
		}
		s.put(h, fx)
	} else {
		if s.slots.get(h).state == Acked {
			s.meetAck(now, h, holders, from, fx)
			return nil
		}
		s.learn(h, holders, fx)
	}
	s.tell(now, SetOf(from), MsgGotJob, &m.ID, fx)
	return nil
}

// register makes the job of a message of another node known here, as yet
// unqueued. That node is the first to be asked who has it, though it did not say
// that it has.
func (s *Shard) register(now int64, m *Message, holders Set, from uint16) (uint32, error) {
	job := m.Job
	if s.full() {
		return 0, ErrFull
	}
	q, err := s.intern([]byte(job.Queue))
	if err != nil {
		return 0, err
	}
	h, j := s.slots.alloc()
	*j = job.slot()
	j.queue, j.state = q.num, Active
	j.flags |= flagQueuedOnce
	j.etime = min(now+job.Expires, mostTime-1)
	j.qtime = 0
	if j.retry > 0 {
		j.qtime = min(now+job.NextQueue+int64(j.retry)*1000+s.jitter(), mostTime-1)
	}
	s.newest = max(s.newest, j.ctime)
	s.keepBody(j, job.Delay, job.Body)
	s.setHolders(h, holders)
	if c := s.slots.copies(h); c != nil {
		c.who, c.number, c.asked = from, m.Number, askNobody
	}
	if m.Terms != nil {
		s.setTerms(h, m.Terms)
		t := s.slots.terms(h)
		t.flags &^= termsHeld
		if t.generation > 0 && j.retry > 0 {
			s.tellLater(now, h, t, from)
		}
	}
	s.enter(h, j, q)
	if m.generation()&1 != 0 && j.retry > 0 {
		s.lie(now, h)
	}
	return h, nil
}
