package store

import "github.com/disqo/disqo/store/planted"

// A job whose deliveries fail, by NACK or as leases run out, waits longer each
// time if it has a back-off, and dies if it has a limit. A dead job keeps what it
// has, is not delivered, and lives to the end of its TTL or until it is put back.
//
// Whether it is dead follows from its generation, which each death and each
// return raises by one: odd is dead. What nodes say of a job counts only within
// its generation, and the higher one replaces the lower. Who raises it tells the
// other holders (FATE) until all of them know (GOTFATE).
//
// A failed delivery is counted by the node that delivered, once, and the highest
// count is that of all: so nodes may count too few, but never too many.

// Refusal is how a consumer gives a job back.
type Refusal struct {
	Delay  int64  // seconds until it is queued again; negative: as the job's back-off says
	Reason []byte // up to MaxReason bytes; empty: it gives none
}

// Nack gives a job back that its consumer failed to do; how may be nil. The job
// is queued again, after a delay if it is given one or has a back-off, or dies.
// It reports false for unknown jobs, for those that are queued or dead or wait
// after a failure already, and for delivered ones that are at most once.
func (s *Shard) Nack(now int64, id *ID, how *Refusal, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 || planted.Is(planted.DroppedNack) {
		return h != 0
	}
	j := s.slots.get(h)
	if !j.returns() {
		return false
	}
	t, asked := s.slots.terms(h), how != nil && how.Delay >= 0
	switch {
	case t != nil && t.flags&termsHeld != 0 && !asked:
		return false
	case how != nil && (how.Delay > 0 || len(how.Reason) > 0):
		t = s.addTerms(h)
	}
	if t == nil {
		return s.enqueue(now, h, j, byNack, fx)
	}
	if how != nil && len(how.Reason) > 0 {
		s.setReason(h, t, how.Reason)
	}
	tries := t.tries + 1
	if t.fail() {
		tries = t.tries
	}
	wait := s.backOff(t, tries)
	if asked {
		wait = how.Delay * 1000
	}
	if wait == 0 && !t.exhausted() {
		return s.enqueue(now, h, j, byNack, fx)
	}
	j.nacks = saturate(j.nacks)
	s.happenedTo(j, EventNacked)
	s.slots.copies(h).outrank()
	s.dieOrWait(now, h, wait, fx)
	return true
}

// dieOrWait is what becomes of a job that failed, if it is not queued at once.
func (s *Shard) dieOrWait(now int64, h uint32, wait int64, fx *Effects) {
	if s.slots.terms(h).exhausted() {
		s.die(now, h, fx)
	} else {
		s.holdBack(now, h, wait, fx)
	}
}

// returns reports whether an active job may be delivered again.
func (j *slot) returns() bool {
	return j.state == Active && (j.retry > 0 || j.flags&flagDelivered == 0)
}

// fail counts the delivery of a job from here as failed, and reports whether
// there was one.
func (t *terms) fail() bool {
	if t.flags&termsOut == 0 {
		return false
	}
	t.flags &^= termsOut
	t.tries = saturate(t.tries)
	if planted.Is(planted.HastyDeath) {
		t.tries = saturate(t.tries)
	}
	return true
}

func (t *terms) exhausted() bool { return t.limit > 0 && t.tries >= t.limit }

// backOff returns for how long a job waits after so many failed deliveries,
// milliseconds: twice as long after each, within a tenth.
func (s *Shard) backOff(t *terms, tries uint16) int64 {
	if t.base == 0 {
		return 0
	}
	wait := int64(t.most)
	if n := tries - 1; n < 32 {
		wait = min(wait, int64(t.base)<<n)
	}
	return wait*900 + int64(s.random()%uint64(wait*200+1))
}

// comesBack queues an active job whose time has come: that of a lease, a delay
// or a back-off. A lease from here has failed then.
func (s *Shard) comesBack(now int64, h uint32, j *slot, fx *Effects) {
	t := s.slots.terms(h)
	if t == nil || !j.returns() || !t.fail() {
		s.enqueue(now, h, j, byAdd, fx)
		return
	}
	wait := s.backOff(t, t.tries)
	if wait == 0 && !t.exhausted() {
		s.enqueue(now, h, j, byAdd, fx)
		return
	}
	j.extra = saturate(j.extra)
	s.happenedTo(j, EventRetried)
	s.dieOrWait(now, h, wait, fx)
}

// holdBack has an active job wait after a failure: it is as if a consumer of this
// node had it for so many milliseconds.
func (s *Shard) holdBack(now int64, h uint32, wait int64, fx *Effects) {
	j, c, t := s.slots.get(h), s.slots.copies(h), s.slots.terms(h)
	s.lift(h)
	t.flags |= termsHeld
	j.qtime = min(now+wait, mostTime-1)
	if c != nil {
		c.state(saidLeased)
		c.asked = askNobody
	}
	s.lay(h)
	s.noteTerms(h, true, fx)
	if c != nil {
		s.sayLeased(now, h, s.others(h), MsgWorking, fx)
	}
}

