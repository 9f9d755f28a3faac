package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// limited is a job on all nodes of three that dies after so many tries.
func (m *mesh) limited(at int, limit uint16, base uint32) ID {
	spec := m.spec("q", "b", 3, 3, 5)
	spec.Terms = &Terms{Priority: DefaultPriority, Limit: limit, Base: base, Most: base}
	id, _ := m.nodes[at].put(spec)
	m.pass(100)
	return id
}

func (n *meshNode) bury(id ID) (ok bool) {
	n.do(func(s *Shard) { ok = s.Bury(n.m.now, &id, []byte("why"), &n.fx) })
	return ok
}

func (n *meshNode) kick(id ID) (ok bool) {
	n.do(func(s *Shard) { ok = s.KickJob(n.m.now, &id, &n.fx) })
	return ok
}

func (n *meshNode) giveBack(id ID, how *Refusal) (ok bool) {
	n.do(func(s *Shard) { ok = s.Nack(n.m.now, &id, how, &n.fx) })
	return ok
}

func (m *mesh) terms(id ID, node int) Terms {
	j, ok := m.nodes[node].s.Get(&id)
	require.True(m.t, ok)
	if j.Terms == nil {
		return Terms{Priority: DefaultPriority}
	}
	t := *j.Terms
	t.Reason = append([]byte{}, t.Reason...)
	return t
}

var allDead = []string{"dead", "dead", "dead"}

// A job that fails too often is dead on all its holders, with its reason and its
// tries, and is put back once.
func TestDeathIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id := m.limited(0, 2, 0)
	n := m.nodes[0]
	require.Equal(t, []string{"b"}, n.take("q", 1))
	m.pass(7000)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
	for k := range 3 {
		require.EqualValues(t, 1, m.terms(id, k).Tries, k)
	}
	require.Equal(t, []string{"b"}, n.take("q", 1))
	require.True(t, n.giveBack(id, &Refusal{Delay: -1, Reason: []byte("full")}))
	m.pass(10)
	require.Equal(t, allDead, m.states(id))
	for k := range 3 {
		require.Equal(t, "full", string(m.terms(id, k).Reason), k)
		require.EqualValues(t, 2, m.terms(id, k).Tries, k)
	}
	m.pass(10_000)
	for k := range 3 {
		require.Empty(t, m.nodes[k].s.tells, "all know that all know")
	}
	m.pass(100_000)
	require.Equal(t, allDead, m.states(id))
	require.True(t, m.nodes[2].kick(id))
	m.pass(10)
	require.Equal(t, []string{"active", "active", "queued"}, m.states(id))
	require.False(t, m.nodes[1].kick(id))
	for k := range 3 {
		require.Zero(t, m.terms(id, k).Tries)
		require.EqualValues(t, 2, m.terms(id, k).Generation)
	}
	m.pass(100_000)
	require.Equal(t, 1, m.count(id, "queued"))
	require.Equal(t, []string{"b"}, m.nodes[2].take("q", 1))
	require.True(t, m.nodes[1].ack(id))
	m.pass(5000)
	require.Zero(t, m.jobs())
}

// A job that is buried on one side of a partition, and delivered on the other, is
// dead everywhere once that heals; one that was kicked lives.
func TestDeathAndPartition(t *testing.T) {
	t.Parallel()
	for _, kicked := range []bool{false, true} {
		m := newMesh(t, 3)
		id := m.limited(0, 0, 0)
		require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
		m.part([]int{0, 1}, []int{2})
		require.True(t, m.nodes[1].bury(id))
		m.pass(10_000)
		require.Equal(t, []string{"dead", "dead", "queued"}, m.states(id))
		require.Equal(t, []string{"b"}, m.nodes[2].take("q", 1), "it does not know")
		if kicked {
			require.True(t, m.nodes[0].kick(id))
			m.pass(1000)
		}
		m.heal()
		m.pass(200_000)
		if !kicked {
			require.Equal(t, allDead, m.states(id))
			continue
		}
		require.Equal(t, 1, m.count(id, "queued"))
		require.Equal(t, 2, m.count(id, "active"))
		for k := range 3 {
			require.EqualValues(t, 2, m.terms(id, k).Generation)
		}
	}
}

// A job that both sides of a partition buried and one kicked lives; the same node
// that told of the death may be lost meanwhile.
func TestDeathSurvivesRestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id := m.limited(0, 0, 0)
	m.part([]int{0}, []int{1, 2})
	require.True(t, m.nodes[0].bury(id))
	relog(m.nodes[0], Trust{Complete: true}, image(m.nodes[0])...)
	m.views()
	m.pass(1000)
	require.Equal(t, "dead", m.states(id)[0])
	m.heal()
	m.pass(200_000)
	require.Equal(t, allDead, m.states(id))
}

