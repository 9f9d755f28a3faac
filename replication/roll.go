package replication

import (
	"sync"
	"sync/atomic"

	"github.com/disqo/disqo/store"
)

const (
	// rollMost bounds the nodes that are numbered. So many members may come and go
	// in the life of a process.
	rollMost = 1 << 15
	// othersMost bounds those of them that were never members: messages and logs
	// name nodes of whom gossip has not told yet or that were forgotten, as many as a
	// cluster may have. What a liar makes up must not take the members' numbers.
	othersMost = 1 << 12
)

// Roll numbers nodes as they are heard of; see store.Roll. The own node has the
// number store.Self. Safe for concurrent use.
type Roll struct {
	members atomic.Pointer[map[store.NodeID]uint16] // the own node and the present ones; not changed once it is published
	ids     atomic.Pointer[[]store.NodeID]          // of all numbers; what is published is not changed

	mu      sync.Mutex // held by whoever replaces one of them
	numbers map[store.NodeID]uint16
	others  map[store.NodeID]struct{} // those that were never members
}

// NewRoll returns a roll of the own node.
func NewRoll(self store.NodeID) *Roll {
	r := &Roll{}
	r.Reset(self)
	return r
}

// Reset forgets all nodes but the own one, which has this id from now on. No set
// of nodes that was made before means anything then.
func (r *Roll) Reset(self store.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers, r.others = map[store.NodeID]uint16{self: store.Self}, map[store.NodeID]struct{}{}
	r.ids.Store(&[]store.NodeID{self})
	r.members.Store(&map[store.NodeID]uint16{self: store.Self})
}

// Members says who is in the cluster besides this node, and returns their
// numbers: store.Self for one that is this node itself, or is too many.
func (r *Roll) Members(ids []store.NodeID) []uint16 {
	r.mu.Lock()
	defer r.mu.Unlock()
	self := (*r.ids.Load())[store.Self]
	members := map[store.NodeID]uint16{self: store.Self}
	list := make([]uint16, len(ids))
	for i, id := range ids {
		n, ok := r.numbers[id]
		if !ok {
			n, ok = r.add(id)
		}
		if ok {
			list[i], members[id] = n, n
			delete(r.others, id)
		}
	}
	r.members.Store(&members)
	return list
}

// Number implements store.Roll.
func (r *Roll) Number(id store.NodeID) (uint16, bool) {
	if n, ok := (*r.members.Load())[id]; ok {
		return n, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.numbers[id]; ok {
		return n, true
	}
	if len(r.others) >= othersMost {
		return 0, false
	}
	n, ok := r.add(id)
	if ok {
		r.others[id] = struct{}{}
	}
	return n, ok
}

// add gives a number to a node that has none. mu is held.
func (r *Roll) add(id store.NodeID) (uint16, bool) {
	was := *r.ids.Load()
	if len(was) >= rollMost {
		return 0, false
	}
	ids := append(was, id) // behind what was published, which stays as it is
	r.ids.Store(&ids)
	n := uint16(len(was))
	r.numbers[id] = n
	return n, true
}

// ID implements store.Roll. A number that was never given is nobody's.
func (r *Roll) ID(number uint16) store.NodeID {
	if ids := *r.ids.Load(); int(number) < len(ids) {
		return ids[number]
	}
	return store.NodeID{}
}
