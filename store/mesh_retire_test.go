package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// retire has a node hand over what it does, and ends it.
func (n *meshNode) retire(keeps bool) {
	n.s.view.Leaving, n.s.view.Ending = true, true
	n.m.views()
	for first, left := true, 1; left > 0; first = false {
		n.do(func(s *Shard) { _, left = s.Retire(n.m.now, 0, 1000, keeps, first, &n.fx) })
		n.m.pass(10)
	}
	n.alive = false
	n.m.views()
}

// What is queued at a node that stops is delivered by another at once, and once.
func TestRetireGivesTheQueued(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{true, false} {
		m := newMesh(t, 4)
		var bodies []string
		for i := range 30 {
			retry, r := 300, 1+i%4
			if i%5 == 0 {
				retry, r = 0, 1
			}
			bodies = append(bodies, fmt.Sprint(i))
			m.nodes[0].put(m.spec("q", bodies[i], r, r, retry))
		}
		m.pass(50)
		m.nodes[0].retire(keeps)
		var got []string
		for _, n := range m.nodes[1:] {
			got = append(got, n.take("q", 100)...)
		}
		require.ElementsMatch(t, bodies, got, keeps)
	}
}

// Nobody queues what a consumer of a node has that stopped, until its lease ends. Then
// somebody does, also if no other node held it.
func TestRetireTellsOfLeases(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{true, false} {
		m := newMesh(t, 3)
		n := m.nodes[0]
		lone, _ := n.put(m.spec("q", "lone", 1, 1, 5))
		held, _ := n.put(m.spec("q", "held", 2, 2, 5))
		m.pass(4000)
		require.Len(t, n.take("q", 2), 2)
		records := image(n)
		n.retire(keeps)
		m.pass(4800)
		require.Zero(t, m.count(held, "queued"))
		require.Zero(t, m.count(lone, "queued"))
		if keeps {
			n.alive = true
			relog(n, Trust{Complete: true}, records...)
		}
		m.pass(1500 + rejoin)
		require.Equal(t, 1, m.count(held, "queued"), "%v", m.states(held))
		require.Equal(t, 1, m.count(lone, "queued"), "%v", m.states(lone))
	}
}

// A job went away and came back, and is given to a third node as this one stops: who had
// it in between, and believes that it is here, is told.
func TestRetireTellsWhereItWent(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	a, b, c := m.nodes[0], m.nodes[1], m.nodes[2]
	id, _ := a.put(m.spec("q", "b", 1, 1, 4))
	move := func(from, to int) {
		m.move("q", from, to)
		m.pass(2)
	}
	move(0, 1)
	move(1, 0)
	b.s.view.Linked = b.s.view.Linked.Without(2)
	m.part([]int{0}, []int{1})
	move(0, 2) // and b is not told
	m.heal()
	a.retire(true)
	m.pass(3000)
	require.Equal(t, []string{"b"}, c.take("q", 1))
	m.pass(3500)
	require.Equal(t, []string{"dead", "active", "active"}, m.states(id))
}

// A job comes into the queue of a node that is about to stop and goes to consumers that wait
// at another: its other holder is told, or it would ask a node that is gone.
func TestRetireTellsWhatItFed(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	other, waits := 1, 2
	sp := m.spec("q", "b", 2, 2, 4)
	sp.Delay = 1
	id, _ := m.nodes[0].put(sp)
	m.pass(990)
	if m.states(id)[2] == "active" {
		other, waits = waits, other
	}
	m.need("q", 0, waits, FlagWaiting)
	m.nodes[0].retire(true)
	m.pass(2000)
	require.Equal(t, []string{"b"}, m.nodes[waits].take("q", 1))
	m.pass(3000)
	require.Empty(t, m.nodes[other].take("q", 1))
	require.Zero(t, m.count(id, "queued"), "%v", m.states(id))
	m.pass(2000)
	require.Equal(t, 1, m.count(id, "queued"), "%v", m.states(id))
}