// A consumer gives a job back to another node than it had it from: who delivered
// counts that, once, and a job dies no earlier than its tries are used.
func TestTriesAreCountedWhereItWasDelivered(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id := m.limited(0, 2, 0)
	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	require.True(t, m.nodes[1].giveBack(id, nil))
	m.pass(10)
	require.Equal(t, []string{"active", "queued", "active"}, m.states(id))
	require.EqualValues(t, 1, m.terms(id, 0).Tries)
	require.EqualValues(t, 1, m.terms(id, 1).Tries)
	require.Equal(t, []string{"b"}, m.nodes[1].take("q", 1))
	require.True(t, m.nodes[2].giveBack(id, nil))
	m.pass(10)
	require.Equal(t, allDead, m.states(id))
}

// A NACK that comes late, after its delivery was counted as its lease ended, is not
// charged to the next delivery.
func TestLateNack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	spec := m.spec("q", "b", 2, 2, 5)
	spec.Terms = &Terms{Priority: DefaultPriority, Limit: 2}
	id, _ := m.nodes[0].put(spec)
	m.pass(100)
	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	m.pass(4000)
	m.slow = map[[2]int]int64{{1, 0}: 3000}
	require.True(t, m.nodes[1].giveBack(id, nil))
	m.pass(1500)
	require.EqualValues(t, 1, m.terms(id, 0).Tries, "its lease ended")
	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	m.pass(2000)
	require.EqualValues(t, 1, m.terms(id, 0).Tries)
	require.NotContains(t, m.states(id), "dead")
}

// A NACK of a delivery from another node, where it was counted, is not charged to one
// from here that nobody else has heard of.
func TestNackElsewhereOfAnotherDelivery(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	spec := m.spec("q", "b", 2, 2, 5)
	spec.Terms = &Terms{Priority: DefaultPriority, Limit: 2}
	id, _ := m.nodes[0].put(spec)
	m.pass(100)
	m.slow = map[[2]int]int64{{1, 0}: 20_000, {0, 1}: 20_000}
	m.pass(12_000)
	require.Equal(t, []string{"queued", "queued"}, m.states(id), "they do not hear each other")
	require.Equal(t, []string{"b"}, m.nodes[1].take("q", 1))
	require.True(t, m.nodes[1].giveBack(id, &Refusal{Delay: 60}))
	m.pass(19_000)
	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	m.pass(2000)
	require.EqualValues(t, 1, m.terms(id, 0).Tries)
	require.NotContains(t, m.states(id), "dead")
}

// Who buried a job is lost before all holders heard of it: those that did tell the
// others.
func TestDeathOutlivesWhoToldIt(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id := m.limited(0, 0, 0)
	m.part([]int{0, 1}, []int{2})
	require.True(t, m.nodes[0].bury(id))
	m.pass(10)
	m.nodes[0].alive = false
	m.views()
	m.pass(20_000)
	require.Equal(t, "queued", m.states(id)[2])
	m.heal()
	m.pass(60_000)
	require.Equal(t, []string{"dead", "dead"}, m.states(id)[1:])
}

// All who knew of a death leave while a holder is away: those to whom they handed the
// job tell it when it is back.
func TestDeathOutlivesWhoLeaves(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id := m.limited(0, 0, 0)
	away := 0
	for k, state := range m.states(id) {
		if k > 0 && state != "" {
			away = k
		}
	}
	m.nodes[away].alive = false
	m.views()
	require.True(t, m.nodes[0].bury(id))
	m.pass(10)
	for k, state := range m.states(id) {
		if state != "dead" || k == away {
			continue
		}
		n := m.nodes[k]
		n.s.view.Leaving = true
		m.views()
		for i := 0; m.states(id)[k] != ""; i++ {
			require.Less(t, i, 1000, "it is handed over")
			n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
			m.pass(10)
		}
	}
	m.nodes[away].alive = true
	require.Equal(t, "active", m.states(id)[away])
	require.Equal(t, 2, m.count(id, "dead"))
	m.views()
	m.pass(60_000)
	require.Equal(t, 3, m.count(id, "dead"), "%v", m.states(id))
}

// A holder that had confirmed a death loses that with the end of its log: when it is
// back it is told again, and need not hear it by chance.
func TestDeathIsToldToWhoForgotIt(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{false, true} {
		m := newMesh(t, 3)
		id := m.limited(0, 0, 0)
		before := image(m.nodes[2])
		require.True(t, m.nodes[0].bury(id))
		m.pass(100)
		require.Equal(t, allDead, m.states(id))
		m.part([]int{0, 1}, []int{2})
		relog(m.nodes[2], Trust{}, before...)
		m.views()
		m.pass(20_000)
		require.Equal(t, []string{"dead", "dead", "queued"}, m.states(id))
		m.heal()
		if known {
			number, _ := meshRoll{m, 0}.Number(m.nodes[2].id)
			m.nodes[0].do(func(s *Shard) { s.Rouse(m.now, 0, 1<<20, SetOf(number)) })
		}
		m.pass(5000)
		require.Equal(t, known, m.states(id)[2] == "dead")
	}
}

