package replication

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/disqo/disqo/store"
)

// Roll numbers nodes as they are heard of; see store.Roll. The own node has the
// number store.Self. Safe for concurrent use.
type Roll struct {
	mu   sync.Mutex // held by whoever replaces now
	now  atomic.Pointer[rollNames]
	most int
}

// rollNames is not changed once it is published.
type rollNames struct {
	ids     []store.NodeID
	numbers map[store.NodeID]uint16
}

// rollMost bounds the nodes that are numbered: those of messages and logs that
// no cluster ever had must not take memory without end.
const rollMost = 1 << 15

// NewRoll returns a roll of the own node.
func NewRoll(self store.NodeID) *Roll {
	r := &Roll{most: rollMost}
	r.Reset(self)
	return r
}

// Reset forgets all nodes but the own one, which has this id from now on. No set
// of nodes that was made before means anything then.
func (r *Roll) Reset(self store.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now.Store(&rollNames{ids: []store.NodeID{self}, numbers: map[store.NodeID]uint16{self: store.Self}})
}

// Number implements store.Roll.
func (r *Roll) Number(id store.NodeID) (uint16, bool) {
	if n, ok := r.now.Load().numbers[id]; ok {
		return n, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.now.Load()
	if n, ok := was.numbers[id]; ok {
		return n, true
	}
	n := len(was.ids)
	if n >= r.most {
		return 0, false
	}
	names := &rollNames{ids: append(was.ids[:n:n], id), numbers: maps.Clone(was.numbers)}
	names.numbers[id] = uint16(n)
	r.now.Store(names)
	return uint16(n), true
}

// ID implements store.Roll. A number that was never given is nobody's.
func (r *Roll) ID(number uint16) store.NodeID {
	if ids := r.now.Load().ids; int(number) < len(ids) {
		return ids[number]
	}
	return store.NodeID{}
}
