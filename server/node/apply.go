package node

import (
	"cmp"
	"math"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
	"github.com/disqo/disqo/store/planted"
)

const never = math.MaxInt64

// byHash returns the shard of a queue or job with that hash16.
func (n *Node) byHash(h uint16) *shard { return &n.shards[h>>n.shift] }

func (n *Node) byQueue(name []byte) *shard { return n.byHash(store.Hash16(name)) }

// change is what is done to a shard: under its lock, so that it must not block,
// and it must not keep s.
type change func(s *store.Shard, now int64, fx *store.Effects)

// apply is the one way by which jobs change: it reserves room in the log, runs
// what under the shard's lock, appends what that journalled, and carries out
// its other effects once the lock is free. m is told what must be safe before
// the change may be answered. An error says that there is no room: nothing was
// done.
//
// Lock order: shard, then log. No two shards are ever locked together.
func (n *Node) apply(sh *shard, need room, m *Mark, what change) error {
	for {
		j := n.journal.Load()
		if err := j.reserve(need); err != nil {
			if n.journal.Load() != j {
				continue
			}
			return err
		}
		done, ok := n.locked(sh, j, need, what)
		if !ok {
			j.unreserve(need)
			continue // the log was switched on or off meanwhile
		}
		m.Add(done.mark)
		n.timers.sooner(done.next, n.queues.taken.Load() > 0)
		for _, w := range done.wakes {
			if planted.Is(planted.LostWake) {
				continue
			}
			w.(Waiter).Await(done.mark)
			w.Wake()
		}
		for _, a := range done.added {
			a.Adder.Added(a.Err)
		}
		return nil
	}
}

// done is what a change leaves to be carried out.
type done struct {
	mark  Mark
	wakes []store.Waiter
	added []store.Added
	next  int64 // when the shard's first timer runs out
}

// locked is the part of apply under the lock, which a panic releases too; what
// was journalled until then is appended. It reports false if j is not the log
// any more.
func (n *Node) locked(sh *shard, j *journal, need room, what change) (d done, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if n.journal.Load() != j {
		return d, false
	}
	if j != nil {
		sh.s.Attach(j.since, j.log.Head())
	} else {
		sh.s.Detach()
	}
	sh.s.SetView(n.peers.view.Load())
	defer func() { d.mark = n.carry(sh, j, need) }()
	used := sh.s.Used()
	what(sh.s, n.now(), &sh.fx)
	if diff := sh.s.Used() - used; diff != 0 {
		n.used.Add(diff)
	}
	sh.verify()
	d.wakes, sh.fx.Wakes = sh.fx.Wakes, nil
	d.added, sh.fx.Added = sh.fx.Added, nil
	if d.next, ok = sh.s.Next(); !ok {
		d.next = never
	}
	if d.next != sh.next.Load() {
		sh.next.Store(d.next)
	}
	return d, true
}

// carry appends what a change journalled, and posts what it has to say to other
// nodes. It returns what the answer to the change must wait for.
func (n *Node) carry(sh *shard, j *journal, need room) (mark Mark) {
	awaited, at := false, Mark{}
	if j != nil {
		awaited = sh.fx.Journal.Awaited
		at = j.take(&sh.fx.Journal, need)
	}
	if len(sh.fx.Outbox.Mail) > 0 {
		n.post(sh, j)
	}
	if !awaited {
		return Mark{}
	}
	return at
}

// read runs look under the shard's lock; it changes nothing.
func (sh *shard) read(look func(s *store.Shard)) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	look(sh.s)
}

// fetchBatch is how many jobs are delivered, or shown, under one hold of a lock.
const fetchBatch = 64