// Of a new life only its own counts are known, whichever message tells of it first.
func TestCountsOfANewLife(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 300))
	m.pass(100)
	for range 3 {
		require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
		require.True(t, m.nodes[0].giveBack(id, nil))
		m.pass(10)
	}
	require.True(t, m.nodes[0].bury(id))
	m.pass(10)
	m.part([]int{0}, []int{1})
	require.True(t, m.nodes[0].kick(id))
	m.heal()
	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	m.nodes[0].do(func(s *Shard) { _, _ = s.Working(m.now, &id, &m.nodes[0].fx) })
	m.pass(10)
	j, _ := m.nodes[1].s.Get(&id)
	require.Zero(t, int(j.Nacks)+int(j.Extra))
	require.EqualValues(t, 2, j.Terms.Generation)
}

// A back-off is that of one node: no other queues the job before, however short
// its RETRY is, and all know when a client queues it elsewhere.
func TestDelayedOnce(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id := m.limited(0, 0, 60)
	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	require.True(t, m.nodes[0].giveBack(id, nil))
	m.pass(53_000)
	require.Zero(t, m.count(id, "queued"))
	m.pass(14_000)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))

	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	require.True(t, m.nodes[1].giveBack(id, &Refusal{Delay: 30}))
	m.pass(29_000)
	require.Zero(t, m.count(id, "queued"))
	m.pass(3_000)
	require.Equal(t, []string{"active", "queued", "active"}, m.states(id))

	require.Equal(t, []string{"b"}, m.nodes[1].take("q", 1))
	require.True(t, m.nodes[1].giveBack(id, &Refusal{Delay: 1000}))
	m.pass(20_000)
	m.nodes[2].do(func(s *Shard) { require.True(t, s.Enqueue(m.now, &id, &m.nodes[2].fx)) })
	m.pass(20_000)
	require.Equal(t, []string{"active", "active", "queued"}, m.states(id))
	for k := range 3 {
		require.False(t, m.terms(id, k).Held, k)
	}

	require.Equal(t, []string{"b"}, m.nodes[2].take("q", 1))
	require.True(t, m.nodes[2].giveBack(id, &Refusal{Delay: 50}))
	m.pass(10)
	m.nodes[2].alive = false // whoever is to queue it is gone
	m.views()
	m.pass(48_000)
	require.Zero(t, m.count(id, "queued"))
	m.pass(10_000)
	require.Equal(t, 1, m.count(id, "queued"))
}

func TestPromoteIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
	m.pass(100)
	m.nodes[1].do(func(s *Shard) { require.True(t, s.Promote(m.now, &id, 7, &m.nodes[1].fx)) })
	m.pass(10)
	for k := range 3 {
		require.EqualValues(t, 7, m.terms(id, k).Priority, k)
	}
	m.nodes[0].do(func(s *Shard) { require.True(t, s.Promote(m.now, &id, 9, &m.nodes[0].fx)) })
	m.pass(10)
	for k := range 3 {
		require.EqualValues(t, 9, m.terms(id, k).Priority, k)
	}
}

// A purge reaches the other holders, and with it what the others have.
func TestPurgeIsTold(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	for k := range 3 {
		for range 5 {
			m.nodes[k].put(m.spec("q", "b", 2, 2, 5))
		}
	}
	m.pass(100)
	n := m.nodes[0]
	n.do(func(*Shard) { require.Positive(t, n.purge("q", Purgeable)) })
	m.pass(5000)
	require.Zero(t, n.s.Jobs())
	left := m.jobs()
	require.Positive(t, left, "what only others have stays")
}

// Nodes of an earlier version are sent nothing that they cannot read: no copy of
// a job with terms, no message about death. A plain job of which they have a copy
// is not delivered by them when it is buried elsewhere.
func TestOldPeer(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.old = map[int]bool{2: true}
	m.views()
	for range 20 {
		spec := m.spec("q", "b", 2, 2, 5)
		spec.Terms = &Terms{Priority: 3, Limit: 2}
		id, _ := m.nodes[0].put(spec)
		m.pass(10)
		require.Equal(t, []string{"queued", "active", ""}, m.states(id))
	}
	m.move("q", 0, 2)
	m.pass(10)
	require.Zero(t, m.nodes[2].s.Jobs())
	m.move("q", 0, 1)
	m.pass(10)
	require.Equal(t, 1, m.nodes[1].s.Len([]byte("q")))

	plain, _ := m.nodes[0].put(m.spec("p", "b", 3, 3, 5))
	m.pass(100)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(plain))
	require.True(t, m.nodes[0].bury(plain))
	m.pass(200_000)
	require.Equal(t, []string{"dead", "dead", "active"}, m.states(plain))
	require.True(t, m.nodes[1].kick(plain))
	m.pass(10)
	require.Equal(t, []string{"active", "queued", "active"}, m.states(plain))
	require.Equal(t, []string{"b"}, m.nodes[1].take("p", 1))
	require.True(t, m.nodes[1].giveBack(plain, &Refusal{Delay: 20, Reason: []byte("x")}))
	m.pass(19_000)
	require.Zero(t, m.count(plain, "queued"))
	m.pass(3_000)
	require.Equal(t, 1, m.count(plain, "queued"))
}