// A copy of a job that waits for its DELAY keeps that when it is taken over by another node.
func TestMovedCopyKeepsItsDelay(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	sp := m.spec("q", "b", 2, 2, 1)
	sp.Delay = 20
	id, _ := m.nodes[0].put(sp)
	m.pass(1000)
	for _, n := range m.nodes[1:] {
		if _, ok := n.s.Get(&id); ok {
			n.retire(false)
			break
		}
	}
	m.nodes[0].alive = false
	m.views()
	m.pass(18_500)
	require.Zero(t, m.count(id, "queued"), "%v", m.states(id))
	m.pass(3000)
	require.Equal(t, 1, m.count(id, "queued"), "%v", m.states(id))
}

// A job that only a node held that stopped is acknowledged elsewhere meanwhile, and its lease
// is over when the node is back: it hears of that before it queues the job.
func TestAckOfALoneLeaseWhileItsNodeIsAway(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "lone", 1, 1, 5))
	require.Len(t, n.take("q", 1), 1)
	records := image(n)
	n.retire(true)
	m.pass(1000)
	require.False(t, m.nodes[1].ack(id))
	m.pass(13_000) // it is told again ever more seldom
	n.alive = true
	relog(n, Trust{Complete: true, Peers: true}, records...)
	for range 10 {
		m.pass(100)
		require.Empty(t, n.take("q", 1))
	}
	require.Zero(t, m.jobs(), "within a second of its coming")
}

// Who stops waits for the answers: what a node refuses goes to another, also if the answer
// comes late, and that is not asked again.
func TestRetireAsksAnotherNode(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{true, false} {
		m := newMesh(t, 4)
		a, full := m.nodes[0], m.nodes[1]
		m.slow = map[[2]int]int64{{0, 1}: 15, {1, 0}: 15}
		full.do(func(s *Shard) {
			require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn|PauseOut, false, &full.fx))
		})
		for range 30 {
			a.put(m.spec("q", "x", 1, 1, 300))
		}
		m.pass(100)
		m.sent = map[Kind]int{}
		a.retire(keeps)
		require.LessOrEqual(t, m.sent[MsgYourJob]+m.sent[MsgReplJob], 60)
		require.Len(t, append(m.nodes[2].take("q", 100), m.nodes[3].take("q", 100)...), 30)
	}
}

// A taker that never answers does not keep a job: it is taken back, and given to another.
func TestRetireTakesBackWhatNobodyAnswers(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	a := m.nodes[0]
	for range 20 {
		a.put(m.spec("q", "x", 1, 1, 300))
	}
	m.part([]int{0}, []int{1})
	a.retire(true)
	got := append(m.nodes[2].take("q", 100), m.nodes[1].take("q", 100)...)
	require.Len(t, got, 20)
}

// A job that is at most once and was given to a consumer's node just before is not
// forgotten: it may come back.
func TestRetireWaitsForWhatWasGiven(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	a, b := m.nodes[0], m.nodes[1]
	a.put(m.spec("q", "once", 1, 1, 0))
	num, _ := a.s.limits.Roll.Number(b.id)
	b.do(func(s *Shard) {
		require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn|PauseOut, false, &b.fx))
	})
	m.slow = map[[2]int]int64{{0, 1}: 15, {1, 0}: 15}
	a.do(func(s *Shard) {
		_ = s.Receive(m.now, num, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}, &a.fx)
	})
	a.retire(false)
	require.Equal(t, []string{"once"}, m.nodes[2].take("q", 1))
}

// The acknowledgement of a job whose node is away outlives that the node stops where it was
// given.
func TestRetireEntrustsAcks(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n, b := m.nodes[0], m.nodes[1]
	id, _ := n.put(m.spec("q", "lone", 1, 1, 30))
	require.Len(t, n.take("q", 1), 1)
	records := image(n)
	n.retire(true)
	m.pass(1000)
	require.False(t, b.ack(id))
	m.pass(3000)
	b.retire(true)
	n.alive = true
	relog(n, Trust{Complete: true, Peers: true}, records...)
	m.pass(60_000)
	require.Empty(t, n.take("q", 1))
}