// overtaken is told that another node's word replaces that of this one, from
// which a consumer had the job. If it gave the job back there, that is a failed
// delivery, to be counted here.
func (s *Shard) overtaken(now int64, h uint32, nacked bool, by uint16, fx *Effects) {
	t := s.slots.terms(h)
	switch {
	case t == nil || t.flags&termsOut == 0:
	case !nacked:
		t.flags &^= termsOut
	case t.fail() && t.exhausted():
		s.die(now, h, fx)
	default:
		s.noteTerms(h, false, fx)
		s.sayFate(now, h, SetOf(by), MsgFate, fx)
	}
}

// Bury makes an active or queued job dead; reason is up to MaxReason bytes, empty
// for none. It reports false for other jobs, and for those at most once that were
// delivered.
func (s *Shard) Bury(now int64, id *ID, reason []byte, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 {
		return false
	}
	if j := s.slots.get(h); j.state != Queued && !j.returns() || s.generation(h) >= lastGeneration {
		return false
	}
	t := s.addTerms(h)
	if len(reason) > 0 {
		s.setReason(h, t, reason)
	}
	s.die(now, h, fx)
	return true
}

// lastGeneration is the highest that a job may die from or come back to: a peer
// may say any.
const lastGeneration = 1<<32 - 3

// die makes a job dead and tells its holders.
func (s *Shard) die(now int64, h uint32, fx *Effects) {
	t := s.addTerms(h)
	t.generation++
	s.lie(now, h)
	s.happenedTo(s.slots.get(h), EventDied)
	s.noteTerms(h, true, fx)
	s.spreadFate(now, h, fx)
}

// lie puts a job whose generation says that it is dead with the dead.
func (s *Shard) lie(now int64, h uint32) {
	j := s.slots.get(h)
	if j.state == Queued {
		s.unlink(now, h, j)
	}
	s.lift(h)
	j.state, j.qtime = Dead, 0
	s.slots.terms(h).flags &^= termsOut | termsHeld
	if c := s.slots.copies(h); c != nil {
		c.said, c.asked = saidNothing, askNobody
	}
	s.lay(h)
	q := s.queues[j.queue]
	s.awaken(q, now)
	if q.dead == nil {
		q.dead = s.newOrder()
	}
	q.dead.Set(h)
}

// rise takes a job whose generation says that it lives from the dead: it is
// active, as a copy of what another node has.
func (s *Shard) rise(now int64, h uint32) {
	j := s.slots.get(h)
	s.queues[j.queue].dead.Delete(h)
	s.lift(h)
	j.state = Active
	if j.retry > 0 {
		j.qtime = min(now+int64(j.retry)*1000+s.jitter()+askOneBefore, mostTime-1)
	}
	s.lay(h)
}

// Kick puts up to n dead jobs of a queue back that were created after a time,
// nanoseconds, the oldest first. It returns how many, and when the last of them
// was created: what died again meanwhile is older.
func (s *Shard) Kick(now int64, name []byte, after int64, n int, fx *Effects) (done int, last int64) {
	q := s.lookup(name)
	if q == nil || q.dead == nil {
		return 0, after
	}
	var list []uint32
	q.dead.Scan(func(h uint32) bool {
		if s.slots.get(h).ctime > after && s.slots.terms(h).generation < lastGeneration {
			list = append(list, h)
		}
		return len(list) < n
	})
	for _, h := range list {
		after = s.slots.get(h).ctime
		s.kick(now, h, fx)
	}
	return len(list), after
}

// KickJob puts a dead job back and reports whether it was dead.
func (s *Shard) KickJob(now int64, id *ID, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 || s.slots.get(h).state != Dead || s.generation(h) >= lastGeneration {
		return false
	}
	s.kick(now, h, fx)
	return true
}

func (s *Shard) kick(now int64, h uint32, fx *Effects) {
	j, t := s.slots.get(h), s.slots.terms(h)
	t.generation++
	t.tries, j.nacks, j.extra = 0, 0, 0
	s.rise(now, h)
	s.happenedTo(j, EventKicked)
	s.slots.copies(h).outrank()
	q := s.link(now, h, j)
	s.noteTerms(h, true, fx)
	s.spreadFate(now, h, fx)
	if others := s.others(h); !others.Empty() {
		s.sayQueued(now, h, others, FlagForced, fx)
	}
	s.serve(now, q, fx)
}

// Promote changes the priority of a job and reports whether it is known and not
// acknowledged. The other holders are told, once.
func (s *Shard) Promote(now int64, id *ID, priority uint32, fx *Effects) bool {
	h := s.index.find(id)
	if h == 0 || s.slots.get(h).state == Acked {
		return false
	}
	t := s.addTerms(h)
	s.rerank(h, priority, saturate(t.rank))
	s.noteTerms(h, true, fx)
	s.sayFate(now, h, s.others(h), MsgFate, fx)
	return true
}

// rerank gives a job another place in its queue.
func (s *Shard) rerank(h uint32, priority uint32, rank uint16) {
	j, t := s.slots.get(h), s.slots.terms(h)
	line := s.queues[j.queue].jobs
	if j.state == Queued {
		line.Delete(h)
	}
	t.priority, t.rank = priority, rank
	if j.state == Queued {
		line.Load(h)
	}
}
