package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// move has a node give the first job of a queue to another one that asks.
func (m *mesh) move(queue string, from, to int) {
	n := m.nodes[from]
	num, _ := meshRoll{m, from}.Number(m.nodes[to].id)
	n.do(func(s *Shard) {
		require.NoError(m.t, s.Receive(m.now, num, &Message{Kind: MsgNeedJobs, Queue: []byte(queue), Count: 1}, &n.fx))
	})
}

// ask has a node say who has a job, as another one asks.
func (m *mesh) ask(id ID, from, to int) {
	n := m.nodes[to]
	num, _ := meshRoll{m, to}.Number(m.nodes[from].id)
	n.do(func(s *Shard) { _ = s.Receive(m.now, num, &Message{Kind: MsgWillQueue, ID: id}, &n.fx) })
}

// A job goes from one node to another and back, and is slow to come back, when a
// third holder asks who has it: it believes the one that gave it back, although
// it heard before that the other has it, and from itself.
func TestMoveThereAndBack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[2].put(m.spec("q", "b", 3, 3, 2))
	m.pass(100)
	m.ask(id, 0, 2)
	m.move("q", 2, 1)
	m.pass(600)
	m.slow = map[[2]int]int64{{1, 2}: 200}
	m.move("q", 1, 2)
	back := m.now
	m.ask(id, 0, 1)
	m.pass(2)
	require.Equal(t, []string{"active", "active", "active"}, m.states(id))
	c := m.nodes[0].s.slots.copies(m.nodes[0].s.index.find(&id))
	who, _ := meshRoll{m, 0}.Number(m.nodes[2].id)
	require.Equal(t, who, c.who)
	require.Greater(t, c.until, back+1700)
	m.ask(id, 0, 2) // which does not know yet, and said so before
	m.pass(2)
	require.Equal(t, who, c.who)
	m.pass(300)
	require.Equal(t, []string{"active", "active", "queued"}, m.states(id))
}

// What a node said when it had a job comes late, after the job went on to who is
// told: that one keeps it, whoever of the two would have to give way otherwise.
func TestLateWordOfTheGiver(t *testing.T) {
	t.Parallel()
	for giver := range 3 {
		for _, nacked := range []bool{false, true} {
			between, taker := (giver+1)%3, (giver+2)%3
			m := newMesh(t, 3)
			n := m.nodes[giver]
			id, _ := n.put(m.spec("q", "b", 3, 3, 2))
			m.pass(100)
			m.slow = map[[2]int]int64{{giver, taker}: 200}
			if nacked {
				require.Equal(t, []string{"b"}, n.take("q", 1))
				n.do(func(s *Shard) { require.True(t, s.Nack(m.now, &id, &n.fx)) })
			} else {
				m.ask(id, between, giver)
			}
			m.move("q", giver, between)
			m.pass(2)
			m.move("q", between, taker)
			m.pass(500)
			require.Equal(t, "queued", m.states(id)[taker])
			require.Equal(t, 1, m.count(id, "queued"))
			require.Equal(t, []string{"b"}, m.nodes[taker].take("q", 1))
			m.pass(1500)
			require.Zero(t, m.count(id, "queued"), "its consumer has it for two seconds")
		}
	}
}

// A lease that was said before the job went on does not take it from the queue it
// is in now.
func TestLateLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 2))
	m.pass(100)
	n := m.nodes[0]
	n.take("q", 1)
	m.slow = map[[2]int]int64{{0, 1}: 200}
	n.do(func(s *Shard) { _, _ = s.Working(m.now, &id, &n.fx) })
	m.slow = nil
	n.do(func(s *Shard) { require.True(t, s.Nack(m.now, &id, &n.fx)) })
	m.move("q", 0, 2)
	m.pass(2)
	m.move("q", 2, 1)
	m.pass(500)
	require.Equal(t, []string{"active", "queued", "active"}, m.states(id))
}

// A node that was started again knows no numbers: it gets them with the question,
// so that its answer is newer than what the others know. And a node whose word is
// old, as it has not heard of the latest, is told.
func TestNumbersAfterARestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	n := m.nodes[0]
	n.take("q", 1)
	for range 50 { // the others hear a lot of it
		n.do(func(s *Shard) { _, _ = s.Working(m.now, &id, &n.fx) })
		m.pass(1)
	}
	known := m.nodes[1].s.slots.copies(m.nodes[1].s.index.find(&id)).number
	relog(n, Trust{Complete: true}, image(n)...)
	m.views()
	m.pass(2)
	c := n.s.slots.copies(n.s.index.find(&id))
	require.Zero(t, c.number)
	require.Equal(t, saidLeased, c.said)
	m.pass(9_700)
	require.Zero(t, m.count(id, "queued"))
	m.pass(1_500)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
	require.Greater(t, c.number, known, "it was asked, and answered")
	require.Equal(t, c.number, m.nodes[1].s.slots.copies(m.nodes[1].s.index.find(&id)).number)

	m = newMesh(t, 2)
	id, _ = m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
	m.pass(5)
	m.part([]int{0}, []int{1})
	m.nodes[0].do(func(s *Shard) {
		for range 5 {
			s.Dequeue(m.now, &id, &m.nodes[0].fx)
			s.Enqueue(m.now, &id, &m.nodes[0].fx)
		}
	})
	m.nodes[1].do(func(s *Shard) { require.True(t, s.Enqueue(m.now, &id, &m.nodes[1].fx)) })
	require.Equal(t, []string{"queued", "queued"}, m.states(id))
	m.heal()
	m.nodes[1].do(func(s *Shard) {
		h := s.index.find(&id)
		s.sayQueued(m.now, h, s.others(h), 0, &m.nodes[1].fx)
	})
	m.pass(5)
	require.Equal(t, []string{"queued", "active"}, m.states(id))
}
