package store

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// move has a node give the first job of a queue to another one that asks.
func (m *mesh) move(queue string, from, to int) { m.need(queue, from, to, 0) }

// need has a node be asked by another one for a job of a queue.
func (m *mesh) need(queue string, from, to int, flags uint8) {
	n := m.nodes[from]
	num, _ := meshRoll{m, from}.Number(m.nodes[to].id)
	n.do(func(s *Shard) {
		require.NoError(m.t, s.Receive(m.now, num, &Message{Kind: MsgNeedJobs, Flags: flags, Queue: []byte(queue), Count: 1}, &n.fx))
	})
}

// ask has a node say who has a job, as another one asks.
func (m *mesh) ask(id ID, from, to int) {
	n := m.nodes[to]
	num, _ := meshRoll{m, to}.Number(m.nodes[from].id)
	n.do(func(s *Shard) { _ = s.Receive(m.now, num, &Message{Kind: MsgWillQueue, ID: id}, &n.fx) })
}

// copiesAt returns what a node knows of the others that hold a job.
func (m *mesh) copiesAt(id ID, node int) *copies {
	s := m.nodes[node].s
	return s.slots.copies(s.index.find(&id))
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
	c := m.copiesAt(id, 0)
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
				n.do(func(s *Shard) { require.True(t, s.Nack(m.now, &id, nil, &n.fx)) })
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
	n.do(func(s *Shard) { require.True(t, s.Nack(m.now, &id, nil, &n.fx)) })
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
	known := m.copiesAt(id, 1).number
	relog(n, Trust{Complete: true}, image(n)...)
	m.views()
	m.pass(2)
	c := m.copiesAt(id, 0)
	require.Zero(t, c.number)
	require.Equal(t, saidLeased, c.said)
	m.pass(9_700)
	require.Zero(t, m.count(id, "queued"))
	m.pass(1_500)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
	require.Greater(t, c.number, known, "it was asked, and answered")
	require.Equal(t, c.number, m.copiesAt(id, 1).number)

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

// stays passes time in which the job may be in no queue.
func (m *mesh) stays(id ID, ms int64) {
	m.t.Helper()
	for end := m.now + ms; m.now < end; {
		m.pass(1)
		require.Zero(m.t, m.count(id, "queued"), "%d ms before its time: %v", end-m.now, m.states(id))
	}
}

// nack gives a job back at a node, whoever delivered it.
func (m *mesh) nack(id ID, node int) {
	n := m.nodes[node]
	n.do(func(s *Shard) { require.True(m.t, s.Nack(m.now, &id, nil, &n.fx)) })
}

// WORKING at another holder than the one that delivered the job is heard of when
// that one asks, at the latest.
func TestWorkingElsewhere(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(100)
	require.Len(t, m.nodes[0].take("q", 1), 1)
	m.pass(9000)
	n := m.nodes[1]
	n.do(func(s *Shard) { _, _ = s.Working(m.now, &id, &n.fx) })
	m.stays(id, 9900)
}

// Who holds a job only now knows the numbers of the one that sent it: what it says
// after it was handed the job by a node that leaves, or a client gave it back
// there, is news to the others.
func TestNumbersOfALateHolder(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	l := m.nodes[0]
	id, _ := l.put(m.spec("q", "b", 2, 2, 2))
	m.pass(20_000)
	l.s.view.Leaving = true
	m.views()
	l.do(func(s *Shard) { s.Drain(m.now, 0, 100, &l.fx) })
	m.pass(5)
	heir, third := 0, 0
	for i, state := range m.states(id) {
		switch {
		case state == "queued":
			heir = i
		case state == "" && i > 0:
			third = i
		}
	}
	m.move("q", heir, third)
	m.pass(200)
	require.Len(t, m.nodes[third].take("q", 1), 1)
	m.stays(id, 1950)

	m = newMesh(t, 5)
	for _, n := range m.nodes[2:] {
		n.alive = false
	}
	m.views()
	id, _ = m.nodes[0].put(m.spec("q", "b", 3, 2, 10))
	m.pass(5000)
	require.Len(t, m.nodes[0].take("q", 1), 1)
	for range 5 {
		m.nodes[0].do(func(s *Shard) { _, _ = s.Working(m.now, &id, &m.nodes[0].fx) })
		m.pass(100)
	}
	m.nodes[2].alive = true
	m.views()
	m.pass(5000)
	require.Equal(t, "active", m.states(id)[2])
	m.nodes[3].alive, m.nodes[4].alive = true, true
	m.views()
	m.nack(id, 2)
	m.pass(3000)
	m.move("q", 2, 3)
	m.pass(5)
	m.move("q", 3, 4)
	m.pass(500)
	require.Len(t, m.nodes[4].take("q", 1), 1)
	m.stays(id, 9900)
}

// Of two numbers that differ one is newer, however far they are apart: two nodes
// that both take their own word for the newer one would answer each other for ever.
func TestNumbersFarApart(t *testing.T) {
	t.Parallel()
	for _, apart := range []uint32{1, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1<<32 - 1} {
		for _, a := range []uint32{0, 7, 1 << 31, 1<<32 - 1} {
			require.NotEqual(t, later(a, a+apart), later(a+apart, a), "%d and %d", a, a+apart)
		}
	}
}

// A client's NACK ends a lease at another node; but not one that was made after
// it, of a job that came faster than the word of the NACK.
func TestLateWordOfANack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 2))
	m.pass(100)
	require.Len(t, m.nodes[0].take("q", 1), 1)
	m.nack(id, 1)
	m.pass(5)
	require.Equal(t, []string{"active", "queued", "active"}, m.states(id))

	require.Len(t, m.nodes[1].take("q", 1), 1)
	m.slow = map[[2]int]int64{{1, 2}: 200}
	m.nack(id, 1)
	m.move("q", 1, 0)
	m.pass(2)
	m.move("q", 0, 2)
	m.pass(180)
	require.Len(t, m.nodes[2].take("q", 1), 1)
	m.stays(id, 1950)
}

