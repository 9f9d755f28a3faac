package store

import (
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var randomSeeds = flag.Uint64("moves.seeds", 500, "random histories of TestRandomMoves")

// A job that nodes give to each other, that consumers take, give back at any
// holder and work on, without a fault: nobody gets it while somebody has it, and in
// the end it is in one queue.
func TestRandomMoves(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= *randomSeeds; seed++ {
		moves(t, seed)
	}
}

// moves is one history.
func moves(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	count := 3 + rnd.IntN(3)
	m := newMesh(t, count)
	slowest := []int64{0, 5, 50, 100}[rnd.IntN(4)]
	m.slow = map[[2]int]int64{}
	for i, n := range m.nodes {
		n.s.seed = rnd.Uint64()
		for k := range count {
			m.slow[[2]int{i, k}] = rnd.Int64N(slowest + 1)
		}
	}
	retry := int64(1+rnd.IntN(3)) * 1000
	copies := min(count, 2+rnd.IntN(2))
	id, _ := m.nodes[0].put(m.spec("q", "b", copies, copies, int(retry/1000)))
	m.pass(500)
	is := func(node int, state string) bool { return m.states(id)[node] == state }
	leased := func(node int) bool { return node >= 0 && is(node, "active") }
	holder := func() int {
		for {
			if node := rnd.IntN(count); is(node, "active") {
				return node
			}
		}
	}
	until, at := int64(0), -1 // the lease, and who knows of it for sure
	for range 30 + rnd.IntN(40) {
		switch op := rnd.IntN(13); {
		case op < 4:
			for from := range count {
				if to := rnd.IntN(count); to != from && is(from, "queued") {
					m.move("q", from, to)
				}
			}
		case op < 7:
			for node := range count {
				if is(node, "queued") {
					m.nodes[node].take("q", 1)
					require.GreaterOrEqual(t, m.now, until, "seed %d: delivered twice, again by node %d", seed, node)
					until, at = m.now+retry, node
				}
			}
		case op == 7 && m.now < until && leased(at):
			m.nack(id, holder())
			until = 0
			m.pass(300)
		case op == 8 && m.now < until && leased(at):
			node := holder()
			if node != at && until-m.now < 600 {
				break // the others are asked already
			}
			m.nodes[node].do(func(s *Shard) { _, _ = s.Working(m.now, &id, &m.nodes[node].fx) })
			if until = m.now + retry; node != at {
				at = -1
			}
			m.pass(10 + 2*slowest) // no other client says the contrary at this moment
		case op == 9 && m.now < until && leased(at):
			n := m.nodes[at]
			j := n.get(id)
			n.do(func(s *Shard) {
				if s.Return(m.now, &id, j.NextQueue, j.Turn, &n.fx) {
					until = 0
				}
			})
		case op > 9:
			m.pass([]int64{1, 3, 20, 100, retry / 4, retry / 2, retry, 2*retry + 100}[rnd.IntN(8)])
		}
	}
	m.pass(4*retry + 3000)
	queued := m.count(id, "queued")
	require.NotZero(t, queued, "seed %d: in no queue", seed)
	if copies > 2 { // else there is nobody to ask both
		require.Equal(t, 1, queued, "seed %d: in several queues", seed)
	}
}
