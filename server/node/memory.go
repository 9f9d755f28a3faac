package node

import "github.com/disqo/disqo/store"

// Memory levels: from lowLevel on a node takes no new job itself; from
// fullLevel on it evicts what can never be delivered again.
const (
	lowPercent  = 75
	fullPercent = 95
)

// Used returns the bytes accounted to jobs and queues.
func (n *Node) Used() int64 { return n.used.Load() }

// memory returns the bytes used, and their bound; 0 is none.
func (n *Node) memory() (used, bound int64) { return n.used.Load(), n.maxMemory.Load() }

// SetMaxMemory sets the bound of Used; 0 is none.
func (n *Node) SetMaxMemory(bytes int64) { n.maxMemory.Store(bytes) }

// SetKeepSpent disables or enables eviction.
func (n *Node) SetKeepSpent(on bool) { n.keepSpent.Store(on) }

// Level says how short memory is: 0 is well, 1 more than 75 per cent used, 2
// more than 95.
func (n *Node) Level() int {
	bound := n.maxMemory.Load()
	if bound <= 0 {
		return 0
	}
	switch used := float64(n.used.Load()) * 100 / float64(bound); {
	case used > fullPercent:
		return 2
	case used > lowPercent:
		return 1
	}
	return 0
}

// evictBatch is how many jobs are evicted under one hold of a lock.
const evictBatch = 64

// Relieve evicts jobs that can never be delivered again while the level is 2,
// oldest of each shard first. It reports whether the level is below 2 now.
func (n *Node) Relieve() bool {
	for n.Level() >= 2 {
		if n.keepSpent.Load() || n.evict() == 0 {
			return false
		}
	}
	return true
}

// evict takes one batch from each shard and returns how many jobs went.
func (n *Node) evict() (gone int) {
	for i := range n.shards {
		err := n.apply(&n.shards[i], forJobs(evictBatch), &Mark{},
			func(s *store.Shard, now int64, fx *store.Effects) { gone += s.Evict(now, evictBatch, fx) })
		if err != nil || n.Level() < 2 {
			break
		}
	}
	return gone
}
