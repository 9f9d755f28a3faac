package node

import (
	"context"
	"math"
	"time"

	"github.com/disqo/disqo/store"
)

// Retire says that the node's process is about to end: from now on it takes no job from
// its peers and lets no consumer wait, as if it left the cluster. HandOver is next.
func (n *Node) Retire() {
	n.ending.Store(true)
	n.leaving.Store(true)
	n.lookAtPeers()
}

// handOver is how far a node that retired is with handing its jobs over.
type handOver struct {
	again bool // this is not the first round
	shard int
	pos   int64
	left  int // jobs of this round that were not found handed over
}

const (
	handOverPause    = 10 * time.Millisecond // between two looks at what is left
	handOverPatience = 3 * time.Second       // without there being less of it
	partMost         = time.Second           // until peers have read what they were told, which a frozen one never does
)

// HandOver has peers go on with the jobs of a node that retired, see
// store.Shard.Retire, until all is done and they have read it, ctx ends, or nothing gets
// better any more. It returns with how many jobs that was not possible, though there are
// peers. One caller at a time; nothing is said to peers from then on.
func (n *Node) HandOver(ctx context.Context) (left int) {
	if n.peers.links == nil {
		return 0
	}
	tick := time.NewTicker(handOverPause)
	defer tick.Stop()
	for least, since := math.MaxInt, time.Now(); ctx.Err() == nil; {
		var whole bool
		if left, whole = n.HandOverSome(); whole && left < least {
			least, since = left, time.Now()
		}
		if whole && (left == 0 || time.Since(since) > handOverPatience) {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	ctx, cancel := context.WithTimeout(ctx, partMost)
	defer cancel()
	n.peers.links.Part(ctx)
	return left
}

// HandOverSome is a part of HandOver: a round over all jobs, or as much of it as there is
// room for on the way to the peers. It returns how many jobs of the round were not found
// handed over so far, and whether that was the whole of it. The owner of a Manual node
// calls it until that is so and none is left.
func (n *Node) HandOverSome() (left int, whole bool) {
	h, keeps := &n.handOver, n.Keeps()
	for h.shard < len(n.shards) {
		n.lookAtPeers()
		some, room := n.roomForAll()
		switch {
		case !some:
			h.left, h.shard = 0, len(n.shards) // nobody is there to take them
			continue
		case !room:
			return h.left, false
		}
		err := n.apply(&n.shards[h.shard], forJobs(drainBatch), &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
			next, left := s.Retire(now, h.pos, drainBatch, keeps, !h.again, fx)
			h.pos, h.left = next, h.left+left
		})
		switch {
		case err != nil: // the log has no room: those that follow wait for the next round
			h.left, h.shard = h.left+1, len(n.shards)
		case h.pos < 0:
			h.pos, h.shard = 0, h.shard+1
		}
	}
	left = h.left
	*h = handOver{again: true}
	return left, true
}

// Keeps reports whether the jobs of the node are there again when it is started again, as
// its log has all of them.
func (n *Node) Keeps() bool {
	j := n.journal.Load()
	return j != nil && !j.picture && j.keep.complete()
}

// roomForAll reports whether peers can be reached that may take jobs, and whether there
// is room for more on the way to each of them.
func (n *Node) roomForAll() (some, room bool) {
	p := &n.peers
	if p.links == nil {
		return false, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	room = true
	for id, m := range p.list {
		if m.Failed || m.Leaving || m.suspect || !p.links.State(id).Up {
			continue
		}
		some, room = true, room && p.links.Room(id)
	}
	return some, room
}
