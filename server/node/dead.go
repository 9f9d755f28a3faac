package node

import (
	"slices"

	"github.com/disqo/disqo/store"
)

// Bury makes a job dead; see store.Shard.Bury.
func (n *Node) Bury(id *store.ID, reason []byte, m *Mark) (ok bool, err error) {
	need := forJobs(1)
	need.bytes += len(reason)
	err = n.apply(n.byHash(id.Hash()), need, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Bury(now, id, reason, fx) })
	return ok, err
}

// KickJob puts a dead job back and reports whether it was dead.
func (n *Node) KickJob(id *store.ID, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.KickJob(now, id, fx) })
	return ok, err
}

// Kick puts up to count dead jobs of a queue back, the oldest first, and returns
// how many.
func (n *Node) Kick(name []byte, count int, m *Mark) (done int, err error) {
	for after := int64(0); done < count; {
		k, want := 0, min(fetchBatch, count-done)
		err = n.apply(n.byQueue(name), forJobs(want), m, func(s *store.Shard, now int64, fx *store.Effects) {
			k, after = s.Kick(now, name, after, want, fx)
		})
		done += k
		if err != nil || k < want {
			break
		}
	}
	return done, err
}

// Promote changes the priority of a job; see store.Shard.Promote.
func (n *Node) Promote(id *store.ID, priority uint32, m *Mark) (ok bool, err error) {
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { ok = s.Promote(now, id, priority, fx) })
	return ok, err
}

// purgeBatch is how many jobs are looked at under one hold of a lock.
const purgeBatch = 256

// purge is a purge that is under way.
type purge struct {
	name  string
	which store.Classes
	until int64 // nanoseconds; jobs created later are not meant
	pos   int64
}

// Purge deletes the jobs of a queue that are of the given classes and returns how
// many there were. Other holders of theirs forget them, too; with bcast the peers
// delete what they have of the queue and was created until now by both clocks.
func (n *Node) Purge(name []byte, which store.Classes, bcast bool, m *Mark) (deleted int, err error) {
	p := &purge{name: string(name), which: which}
	err = n.apply(n.byQueue(name), room{}, m, func(s *store.Shard, now int64, fx *store.Effects) {
		p.until = s.Newest(now, true)
		if bcast {
			s.PurgeElsewhere(now, name, which, now, fx)
		}
	})
	for err == nil && p.pos >= 0 {
		var k int
		k, err = n.purgeSome(p, m)
		deleted += k
	}
	return deleted, err
}

func (n *Node) purgeSome(p *purge, m *Mark) (deleted int, err error) {
	name := []byte(p.name)
	err = n.apply(n.byQueue(name), forJobs(purgeBatch), m, func(s *store.Shard, now int64, fx *store.Effects) {
		p.pos, deleted = s.Purge(now, name, p.which, p.until, p.pos, purgeBatch, fx)
	})
	return deleted, err
}

// A peer's purges wait here, up to purgesMost; so many batches of them are done
// each time that upkeep comes by.
const (
	purgesMost   = 1024
	purgeBatches = 64
)

// purgeLater takes note of a purge that a peer asks for. It means jobs that are
// there, and that were there when the peer said so: what somebody added since then
// stays, unless clocks are not right.
func (n *Node) purgeLater(m *store.Message) {
	until := int64(0)
	n.byQueue(m.Queue).read(func(s *store.Shard) { until = s.Newest(min(n.now(), m.Left), false) })
	until = min(until, m.Left*1e6+999_999)
	p := &n.peers
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.purges) < purgesMost {
		p.purges = append(p.purges, purge{string(m.Queue), store.Classes(m.Count) & store.Purgeable, until, 0})
	}
}

// purgeForPeers goes on with the purges that peers asked for.
func (n *Node) purgeForPeers() {
	p := &n.peers
	p.mu.Lock()
	work := p.purges
	p.purges = nil
	p.mu.Unlock()
	for left := purgeBatches; left > 0 && len(work) > 0; left-- {
		if _, err := n.purgeSome(&work[0], &Mark{}); err != nil {
			break // later
		}
		if work[0].pos < 0 {
			work = work[1:]
		}
	}
	if len(work) > 0 {
		p.mu.Lock()
		p.purges = slices.Concat(work, p.purges)
		p.mu.Unlock()
	}
}

// Counts returns what all queues have and did.
func (n *Node) Counts() (sum store.Counts) {
	for i := range n.shards {
		n.shards[i].read(func(s *store.Shard) {
			c := s.Counts()
			sum.Add(&c)
		})
	}
	return sum
}
