package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nodes, partitions, deaths and everything else at random: what was accepted
// comes out, what was acknowledged does not come back once all is well, and in
// the end nothing is left.
func TestMeshAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runMesh(t, seed)
		})
	}
}

func runMesh(t *testing.T, seed uint64) {
	m := newMesh(t, 5)
	m.rnd = rand.New(rand.NewPCG(seed, 1))
	for _, n := range m.nodes {
		n.rig.rnd = m.rnd
	}
	accepted, delivered, acked := map[ID]bool{}, map[ID]int{}, map[ID]bool{}
	once := map[ID]bool{}
	for step := range 3000 {
		n := m.nodes[m.rnd.IntN(5)]
		switch k := m.rnd.IntN(100); {
		case k < 30:
			retry, r := 1+m.rnd.IntN(5), 1+m.rnd.IntN(3)
			if m.rnd.IntN(5) == 0 {
				retry, r = 0, 1
			}
			sp := m.spec("q", fmt.Sprint(step), r, 1+m.rnd.IntN(r), retry)
			id, waits := n.put(sp)
			once[id] = retry == 0
			accepted[id] = accepted[id] || !waits
		case k < 60:
			n.do(func(s *Shard) {
				_, _ = s.Fetch(m.now, []byte("q"), 1, &n.fx, func(j *Job) bool {
					delivered[j.ID]++
					if once[j.ID] {
						require.Equal(t, 1, delivered[j.ID], "at most once")
					}
					return true
				})
			})
		case k < 75:
			for id := range delivered {
				if m.rnd.IntN(3) == 0 {
					n.ack(id)
					acked[id] = true
					break
				}
			}
		case k < 78:
			a := m.rnd.Perm(5)
			c := 1 + m.rnd.IntN(3)
			m.part(a[:c], a[c:])
		case k < 79:
			m.cut[[2]int{m.rnd.IntN(5), m.rnd.IntN(5)}] = true
		case k < 85:
			m.heal()
		default:
			m.pass(int64(m.rnd.IntN(800)))
		}
	}
	for _, n := range m.nodes {
		for id, err := range n.added {
			require.NoError(t, err)
			accepted[id] = true
		}
	}
	m.heal()
	for round := 0; m.jobs() > 0; round++ {
		require.Less(t, round, 3000, "%d jobs stay", m.jobs())
		for _, n := range m.nodes {
			var got []ID
			n.do(func(s *Shard) {
				_, _ = s.Fetch(m.now, []byte("q"), 10, &n.fx, func(j *Job) bool {
					got = append(got, j.ID)
					delivered[j.ID]++
					return true
				})
			})
			for _, id := range got {
				n.ack(id)
				acked[id] = true
			}
		}
		for id := range delivered {
			if once[id] && !acked[id] {
				for _, n := range m.nodes {
					n.ack(id)
				}
				acked[id] = true
			}
		}
		m.pass(500)
		if round > 400 {
			for _, n := range m.nodes { // an at-most-once job that was lost on its way stays until its TTL
				n.do(func(s *Shard) { s.Evict(m.now, 1000, &n.fx) })
			}
		}
	}
	for id := range accepted {
		if accepted[id] && !once[id] && !acked[id] {
			require.NotZero(t, delivered[id], "lost")
		}
	}
}
