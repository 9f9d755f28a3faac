package node

import (
	"sync/atomic"

	"github.com/disqo/disqo/store"
)

// drain is how far a leaving node is with handing its jobs to others.
type drain struct {
	since atomic.Int64 // when the node began to leave, 0 if it does not
	shard int
	pos   int64
}

// drainAfter is how long a leaving node keeps its jobs for the consumers that are
// on their way to another node, milliseconds. Then drainBatch jobs of a shard are
// handed over under each hold of a lock, up to drainMost in a turn.
const (
	drainAfter = 3000
	drainBatch = 64
	drainMost  = 4096
)

// drainSome hands some jobs to other nodes if this one leaves.
func (n *Node) drainSome() {
	d := &n.drain
	if since := d.since.Load(); since == 0 || n.now()-since < drainAfter {
		return
	}
	for seen := 0; seen < drainMost && !n.peers.view.Load().Linked.Empty(); seen += drainBatch {
		err := n.apply(&n.shards[d.shard], forJobs(drainBatch), &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
			d.pos = s.Drain(now, d.pos, drainBatch, fx)
		})
		if err != nil {
			return
		}
		n.lookAtPeers() // a peer whose outbox fills up is given a rest
		if d.pos < 0 {
			d.pos, d.shard = 0, (d.shard+1)%len(n.shards)
			if d.shard == 0 {
				return
			}
		}
	}
}