// Holders that know different nodes to have a job ask all of them now and then, so
// that it is in one queue in the end.
func TestTwoQueuesAreFound(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
	m.pass(100)
	holder, taker := 1, 2
	if m.states(id)[2] != "" {
		holder, taker = 2, 1
	}
	m.move("q", 0, taker)
	m.pass(1000)
	n := m.nodes[holder]
	n.do(func(s *Shard) { require.True(t, s.Enqueue(m.now, &id, &n.fx)) })
	for end := m.now + 600_000; m.now < end && m.count(id, "queued") != 1; {
		m.pass(1000)
	}
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// undecided takes a job out of all queues; its holders know of nobody who has it,
// and would queue it after a second.
func (m *mesh) undecided(id ID) {
	for _, n := range m.nodes {
		n.do(func(s *Shard) {
			h := s.index.find(&id)
			j, c := s.slots.get(h), s.slots.copies(h)
			if j.state == Queued {
				s.Dequeue(m.now, &id, &n.fx)
			}
			s.wheel.stop(h)
			c.said, c.asked, j.qtime = saidNothing, askNobody, m.now+1000
			s.wheel.start(h)
		})
	}
}

// Two that ask each other at the same moment do not both queue a job.
func TestBothAsk(t *testing.T) {
	t.Parallel()
	for range 20 {
		m := newMesh(t, 2)
		m.slow = map[[2]int]int64{{0, 1}: 30, {1, 0}: 30}
		id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 2))
		m.pass(200)
		m.undecided(id)
		for range 2000 {
			m.pass(1)
			require.LessOrEqual(t, m.count(id, "queued"), 1)
		}
		require.Equal(t, 1, m.count(id, "queued"))
	}
}

// Nodes that ask again and again, as their queue is paused, keep no other one from
// queueing a job whose node is gone.
func TestPausedNodesPostponeNobody(t *testing.T) {
	t.Parallel()
	for open := 1; open < 5; open++ {
		m := newMesh(t, 5)
		id, _ := m.nodes[0].put(m.spec("q", "b", 5, 5, 1))
		m.pass(100)
		require.Len(t, m.nodes[0].take("q", 1), 1)
		m.nodes[0].alive = false
		m.views()
		n := m.nodes[open]
		for range 70 { // somebody asks all the time
			m.pass(60)
			for i := 1; i < 5; i++ {
				if i != open {
					num, _ := meshRoll{m, open}.Number(m.nodes[i].id)
					n.do(func(s *Shard) { _ = s.Receive(m.now, num, &Message{Kind: MsgWillQueue, ID: id}, &n.fx) })
					m.nodes[i].do(func(s *Shard) { _ = s.SetPause(m.now, []byte("q"), PauseIn, false, &m.nodes[i].fx) })
				}
			}
		}
		require.Equal(t, "queued", m.states(id)[open])
	}
}

