package store

import (
	"fmt"
	"slices"
)

// Verify holds everything that is true of a shard between two changes against
// a recount, and returns an error that names the first job or queue that is
// not as it must be, with its state; nil if there is none. now is a time, in
// milliseconds, up to which Tick came to rest: no job outlives its TTL then; 0
// if there is none. Between the first Replay and the end of Settle it holds the
// structure alone.
//
// It changes nothing, the view of a job included, and does not panic, whatever
// it finds. It looks at every job, queue, ticket and page of memory, and
// allocates some bytes for each: it is for tests, for the simulator and for
// programs built to check themselves. VerifyCounts is the cheaper one.
func (s *Shard) Verify(now int64) error {
	if err := s.verifyStructure(now); err != nil || s.loading {
		return err
	}
	hashes := make([]uint16, len(s.queues))
	for num, q := range s.queues {
		if q != nil {
			hashes[num] = Hash16([]byte(q.name))
		}
	}
	for h := range s.slots.all {
		if err := s.verifyState(h, hashes); err != nil {
			return err
		}
	}
	return nil
}

// VerifyCounts is the part of Verify that looks at no job: what the queues and
// the shard count, that no queue has both deliverable jobs and waiters, and the
// list of queues that are waited for. It costs O(queues), allocates nothing
// unless it finds something, and can be called after each change.
func (s *Shard) VerifyCounts() error {
	live, named, refs, queued, waited := 0, 0, 0, 0, 0
	least := int64(s.slots.live) * jobCost
	for num, q := range s.queues {
		if q == nil {
			continue
		}
		if err := s.verifyQueue(uint32(num), q); err != nil {
			return err
		}
		named++
		refs += q.refs
		least += queueCost(len(q.name))
		if q.live {
			live++
			queued += q.jobs.Len()
		}
		if q.waiters.len > 0 {
			waited++
		}
	}
	switch jobs := s.slots.live; {
	case named != len(s.names) || named+len(s.freeQueues) != len(s.queues):
		return broken("%d queues, %d names, %d free of %d places", named, len(s.names), len(s.freeQueues), len(s.queues))
	case live != s.liveQueues:
		return broken("%d queues are live, %d are counted", live, s.liveQueues)
	case refs != jobs:
		return broken("%d jobs, the queues count %d", jobs, refs)
	case max(queued, s.spent.Len(), len(s.adders), len(s.wide)) > jobs:
		return broken("%d jobs, %d queued, %d spent, %d adders, %d wide", jobs, queued, s.spent.Len(), len(s.adders), len(s.wide))
	case s.index.count != jobs:
		return broken("%d jobs, %d in the index", jobs, s.index.count)
	case s.used < least:
		return broken("%d bytes accounted, %d jobs and %d queues are at least %d", s.used, jobs, named, least)
	}
	for i, n := range s.live.bytes {
		if n < 0 {
			return broken("%d live bytes in segment %d", n, s.live.base+uint32(i))
		}
	}
	return s.verifyWaited(waited)
}

// verifyWaited holds that the list of queues with waiters has all n of them.
func (s *Shard) verifyWaited(n int) error {
	listed := 0
	var prev *queue
	for q := s.waited; q != nil; prev, q = q, q.waitedNext {
		if listed++; listed > n || q.waiters.len == 0 || q.waitedPrev != prev || s.names[q.name] != q {
			return badQueue(q, "its place among the queues with waiters is wrong")
		}
	}
	if listed != n {
		return broken("%d queues have waiters, %d are listed", n, listed)
	}
	return nil
}

