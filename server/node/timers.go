package node

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/store"
)

const (
	tickBudget  = 256                    // jobs handled under one hold of a lock
	sweepEvery  = 100 * time.Millisecond // look for idle queues, while there is any
	sweepBatch  = 128                    // queues looked at in a shard at a time
	idleLimit   = 300_000                // milliseconds until an idle queue dies,
	idleLimitLo = 10_000                 // at memory level 1,
	idleLimitHi = 2_000                  // and at level 2
	retryEvery  = 100                    // milliseconds between tries while the log has no room
)

// timers runs what is due: one goroutine a node, asleep until the earliest
// timer of any shard.
type timers struct {
	swept int64        // when sweep and upkeep last ran
	alarm atomic.Int64 // when the goroutine wakes by itself
	kick  chan struct{}
	quit  chan struct{}
	once  sync.Once // closes quit
	done  sync.WaitGroup
}

func (t *timers) init() {
	t.alarm.Store(never)
	t.kick = make(chan struct{}, 1)
	t.quit = make(chan struct{})
}

func (t *timers) start(n *Node) { t.done.Go(func() { t.run(n) }) }

func (t *timers) stop() {
	t.once.Do(func() { close(t.quit) })
	t.done.Wait()
}

// sooner wakes the goroutine if something is due before its alarm, or if it
// sleeps without one while there are queues to be swept.
func (t *timers) sooner(at int64, queues bool) {
	if alarm := t.alarm.Load(); at >= alarm && !(queues && alarm == never) {
		return
	}
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

func (t *timers) run(n *Node) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.quit:
			return
		case <-t.kick:
		case <-timer.C:
		}
		timer.Reset(n.Turn())
	}
}

// Turn does what is due now, and returns after how long there is more to do if
// nothing changes until then. Start sees to it; of a Manual node its owner does.
func (n *Node) Turn() time.Duration {
	t, now := &n.timers, n.now()
	if now-t.swept >= sweepEvery.Milliseconds() {
		n.sweep()
		n.upkeep()
		t.swept = now
	}
	return t.arm(n, now)
}

// Due returns when Turn has something to do at the earliest, in milliseconds of
// the node's clock: for the owner of a Manual node, after each change.
func (n *Node) Due() int64 {
	first := n.earliest()
	if n.minds() {
		first = min(first, n.timers.swept+sweepEvery.Milliseconds())
	}
	return first
}

// minds reports whether there is something to look at now and then.
func (n *Node) minds() bool { return n.queues.taken.Load() > 0 || n.Size() > 1 }

// arm does what is due and returns how long to sleep. While it looks, the alarm
// is off, so that whatever comes in meanwhile kicks.
func (t *timers) arm(n *Node, now int64) time.Duration {
	for {
		t.alarm.Store(never)
		first := n.earliest()
		if n.minds() {
			first = min(first, now+sweepEvery.Milliseconds())
		}
		if first > now {
			t.alarm.Store(first)
			return time.Duration(min(first-now, math.MaxInt32)) * time.Millisecond
		}
		if !n.tick(now) {
			return retryEvery * time.Millisecond
		}
		now = n.now()
	}
}

// earliest returns the first timer of any shard.
func (n *Node) earliest() int64 {
	first := int64(never)
	for i := range n.shards {
		first = min(first, n.shards[i].next.Load())
	}
	return first
}

// tick fires the timers that are due at now. It reports false when the log has
// no room for what they do.
func (n *Node) tick(now int64) bool {
	for i := range n.shards {
		for more := n.shards[i].next.Load() <= now; more; {
			err := n.apply(&n.shards[i], forJobs(tickBudget), &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
				more = s.Tick(now, tickBudget, fx)
			})
			if err != nil {
				return false
			}
		}
	}
	return true
}

// upkeep does what is due now and then in a cluster.
func (n *Node) upkeep() {
	n.forgetLeft()
	if n.Size() == 1 {
		return
	}
	n.lookAtPeers()
	if n.peers.rouse.Swap(false) {
		n.rouse()
	}
	for i := range n.shards {
		waited := false
		n.shards[i].read(func(s *store.Shard) { waited = s.Waited() })
		if waited {
			_ = n.apply(&n.shards[i], room{}, &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) { s.WantForWaiters(now, fx) })
		}
	}
	n.drainSome()
	n.purgeForPeers()
}

// sweep drops queues that were idle for long, sooner when memory is short.
func (n *Node) sweep() {
	limit := [...]int64{idleLimit, idleLimitLo, idleLimitHi}[n.Level()]
	for i := range n.shards {
		_ = n.apply(&n.shards[i], room{}, &Mark{},
			func(s *store.Shard, now int64, _ *store.Effects) { s.Sweep(now, limit, sweepBatch) })
	}
}
