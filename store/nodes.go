package store

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// NodeID is the id of a node: 160 bits.
type NodeID [20]byte

// Self is the number of the own node.
const Self = 0

// Roll numbers the nodes of a cluster, so that a job names its holders in a few
// bits. The own node has the number Self. Numbers are the node's own matter:
// what leaves it names nodes by their ids. Safe for concurrent use; it is called
// under a shard's lock and must not block.
type Roll interface {
	// Number returns the number of a node, given to it now if need be. It is
	// false when there are too many.
	Number(id NodeID) (uint16, bool)
	// ID returns the id of a number that was given.
	ID(number uint16) NodeID
}

// View is what is known of the other nodes at a moment. It is not changed once
// a shard has it.
type View struct {
	Reachable Set  // peers that could hold a copy
	Linked    Set  // of those, the ones with a link that answers
	Known     Set  // all peers, reachable or not
	Terms     Set  // peers of a version that knows priorities, tries and dead jobs
	Leaving   bool // this node is leaving the cluster
	Ending    bool // and so is its process about to end; see Retire
}

// Set is a set of nodes by number. The zero Set is empty. Its methods leave it
// as it is and return another.
type Set struct {
	low  uint64   // numbers below 64
	high []uint16 // the others, ascending; never written to
}

const setLow = 64

// SetOf returns the set of the given nodes.
func SetOf(numbers ...uint16) (s Set) {
	for _, n := range numbers {
		s.add(n)
	}
	s.order()
	return s
}

// add makes n one of a set that is being made. The last is followed by order.
func (s *Set) add(n uint16) {
	if n < setLow {
		s.low |= 1 << n
	} else {
		s.high = append(s.high, n)
	}
}

func (s *Set) order() {
	slices.Sort(s.high)
	s.high = slices.Compact(s.high)
}

// Has reports whether n is in the set.
func (s Set) Has(n uint16) bool {
	if n < setLow {
		return s.low>>n&1 != 0
	}
	_, ok := slices.BinarySearch(s.high, n)
	return ok
}

// With returns the set and n.
func (s Set) With(n uint16) Set {
	if n < setLow {
		s.low |= 1 << n
		return s
	}
	if i, ok := slices.BinarySearch(s.high, n); !ok {
		s.high = slices.Insert(slices.Clone(s.high), i, n)
	}
	return s
}

// Without returns the set but for n.
func (s Set) Without(n uint16) Set {
	if n < setLow {
		s.low &^= 1 << n
		return s
	}
	if i, ok := slices.BinarySearch(s.high, n); ok {
		s.high = slices.Delete(slices.Clone(s.high), i, i+1)
	}
	return s
}

// Or returns what is in either set.
func (s Set) Or(o Set) Set {
	s.low |= o.low
	switch {
	case len(s.high) == 0:
		s.high = o.high
	case len(o.high) > 0:
		s.high = slices.Concat(s.high, o.high)
		s.order()
	}
	return s
}

// Minus returns what is in s and not in o.
func (s Set) Minus(o Set) Set {
	s.low &^= o.low
	if len(s.high) > 0 && len(o.high) > 0 {
		s.high = slices.DeleteFunc(slices.Clone(s.high), o.Has)
	}
	return s
}

// And returns what is in both sets.
func (s Set) And(o Set) Set { return s.Minus(s.Minus(o)) }

// Empty reports whether there is nothing in the set.
func (s Set) Empty() bool { return s.low == 0 && len(s.high) == 0 }

// Len returns how many nodes are in the set.
func (s Set) Len() int { return bits.OnesCount64(s.low) + len(s.high) }

// In reports whether all of s is in o.
func (s Set) In(o Set) bool { return s.Minus(o).Empty() }

// Each calls yield with each node, in ascending order, until it returns false.
func (s Set) Each(yield func(uint16) bool) {
	for low := s.low; low != 0; low &= low - 1 {
		if !yield(uint16(bits.TrailingZeros64(low))) {
			return
		}
	}
	for _, n := range s.high {
		if !yield(n) {
			return
		}
	}
}

// at returns the i-th node of the set, which has that many.
func (s Set) at(i int) (found uint16) {
	s.Each(func(n uint16) bool {
		found = n
		i--
		return i >= 0
	})
	return found
}

// mostNodes bounds the nodes that a message or record names.
const mostNodes = 1 << 12

// appendSet appends how many nodes there are, and their ids. No cluster has more
// than mostNodes: what exceeds them is left out.
func appendSet(dst []byte, s Set, roll Roll) []byte {
	left := min(s.Len(), mostNodes)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(left))
	s.Each(func(n uint16) bool {
		if left == 0 {
			return false
		}
		left--
		id := roll.ID(n)
		dst = append(dst, id[:]...)
		return true
	})
	return dst
}

// cutSet reads what appendSet wrote from the front of src and returns the rest.
// Nodes for which the roll has no number are left out.
func cutSet(src []byte, roll Roll) (s Set, rest []byte, err error) {
	if len(src) < 2 {
		return s, nil, corrupt("a set of nodes is cut short")
	}
	n := int(binary.LittleEndian.Uint16(src))
	if src = src[2:]; n > mostNodes || len(src) < n*len(NodeID{}) {
		return s, nil, corrupt("%d nodes in %d bytes", n, len(src))
	}
	for range n {
		if number, ok := roll.Number(NodeID(src)); ok {
			s.add(number)
		}
		src = src[len(NodeID{}):]
	}
	s.order()
	return s, src, nil
}

// greater breaks a tie between two nodes that have the same job in their queues:
// the first keeps it. Who wins differs from job to job, and both sides agree.
func greater(a, b NodeID, id *ID) bool {
	for i := range a {
		salt := id[idRand+i%idRandLen]
		x, y := a[i]^salt, b[i]^salt
		if x != y {
			return x > y
		}
	}
	return false
}