// verifyQueue holds what is true of a queue by itself.
func (s *Shard) verifyQueue(num uint32, q *queue) error {
	w := &q.waiters
	switch {
	case q.num != num || s.names[q.name] != q:
		return badQueue(q, "it is at place %d, and its name is another's", num)
	case q.refs < 0 || !q.live && q.refs == 0:
		return badQueue(q, "it outlived its use")
	case q.live != (q.jobs != nil) || q.live && q.jobs.Len() > q.refs:
		return badQueue(q, "it has more queued jobs than jobs, or none to order")
	case !q.live && (q.pause != 0 || w.len != 0) || q.pause > PauseIn|PauseOut:
		return badQueue(q, "nobody sees it, and it is paused or waited for")
	case w.len < 0 || (w.first == nil) != (w.len == 0) || (w.last == nil) != (w.len == 0):
		return badQueue(q, "its first and last waiter are not those of so many")
	case w.len == 0 && (q.waitedNext != nil || q.waitedPrev != nil || s.waited == q):
		return badQueue(q, "it is listed as one with waiters")
	case !q.live || q.jobs.Len() == 0 || q.pause&PauseOut != 0:
	case w.len > 0:
		return badQueue(q, "it has jobs and waiters")
	case len(s.hungry[q.name]) > 0:
		return badQueue(q, "it has jobs, and other nodes wait for them: %v", s.hungry[q.name])
	}
	return nil
}

// recount is what Verify adds up over the jobs.
type recount struct {
	used                 int64
	refs                 []int // by queue
	classes              [][numJobClasses]int
	tells, termed        int
	spent, adders, wides int
	chunks               chunks
	live                 map[uint32]int64 // bytes of records by segment
}

// all returns how many jobs of each class there are.
func (r *recount) all() (sum [numJobClasses]int) {
	for _, of := range r.classes {
		for k, n := range of {
			sum[k] += n
		}
	}
	return sum
}

// verifyStructure holds that what the shard is made of hangs together, whatever
// the log said of the jobs.
func (s *Shard) verifyStructure(now int64) error {
	if err := s.VerifyCounts(); err != nil {
		return err
	}
	if err := s.slots.verify(); err != nil {
		return err
	}
	if err := s.wheel.verify(); err != nil {
		return err
	}
	if err := s.index.verify(); err != nil {
		return err
	}
	n := len(s.queues)
	sum := &recount{refs: make([]int, n), classes: make([][numJobClasses]int, n), live: map[uint32]int64{}}
	var err error
	if sum.chunks, err = s.arena.verify(); err != nil {
		return err
	}
	for h := range s.slots.all {
		if err := s.verifyJob(now, h, sum); err != nil {
			return err
		}
	}
	if err := s.verifyQueues(sum); err != nil {
		return err
	}
	if err := s.verifySums(sum); err != nil {
		return err
	}
	return s.verifyOthers()
}

// verifyJob holds that a job is known where it must be, and adds it up.
func (s *Shard) verifyJob(now int64, h uint32, sum *recount) error {
	j, c := s.slots.get(h), s.slots.copies(h)
	if j.state >= NumStates || int(j.queue) >= len(s.queues) || s.queues[j.queue] == nil {
		return s.badJob(h, "it has no state or no queue")
	}
	if s.index.find(&j.id) != h {
		return s.badJob(h, "it is not in the index")
	}
	if j.etime < now {
		return s.badJob(h, "its TTL was over before %d", now)
	}
	if !s.arena.claim(sum.chunks, j.body, j.chunk()) {
		return s.badJob(h, "its body is gone, or another's")
	}
	sum.used += jobCost + int64(chunkSize(j.chunk()))
	sum.refs[j.queue]++
	sum.classes[j.queue][s.class(h)]++
	if t := s.slots.terms(h); t != nil {
		sum.termed++
		sum.used += termsSize + int64(chunkSize(int(t.reasonLen)))
		if !s.arena.claim(sum.chunks, t.reason, int(t.reasonLen)) {
			return s.badJob(h, "what was said of it is gone, or another's")
		}
		if t.tellAt != 0 {
			sum.tells++
		}
		if _, ok := s.tells[h]; ok != (t.tellAt != 0) {
			return s.badJob(h, "its holders are to be told of its death or return, and never will be, or the other way round")
		}
	}
	if j.flags&flagSpent != 0 {
		sum.spent++
	}
	if s.adders[h] != nil {
		sum.adders++
	}
	if c != nil {
		sum.used += copiesSize
	}
	w, ok := s.wide[h]
	if ok != (c != nil && c.flags&flagWide != 0) {
		return s.badJob(h, "the wide part of its sets is gone, or not its own")
	}
	if ok {
		sum.wides++
		if len(w.holders)+len(w.confirmed) == 0 || !wideSet(w.holders) || !wideSet(w.confirmed) {
			return s.badJob(h, "the wide part of its sets is not in order")
		}
	}
	if home := s.slots.home(h); home == noHome {
		return s.badJob(h, "its record is at home in no segment")
	} else if s.journalled(home) {
		sum.live[home] += s.putSize(h)
	}
	return nil
}