// A holder that was away hears of an acknowledgement from a node that stops as soon as it is
// back, and from another one if it is not.
func TestRetireTellsOfAcks(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{true, false} {
		for _, keeps := range []bool{true, false} {
			m := newMesh(t, 3)
			a := m.nodes[0]
			id, _ := a.put(m.spec("q", "b", 2, 2, 30))
			m.pass(100)
			b := m.nodes[1]
			if _, ok := b.s.Get(&id); !ok {
				b = m.nodes[2]
			}
			records := image(a)
			a.retire(true)
			require.Equal(t, []string{"b"}, b.take("q", 1))
			require.True(t, b.ack(id))
			m.pass(20_000)
			if back {
				a.alive = true
				relog(a, Trust{Complete: true, Peers: true}, records...)
			}
			b.retire(keeps)
			if !back {
				a.alive = true
				relog(a, Trust{Complete: true, Peers: true}, records...)
			}
			m.pass(60_000)
			require.Empty(t, a.take("q", 1), "back %t, keeps %t: %v", back, keeps, m.states(id))
		}
	}
}

// Who comes back is told of acknowledgements soon, not when it is next their turn.
func TestRouseTellsOfAcks(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	a, b := m.nodes[0], m.nodes[1]
	id, _ := a.put(m.spec("q", "b", 2, 2, 300))
	m.pass(100)
	records := image(b)
	b.alive = false
	m.views()
	require.Equal(t, []string{"b"}, a.take("q", 1))
	require.True(t, a.ack(id))
	m.pass(120_000)
	b.alive = true
	relog(b, Trust{Complete: true, Peers: true}, records...)
	m.pass(ackSoon + 10)
	require.Zero(t, m.jobs())
}

// A job died while its other holder was away, which is back when the node that knows stops:
// it hears of that, and does not deliver the job.
func TestRetireTellsOfDeaths(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	a, b := m.nodes[0], m.nodes[1]
	id, _ := a.put(m.spec("q", "b", 2, 2, 9))
	m.pass(50)
	m.part([]int{0}, []int{1})
	require.True(t, a.bury(id))
	m.pass(5000) // it is told again ever more seldom
	m.heal()
	a.retire(true)
	j, ok := b.s.Get(&id)
	require.True(t, ok)
	require.Equal(t, Dead, j.State)
	m.pass(20_000)
	require.Empty(t, b.take("q", 1))
}

// An acknowledgement asks a node that does not know the job, and then the one that stops,
// which has just given the job to the first: that hears of it.
func TestAckBetweenTwoThatHandOver(t *testing.T) {
	t.Parallel()
	for _, ending := range []bool{true, false} {
		m := newMesh(t, 3)
		x, taker, asker := m.nodes[0], m.nodes[1], m.nodes[2]
		sp := m.spec("q", "b", 1, 1, 3)
		sp.Delay = 2
		id, _ := x.put(sp)
		ask := func(n *meshNode) {
			num, _ := n.s.limits.Roll.Number(asker.id)
			n.do(func(s *Shard) { _ = s.Receive(m.now, num, &Message{Kind: MsgSetAck, ID: id}, &n.fx) })
		}
		ask(taker)
		m.part([]int{0}, []int{2}) // so that the taker is the taker
		x.s.view.Leaving, x.s.view.Ending = true, ending
		m.views()
		for first := true; x.s.Jobs() > 0; first = false {
			x.do(func(s *Shard) {
				if ending {
					s.Retire(m.now, 0, 1000, false, first, &x.fx)
				} else {
					s.Drain(m.now, 0, 1000, &x.fx)
				}
			})
			m.pass(10)
		}
		m.heal()
		ask(x)
		m.pass(20)
		x.alive = false
		m.views()
		m.pass(10_000)
		require.Zero(t, m.count(id, "queued"), "%v", m.states(id))
	}
}