// Fetch delivers up to count jobs, one from each queue in turn, until yield
// returns false or a whole round finds nothing. yield is called under a
// shard's lock: it must not block, and the job ends with the call. An error
// ends it early; what was delivered until then is.
func (n *Node) Fetch(queues [][]byte, count int, m *Mark, yield func(*store.Job) bool) (got int, err error) {
	each := 1
	if len(queues) == 1 {
		each = fetchBatch
	}
	more := true
	deliver := func(j *store.Job) bool {
		more = yield(j)
		return more
	}
	for got < count && more {
		before := got
		for _, q := range queues {
			k, want := 0, min(each, count-got)
			var refused error
			err = n.apply(n.byQueue(q), forJobs(want), m, func(s *store.Shard, now int64, fx *store.Effects) {
				k, refused = s.Fetch(now, q, want, fx, deliver)
			})
			got += k
			if err = cmp.Or(err, refused); err != nil || got >= count || !more || len(queues) == 1 && k < each {
				return got, err
			}
		}
		if got == before {
			break
		}
	}
	return got, nil
}

// onJob applies a change to the shard of a job.
func (n *Node) onJob(id *store.ID, m *Mark, what change) error {
	return n.apply(n.byHash(id.Hash()), forJobs(1), m, what)
}

// Ack acknowledges a job and reports whether it was known and not yet
// acknowledged. Its error, like those of the other methods that name a job, is
// that of a log without room.
func (n *Node) Ack(id *store.ID, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Ack(now, id, fx) })
	return ok, err
}

// Delete removes a job from this node and reports whether it was known.
func (n *Node) Delete(id *store.ID, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Delete(now, id, fx) })
	return ok, err
}

// FastAck removes a job from all nodes, once and unconfirmed, and reports whether
// it was known here.
func (n *Node) FastAck(id *store.ID, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.FastAck(now, id, fx) })
	return ok, err
}

// Enqueue queues an active job; see store.Shard.Enqueue.
func (n *Node) Enqueue(id *store.ID, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Enqueue(now, id, fx) })
	return ok, err
}

// Nack takes a job back that its consumer failed to do; see store.Shard.Nack.
func (n *Node) Nack(id *store.ID, how *store.Refusal, m *Mark) (ok bool, err error) {
	need := forJobs(1)
	if how != nil {
		need.bytes += len(how.Reason)
	}
	err = n.apply(n.byHash(id.Hash()), need, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Nack(now, id, how, fx) })
	return ok, err
}

// Dequeue takes a job out of its queue; see store.Shard.Dequeue.
func (n *Node) Dequeue(id *store.ID, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Dequeue(now, id, fx) })
	return ok, err
}

// Return takes back a delivery that never reached its consumer; see
// store.Shard.Return. Where the log has no room for that, the job comes back
// when its lease ends.
func (n *Node) Return(id *store.ID, lease int64, turn uint8) (ok bool) {
	_ = n.onJob(id, &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Return(now, id, lease, turn, fx) })
	return ok
}

// Working postpones a job's next delivery; see store.Shard.Working.
func (n *Node) Working(id *store.ID, m *Mark) (retry uint32, err error) {
	var refused error
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { retry, refused = s.Working(now, id, fx) })
	return retry, cmp.Or(err, refused)
}

// SetPause sets the pause of a queue on this node, or on all that can be reached.
func (n *Node) SetPause(name []byte, p store.Pause, bcast bool, m *Mark) error {
	var refused error
	err := n.apply(n.byQueue(name), room{recordRoom + len(name), aof.Urgent}, m,
		func(s *store.Shard, now int64, fx *store.Effects) { refused = s.SetPause(now, name, p, bcast, fx) })
	return cmp.Or(err, refused)
}

// Flush drops every job and queue of this node and dismisses the waiters,
// shard after shard, until an error.
func (n *Node) Flush(m *Mark) error {
	for i := range n.shards {
		low := uint16(i << n.shift)
		err := n.apply(&n.shards[i], forJobs(1), m, func(s *store.Shard, now int64, fx *store.Effects) {
			s.Flush(now, low, low+uint16(1<<n.shift-1), fx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