// wideSet reports whether nodes is the wide part of a set.
func wideSet(nodes []uint16) bool {
	for i, n := range nodes {
		if n < setLow || i > 0 && n <= nodes[i-1] {
			return false
		}
	}
	return true
}

// verifyQueues holds that the queues have the jobs and waiters that belong there.
func (s *Shard) verifyQueues(sum *recount) error {
	for num, q := range s.queues {
		if q == nil {
			continue
		}
		sum.used += queueCost(len(q.name))
		if s.journalled(q.home) {
			sum.live[q.home] += int64(queueHead + len(q.name))
		}
		if q.refs != sum.refs[num] {
			return badQueue(q, "it has %d jobs", sum.refs[num])
		}
		if err := q.verifyTickets(); err != nil {
			return err
		}
		if err := s.verifyLines(q, sum.classes[num]); err != nil {
			return err
		}
	}
	return nil
}

// verifyLines holds that the queued and the dead jobs of a queue are in order.
func (s *Shard) verifyLines(q *queue, classes [numJobClasses]int) error {
	listed, gone := 0, 0
	if q.live {
		if err := s.verifyOrder(q.jobs.Scan, s.ranks, func(j *slot) bool { return j.state == Queued && j.queue == q.num }); err != nil {
			return err
		}
		listed = q.jobs.Len()
	}
	if q.dead != nil {
		if err := s.verifyOrder(q.dead.Scan, s.before, func(j *slot) bool { return j.state == Dead && j.queue == q.num }); err != nil {
			return err
		}
		gone = q.dead.Len()
	}
	if queued := classes[ClassQueued]; listed > queued || listed < queued && !s.loading {
		return badQueue(q, "%d of its jobs are queued, %d are in order", queued, listed)
	}
	if lie := classes[ClassDead]; gone > lie || gone < lie && !s.loading {
		return badQueue(q, "%d of its jobs are dead, %d are in order", lie, gone)
	}
	if counted := q.countsOf().Jobs; counted != classes && !s.loading {
		return badQueue(q, "its jobs are counted as %v, and are %v", counted, classes)
	}
	return nil
}

// verifyOrder holds that the jobs of a tree are of those that belong there, in
// order.
func (s *Shard) verifyOrder(scan func(func(uint32) bool), before func(a, b uint32) bool, belongs func(*slot) bool) (err error) {
	last := uint32(0)
	scan(func(h uint32) bool {
		switch {
		case !s.slots.known(h):
			err = broken("job %d of the order is gone", h)
		case !belongs(s.slots.get(h)):
			err = s.badJob(h, "it is not one of that order")
		case last != 0 && !before(last, h):
			err = s.badJob(h, "it is out of order")
		}
		last = h
		return err == nil
	})
	return err
}

// verifyTickets holds that the FIFO of a queue is one.
func (q *queue) verifyTickets() error {
	n := 0
	var prev *Ticket
	for t := q.waiters.first; t != nil; prev, t = t, t.next {
		if n++; n > q.waiters.len || t.queue != q || t.prev != prev || t.waiter == nil {
			return badQueue(q, "its %dth waiter is not in its place", n)
		}
	}
	if n != q.waiters.len || q.waiters.last != prev {
		return badQueue(q, "%d waiters are in line", n)
	}
	return nil
}

