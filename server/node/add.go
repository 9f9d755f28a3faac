package node

import (
	"cmp"
	"slices"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/store"
)

// Add adds a job and returns its id. It fills ID, External and, when they are 0,
// Repl and Sync of the spec: both by default if there is no Repl, else Sync is
// Repl. async answers at once, but the copies must be possible all the same. If
// it waits, the spec's Adder is told when enough nodes hold the job, or GiveUp
// ends that. Errors are *replication.Shortage, those of store.Add, and those of
// a log without room.
func (n *Node) Add(spec *store.Spec, async bool, m *Mark) (id store.ID, waits bool, err error) {
	n.fillCopies(spec)
	copies := spec.Sync
	if async {
		copies, spec.Sync = spec.Repl, 1
	}
	leaving, short := n.Leaving(), n.Level() > 0
	reachable := n.Reachable()
	if spec.Terms != nil {
		reachable = n.suitable()
	}
	spec.External = leaving || short
	_, err = replication.Plan(replication.Situation{
		Copies: int(copies), Reachable: reachable, Leaving: leaving, LowMemory: short,
	})
	if err != nil {
		return store.ID{}, false, err
	}
	hash := store.Hash16(spec.Queue)
	spec.ID = store.NewID(hash, [2]uint64{n.rand(), n.rand()}, n.name.Load().prefix, spec.TTL, spec.Retry == 0)
	var refused error
	err = n.apply(n.byHash(hash), room{spec.PutSize() + aof.RecordOverhead + recordRoom, aof.Ordinary}, m,
		func(s *store.Shard, now int64, fx *store.Effects) { waits, refused = s.Add(now, spec, fx) })
	return spec.ID, waits, cmp.Or(err, refused)
}

// fillCopies fills Repl and Sync. By default a node that cannot be reached stops
// nobody: SYNC counts the peers that answer.
func (n *Node) fillCopies(spec *store.Spec) {
	switch {
	case spec.Repl == 0:
		spec.Repl = uint16(n.DefaultCopies())
		if spec.Sync == 0 {
			v := n.peers.view.Load()
			linked := v.Linked
			if spec.Terms != nil {
				linked = linked.And(v.Terms)
			}
			spec.Sync = uint16(min(int(spec.Repl), int(n.defaultSync.Load()), 1+linked.Len()))
		}
	case spec.Sync == 0:
		spec.Sync = spec.Repl
	}
	spec.Sync = min(spec.Sync, spec.Repl)
}

// rouseBatch is how many jobs are looked at under one hold of a lock.
const rouseBatch = 512

// rouse goes on with the copies that no node could take before, and with telling
// peers that have begun anew what they may have forgotten.
func (n *Node) rouse() {
	p := &n.peers
	p.mu.Lock()
	slices.Sort(p.reborn)
	reborn := store.SetOf(slices.Compact(p.reborn)...)
	p.reborn = nil
	p.mu.Unlock()
	for i := range n.shards {
		for pos := int64(0); pos >= 0; {
			_ = n.apply(&n.shards[i], room{}, &Mark{}, func(s *store.Shard, now int64, _ *store.Effects) {
				pos = s.Rouse(now, pos, rouseBatch, reborn)
			})
		}
	}
}

// GiveUp ends the wait for the copies of a job that was added, as its producer
// waits no more. ok is false if it had ended already. Otherwise the job is as if
// it was acknowledged; confirmed is how many nodes held it, and silent are those
// that were asked and did not answer. An error is that of a log without room:
// the wait goes on.
func (n *Node) GiveUp(id *store.ID, m *Mark) (confirmed int, silent []string, ok bool, err error) {
	var set store.Set
	err = n.onJob(id, m, func(s *store.Shard, now int64, fx *store.Effects) { confirmed, set, ok = s.GiveUp(now, id, fx) })
	silent = n.Names(set)
	slices.Sort(silent)
	return confirmed, silent, ok, err
}
