package replication

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// made are ids of nodes that nobody heard of before.
func made(from, n int) []store.NodeID {
	ids := make([]store.NodeID, n)
	for i := range ids {
		binary.BigEndian.PutUint64(ids[i][:], uint64(from+i))
	}
	return ids
}

func TestRollNumbers(t *testing.T) {
	t.Parallel()
	r := NewRoll(nodeID(1))
	n, ok := r.Number(nodeID(1))
	require.True(t, ok)
	require.EqualValues(t, store.Self, n)
	b, _ := r.Number(nodeID(2))
	require.Equal(t, []uint16{b, store.Self, b + 1}, r.Members([]store.NodeID{nodeID(2), nodeID(1), nodeID(3)}))
	require.Empty(t, r.Members(nil))
	again, _ := r.Number(nodeID(3))
	require.Equal(t, b+1, again, "a member that left keeps its number")
	require.Equal(t, nodeID(3), r.ID(again))
	require.Zero(t, r.ID(again+1))
	r.Reset(nodeID(2))
	require.Equal(t, nodeID(2), r.ID(store.Self))
	require.Zero(t, r.ID(b))
	require.Equal(t, []uint16{1}, r.Members([]store.NodeID{nodeID(1)}))
}

// Nodes that somebody makes up take no number from those that come, and none is
// taken from those that are there.
func TestRollOfLies(t *testing.T) {
	t.Parallel()
	r := NewRoll(nodeID(1))
	r.Members(made(1_000_000, 2))
	given := 0
	for _, id := range made(1, 2*othersMost) {
		if _, ok := r.Number(id); ok {
			given++
		}
	}
	require.Equal(t, othersMost, given)
	for i, n := range r.Members(made(2*othersMost-10, 20)) {
		require.NotZero(t, n, i)
	}
	list := r.Members(made(othersMost-9, 10)) // of those that were named already
	require.NotContains(t, list, uint16(store.Self))
	for _, id := range made(3_000_000, 20) { // are others no more
		if _, ok := r.Number(id); ok {
			given++
		}
	}
	require.Equal(t, othersMost+10, given)

	full := r.Members(made(5_000_000, rollMost))
	require.NotZero(t, full[0])
	require.Zero(t, full[rollMost-1], "no number is left")
	require.Zero(t, r.Members(made(9_000_000, 1))[0])
	require.Equal(t, full[:1], r.Members(made(5_000_000, 1)))
}

// Numbers are asked for while they are given.
func TestRollIsShared(t *testing.T) {
	t.Parallel()
	r := NewRoll(nodeID(1))
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i, id := range made(1, 1000) {
				if n, ok := r.Number(id); !ok || r.ID(n) != id {
					panic("wrong")
				}
				if i%100 == g {
					r.Members(made(1, i))
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRollOfLies is what a message costs that names 4,096 new nodes.
func BenchmarkRollOfLies(b *testing.B) {
	ids := made(1, othersMost)
	for b.Loop() {
		r := NewRoll(nodeID(1))
		for _, id := range ids {
			r.Number(id)
		}
	}
}