// verifySums holds the shard's counts against what was added up.
func (s *Shard) verifySums(sum *recount) error {
	switch {
	case !freed(s.freeQueues, len(s.queues), func(i int) bool { return s.queues[i] == nil }):
		return broken("the free places of queues are not %v", s.freeQueues)
	case sum.used != s.used:
		return broken("%d bytes are used, %d are accounted", sum.used, s.used)
	case sum.spent != s.spent.Len():
		return broken("%d jobs are spent, %d in order", sum.spent, s.spent.Len())
	case sum.adders != len(s.adders):
		return broken("%d jobs have adders, of %d adders", sum.adders, len(s.adders))
	case sum.wides != len(s.wide):
		return broken("%d jobs have wide sets, of %d wide sets", sum.wides, len(s.wide))
	case sum.all() != s.Counts().Jobs:
		return broken("the jobs of all queues are counted as %v, and are %v", s.Counts().Jobs, sum.all())
	case sum.termed != s.slots.termed:
		return broken("%d jobs have terms, %d are counted", sum.termed, s.slots.termed)
	case sum.tells != len(s.tells):
		return broken("the holders of %d jobs are to be told, of %d jobs", sum.tells, len(s.tells))
	case len(s.hungry) > hungryMost:
		return broken("nodes wait for jobs of %d queues", len(s.hungry))
	}
	if err := s.verifyOrder(s.spent.Scan, s.before, func(j *slot) bool { return j.flags&flagSpent != 0 }); err != nil {
		return err
	}
	if err := sum.chunks.left(); err != nil {
		return err
	}
	if s.segment == 0 { // a queue that is dropped then says nothing of its record
		return nil
	}
	for i, n := range s.live.bytes {
		segment := s.live.base + uint32(i)
		if sum.live[segment] != n {
			return broken("%d bytes are live in segment %d, %d are counted", sum.live[segment], segment, n)
		}
		delete(sum.live, segment)
	}
	for segment, n := range sum.live {
		if n != 0 {
			return broken("%d bytes are live in segment %d, none are counted", n, segment)
		}
	}
	return nil
}

// verifyOthers holds what the shard knows of other nodes beside its jobs.
func (s *Shard) verifyOthers() error {
	for id, d := range s.dummies {
		switch at := min(d.ptime, d.etime); {
		case s.index.find(&id) != 0:
			return broken("job %s is known, and so is an acknowledgement as of an unknown one: %+v", id, *d)
		case id.AtMostOnce():
			return broken("job %s is at most once, and its acknowledgement kept: %+v", id, *d)
		case at < s.dummyNext:
			return broken("the acknowledgement of job %s is due at %d, and looked at from %d on: %+v", id, at, s.dummyNext, *d)
		}
	}
	for name, h := range s.hungry {
		if len(h) == 0 || len(h) > hungryNodes {
			return broken("queue %q: %d nodes wait for its jobs", name, len(h))
		}
		for i, g := range h {
			if g.node == Self || slices.ContainsFunc(h[:i], func(o giver) bool { return o.node == g.node }) {
				return broken("queue %q: node %d waits for its jobs, as do %v", name, g.node, h)
			}
		}
	}
	return nil
}

