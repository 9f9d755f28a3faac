package node

import (
	"math"

	"github.com/disqo/disqo/store"
)

const never = math.MaxInt64

// byHash returns the shard of a queue or job with that hash16.
func (n *Node) byHash(h uint16) *shard { return &n.shards[h>>n.shift] }

func (n *Node) byQueue(name []byte) *shard { return n.byHash(store.Hash16(name)) }

// apply is the one way by which jobs change: it runs change under the shard's
// lock, accounts for what it did, and carries out its effects once the lock is
// free. change must not block and must not keep s.
func (n *Node) apply(sh *shard, change func(s *store.Shard, now int64, fx *store.Effects)) {
	wakes, next := n.locked(sh, change)
	n.timers.sooner(next, n.queues.taken.Load() > 0)
	for _, w := range wakes {
		w.Wake()
	}
}

// locked is the part of apply under the lock, which a panic releases too.
func (n *Node) locked(sh *shard, change func(s *store.Shard, now int64, fx *store.Effects)) (wakes []store.Waiter, next int64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	used := sh.s.Used()
	change(sh.s, n.now(), &sh.fx)
	if d := sh.s.Used() - used; d != 0 {
		n.used.Add(d)
	}
	wakes, sh.fx.Wakes = sh.fx.Wakes, nil
	next, ok := sh.s.Next()
	if !ok {
		next = never
	}
	if next != sh.next.Load() {
		sh.next.Store(next)
	}
	return wakes, next
}

// read runs look under the shard's lock; it changes nothing.
func (sh *shard) read(look func(s *store.Shard)) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	look(sh.s)
}

// Add adds a job and returns its id. It fills ID and, when it is 0, Repl of
// the spec. Errors are *replication.Shortage and those of store.Add.
func (n *Node) Add(spec *store.Spec) (store.ID, error) {
	if spec.Repl == 0 {
		spec.Repl = uint16(n.DefaultCopies())
	}
	if err := n.place(int(spec.Repl)); err != nil {
		return store.ID{}, err
	}
	hash := store.Hash16(spec.Queue)
	spec.ID = store.NewID(hash, [2]uint64{n.rand(), n.rand()}, n.name.Load().prefix, spec.TTL, spec.Retry == 0)
	var err error
	n.apply(n.byHash(hash), func(s *store.Shard, now int64, fx *store.Effects) {
		err = s.Add(now, spec, fx)
	})
	return spec.ID, err
}

// fetchBatch is how many jobs are delivered, or shown, under one hold of a lock.
const fetchBatch = 64

// Fetch delivers up to count jobs, one from each queue in turn, until yield
// returns false or a whole round finds nothing. yield is called under a
// shard's lock: it must not block, and the job ends with the call.
func (n *Node) Fetch(queues [][]byte, count int, yield func(*store.Job) bool) (got int, err error) {
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
			k := 0
			n.apply(n.byQueue(q), func(s *store.Shard, now int64, _ *store.Effects) {
				k, err = s.Fetch(now, q, min(each, count-got), deliver)
			})
			got += k
			if err != nil || got >= count || !more || len(queues) == 1 && k < each {
				return got, err
			}
		}
		if got == before {
			break
		}
	}
	return got, nil
}

// Ticket is a waiter's place in the FIFOs of its queues.
type Ticket struct{ places []place }

type place struct {
	sh *shard
	t  *store.Ticket
}

// Block puts w at the end of each queue's FIFO, once a queue. If a job turns
// up on the way, it is delivered to w, which is woken, and the rest is left.
// Unblock must be called when the wait is over, however it ended.
func (n *Node) Block(queues [][]byte, w store.Waiter) (*Ticket, error) {
	tk := &Ticket{places: make([]place, 0, len(queues))}
	seen := make(map[string]struct{}, len(queues))
	for _, q := range queues {
		if _, dup := seen[string(q)]; dup {
			continue
		}
		seen[string(q)] = struct{}{}
		sh := n.byQueue(q)
		var t *store.Ticket
		var err error
		n.apply(sh, func(s *store.Shard, now int64, fx *store.Effects) {
			t, err = s.Block(now, q, w, fx)
		})
		if err != nil {
			if n.Unblock(tk); w.Claim() {
				return nil, err
			}
			break // a job came before the error did
		}
		if t == nil {
			break
		}
		tk.places = append(tk.places, place{sh, t})
	}
	return tk, nil
}

// Unblock takes a waiter out of the FIFOs.
func (n *Node) Unblock(tk *Ticket) {
	for _, p := range tk.places {
		n.apply(p.sh, func(s *store.Shard, _ int64, _ *store.Effects) { s.Unblock(p.t) })
	}
	tk.places = nil
}

// Ack acknowledges a job and reports whether it was known and not yet
// acknowledged.
func (n *Node) Ack(id *store.ID) (ok bool) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, _ int64, _ *store.Effects) { ok = s.Ack(id) })
	return ok
}

// Delete removes a job from this node and reports whether it was known.
func (n *Node) Delete(id *store.ID) (ok bool) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, _ int64, _ *store.Effects) { ok = s.Delete(id) })
	return ok
}

// Enqueue queues an active job; see store.Shard.Enqueue.
func (n *Node) Enqueue(id *store.ID) (ok bool) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Enqueue(now, id, fx) })
	return ok
}

// Nack queues a job that its consumer failed to do.
func (n *Node) Nack(id *store.ID) (ok bool) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Nack(now, id, fx) })
	return ok
}

// Dequeue takes a job out of its queue; see store.Shard.Dequeue.
func (n *Node) Dequeue(id *store.ID) (ok bool) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, now int64, _ *store.Effects) { ok = s.Dequeue(now, id) })
	return ok
}

// Return takes back a delivery that never reached its consumer; see
// store.Shard.Return.
func (n *Node) Return(id *store.ID, lease int64, turn uint8) (ok bool) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Return(now, id, lease, turn, fx) })
	return ok
}

// Working postpones a job's next delivery; see store.Shard.Working.
func (n *Node) Working(id *store.ID) (retry uint32, err error) {
	n.apply(n.byHash(id.Hash()), func(s *store.Shard, now int64, _ *store.Effects) { retry, err = s.Working(now, id) })
	return retry, err
}

// SetPause sets the pause of a queue on this node.
func (n *Node) SetPause(name []byte, p store.Pause) (err error) {
	n.apply(n.byQueue(name), func(s *store.Shard, now int64, fx *store.Effects) { err = s.SetPause(now, name, p, fx) })
	return err
}

// Flush drops every job and queue of this node and dismisses the waiters,
// shard after shard.
func (n *Node) Flush() {
	for i := range n.shards {
		n.apply(&n.shards[i], func(s *store.Shard, now int64, fx *store.Effects) { s.Flush(now, fx) })
	}
}