// Who yields to one that asked too waits until that one's word can have come.
func TestYieldsLongEnough(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 2))
	m.pass(200)
	first, second := 0, 1
	if !greater(m.nodes[0].id, m.nodes[1].id, &id) {
		first, second = 1, 0
	}
	m.undecided(id)
	m.pass(700)
	m.slow = map[[2]int]int64{{first, second}: 20}
	for range 1000 {
		m.pass(1)
		require.LessOrEqual(t, m.count(id, "queued"), 1)
	}
}

// A node that was started again and gives a job on passes that on with a low
// number: who learns only then who has the job asks that one.
func TestPassedOnAfterARestart(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		m := newMesh(t, 3)
		for i, n := range m.nodes {
			n.s.seed = 10*seed + uint64(i)
		}
		id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
		m.pass(100)
		taker := 2
		if m.states(id)[2] != "" {
			taker = 1
		}
		n := m.nodes[0]
		require.Len(t, n.take("q", 1), 1)
		for range 3 {
			n.do(func(s *Shard) { _, _ = s.Working(m.now, &id, &n.fx) })
			m.pass(10)
		}
		relog(n, Trust{Complete: true}, image(n)...)
		m.views()
		m.nack(id, 0)
		m.pass(6000)
		m.move("q", 0, taker)
		m.pass(10)
		require.Len(t, m.nodes[taker].take("q", 1), 1)
		m.stays(id, 9900)
	}
}

// The word of the node itself is believed by one that asks, although that heard a
// higher number of a node that is gone.
func TestAnswerWithALowNumber(t *testing.T) {
	t.Parallel()
	for try := range 40 {
		m := newMesh(t, 3)
		for range try {
			m.nodes[0].newID("q", false)
		}
		id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
		m.pass(100)
		again := 1
		if !greater(m.nodes[1].id, m.nodes[2].id, &id) {
			again = 2
		}
		n := m.nodes[0]
		n.take("q", 1)
		n.do(func(s *Shard) { _, _ = s.Working(m.now, &id, &n.fx) })
		m.pass(10)
		relog(m.nodes[again], Trust{Complete: true}, image(m.nodes[again])...)
		m.views()
		m.pass(100)
		n.alive = false
		m.views()
		last := int64(0)
		for end := m.now + 25_000; m.now < end; m.pass(1) {
			for _, n := range m.nodes[1:] {
				if len(n.take("q", 1)) > 0 {
					require.GreaterOrEqual(t, m.now-last, int64(9000))
					last = m.now
				}
			}
		}
	}
}

// Of holders that ask each other for a job whose node is gone, one waits for the other,
// although what they heard of that node still holds.
func TestHoldersOfWhoIsGoneAskEachOther(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	m.slow = map[[2]int]int64{}
	for from := range m.nodes {
		for to := range m.nodes {
			m.slow[[2]int{from, to}] = 20
		}
	}
	var ids []ID
	for i := range 60 {
		id, _ := m.nodes[0].put(m.spec(fmt.Sprint("q", i), "b", 4, 4, 5))
		ids = append(ids, id)
	}
	m.pass(7000) // all have heard that node 0 has them
	m.part([]int{0}, []int{1, 2, 3, 4})
	for range 1600 {
		m.pass(5)
		for _, id := range ids {
			require.LessOrEqual(t, m.count(id, "queued"), 2, "one of them at node 0: %v", m.states(id))
		}
	}
	for _, id := range ids {
		require.Equal(t, 2, m.count(id, "queued"))
	}
}

// Two holders that do not know where a job is ask at the same time, the first only the second:
// it gives way, but what the second is told by a third it has to ask for itself.
func TestWhoGivesWayAsksAllYet(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	var ids []ID
	var takers []int
	for i := range 100 {
		queue := fmt.Sprint("q", i)
		id, _ := m.nodes[0].put(m.spec(queue, "b", 3, 3, 5))
		m.pass(20)
		var holders []int
		to := 0
		for n, st := range m.states(id) {
			switch {
			case n > 0 && st == "active":
				holders = append(holders, n)
			case n > 0:
				to = n
			}
		}
		if i%2 == 0 {
			slices.Reverse(holders)
		}
		first, second := holders[0], holders[1]
		knows := func(node, of int) {
			c := m.copiesAt(id, node)
			c.who, _ = m.nodes[node].s.limits.Roll.Number(m.nodes[of].id)
			c.said = saidNothing
		}
		knows(first, second)
		knows(second, to)
		ids, takers = append(ids, id), append(takers, to)
	}
	for i := range ids {
		m.move(fmt.Sprint("q", i), 0, takers[i])
	}
	for range 800 {
		m.pass(10)
		for _, id := range ids {
			require.Equal(t, 1, m.count(id, "queued"), "%v", m.states(id))
		}
	}
}