// verifyState holds that what is known of a job is possible. hashes are those of
// the queues.
func (s *Shard) verifyState(h uint32, hashes []uint16) error {
	j, c := s.slots.get(h), s.slots.copies(h)
	delivered, spent := j.flags&flagDelivered != 0, j.flags&flagSpent != 0
	switch {
	case j.id.AtMostOnce() != (j.retry == 0) || j.id.Hash() != hashes[j.queue]:
		return s.badJob(h, "its id is of another queue, or of another RETRY")
	case spent && (j.retry > 0 || j.state != Active):
		return s.badJob(h, "it may be evicted, and delivered")
	case j.state == Active && j.retry > 0 && j.qtime == 0:
		return s.badJob(h, "it never comes back")
	case j.state == Active && j.retry == 0 && (delivered != spent || delivered && j.qtime != 0):
		return s.badJob(h, "it was delivered and comes back, or cannot be evicted")
	case j.state == Queued && (j.flags&flagQueuedOnce == 0 || (j.qtime != 0) != (j.retry > 0)):
		return s.badJob(h, "it is queued, and was not")
	case j.state == Queued && j.retry == 0 && delivered:
		return s.badJob(h, "it is queued again, at most once")
	case j.state == Dead && (!dead(s.generation(h)) || j.qtime != 0 || delivered && j.retry == 0):
		return s.badJob(h, "it is dead, and should not be")
	case (j.state == Queued || j.returns()) && dead(s.generation(h)):
		return s.badJob(h, "it is not dead, and should be")
	case s.adders[h] != nil && j.state != WaitRepl:
		return s.badJob(h, "its adder waits, and it does not")
	case c == nil && (j.state == Acked || j.state == WaitRepl):
		return s.badJob(h, "no other node knows it")
	case !s.holders(h).Has(Self) && (c == nil || c.flags&flagExternal == 0):
		return s.badJob(h, "this node is no holder")
	case c == nil:
		return nil
	}
	return s.verifyCopies(h, j, c)
}

// verifyCopies is verifyState of a job with copies.
func (s *Shard) verifyCopies(h uint32, j *slot, c *copies) error {
	switch {
	case j.state == Acked && (c.flags&(flagOrigin|flagMoved|flagDrain) != 0 || c.ptime == 0 || j.qtime != 0):
		return s.badJob(h, "it is acknowledged, and there is more to do than to tell")
	case j.state == Acked && j.body|j.bodyLen != 0:
		return s.badJob(h, "it is acknowledged, and has a body")
	case j.state == Acked && s.others(h).In(s.confirmed(h)):
		return s.badJob(h, "it is acknowledged, and nobody is to be told")
	case j.state == WaitRepl && (c.flags&flagOrigin == 0 || j.flags&keptFlags != 0):
		return s.badJob(h, "it waits for copies that nobody makes, or was queued before")
	case j.state == WaitRepl && s.confirmed(h).Len() >= int(c.sync):
		return s.badJob(h, "it waits for copies that it has")
	case c.flags&(flagDrain|flagMoved) != 0 && c.ptime == 0:
		return s.badJob(h, "its time away has no end")
	case c.flags&flagOrigin != 0 && c.ptime == 0 && !s.owing:
		return s.badJob(h, "it shall have more copies, and nobody makes them")
	case c.flags&flagMoved != 0 && (j.retry != 0 || j.state != Active || j.flags&flagDelivered == 0):
		return s.badJob(h, "another node has it, and so does this one")
	}
	return nil
}

// broken is what is wrong with a shard.
func broken(format string, a ...any) error { return fmt.Errorf("store: "+format, a...) }

// badQueue is what is wrong with a queue, and its state.
func badQueue(q *queue, format string, a ...any) error {
	length := 0
	if q.jobs != nil {
		length = q.jobs.Len()
	}
	return broken("queue %q: %s; number %d, live %t, refs %d, length %d, waiters %d, pause %d", q.name, fmt.Sprintf(format, a...),
		q.num, q.live, q.refs, length, q.waiters.len, q.pause)
}

// badJob is what is wrong with a job, and its state.
func (s *Shard) badJob(h uint32, format string, a ...any) error {
	j := *s.slots.get(h)
	others := "no copies"
	if c := s.slots.copies(h); c != nil {
		others = fmt.Sprintf("copies %+v %v", *c, s.wide[h])
	}
	return broken("job %s: %s; handle %d, created %d, expires %d, next queue %d, queue number %d, retry %d, state %d, flags %#x, nacks %d, extra %d, repl %d, body %#x of %d; %s",
		j.id, fmt.Sprintf(format, a...), h, j.ctime, j.etime, j.qtime, j.queue, j.retry, j.state, j.flags, j.nacks, j.extra, j.repl, j.body, j.bodyLen, others)
}
