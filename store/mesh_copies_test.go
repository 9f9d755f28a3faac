package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSynchronousReplication(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	id, waits := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
	require.True(t, waits)
	require.Equal(t, "wait-repl", m.states(id)[0])
	m.pass(2)
	require.NoError(t, m.nodes[0].added[id])
	require.Contains(t, m.nodes[0].added, id)
	require.Equal(t, "queued", m.states(id)[0])
	require.Equal(t, 2, m.count(id, "active"))
	require.Equal(t, 2, m.sent[MsgReplJob])
	require.Equal(t, 2, m.sent[MsgGotJob])

	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	clear(m.sent)
	require.True(t, m.nodes[0].ack(id))
	m.pass(10)
	require.Zero(t, m.jobs())
	require.Equal(t, map[Kind]int{MsgSetAck: 2, MsgGotAck: 2, MsgDelJob: 2}, m.sent, "an ACK costs 3(R-1), and no broadcast")
}

func TestOneMoreNode(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	m.nodes[1].alive = false // and nobody knows yet
	for range 20 {
		id, waits := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
		require.True(t, waits)
		m.pass(80)
		require.Contains(t, m.nodes[0].added, id)
	}
}

func TestDutyGoesOn(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.nodes[2].alive = false
	m.views()
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 2, 300))
	m.pass(2)
	require.Contains(t, m.nodes[0].added, id)
	m.pass(60_000)
	require.Equal(t, []string{"queued", "active", "dead"}, m.states(id))
	require.Less(t, m.sent[MsgReplJob], 5, "nobody is asked in vain")
	m.nodes[2].alive = true
	m.views()
	m.pass(5000)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
	clear(m.sent)
	m.pass(100_000)
	require.Empty(t, m.sent, "the duty is done")
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.part([]int{0}, []int{2})
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
	m.pass(500)
	require.Equal(t, "active", m.states(id)[1])
	m.nodes[0].do(func(s *Shard) {
		n, silent, ok := s.GiveUp(m.now, &id, &m.nodes[0].fx)
		require.True(t, ok)
		require.Equal(t, 2, n)
		require.Equal(t, SetOf(2), silent)
	})
	m.pass(10)
	require.Equal(t, []string{"acked", "acked", ""}, m.states(id), "who missed it is told when it is back")
	m.heal()
	m.pass(5000)
	require.Zero(t, m.jobs())
}

// Bug B5 of the reference.
func TestAckWhileItSpreads(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.part([]int{0}, []int{1, 2})
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 5))
	m.nodes[0].ack(id)
	require.NoError(t, m.nodes[0].added[id])
	require.Contains(t, m.nodes[0].added, id)
	m.heal()
	m.pass(5000)
	require.Zero(t, m.jobs())
}

func TestExternal(t *testing.T) {
	t.Parallel()
	for _, retry := range []int{0, 5} { // bug B2: RETRY 0 is not lost
		for _, delay := range []uint32{0, 3} {
			m := newMesh(t, 4)
			sp := m.spec("q", "b", 1, 1, retry)
			sp.External, sp.Delay = true, delay
			id, waits := m.nodes[0].put(sp)
			require.True(t, waits)
			m.pass(2)
			require.Contains(t, m.nodes[0].added, id)
			m.pass(2)
			require.Equal(t, "", m.states(id)[0])
			if delay > 0 {
				require.Zero(t, m.count(id, "queued"))
				m.pass(3000)
			}
			require.Equal(t, 1, m.count(id, "queued"), "retry %d, delay %d: %v", retry, delay, m.states(id))
		}
	}
}

// A consumer has its whole RETRY, whatever the copies think; then the job comes
// again, once.
func TestLeaseIsRespected(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(25_000) // it waits in the queue, and its copies do not queue it
	require.Equal(t, 1, m.count(id, "queued"))
	require.Equal(t, 2, m.count(id, "active"))
	m.pass(4000)
	require.Len(t, m.nodes[0].take("q", 1), 1)
	m.pass(9900)
	require.Equal(t, 3, m.count(id, "active"), m.states(id))
	m.pass(200)
	require.Equal(t, 1, m.count(id, "queued"))
	require.Equal(t, "queued", m.states(id)[0], "by who delivered it")
	m.pass(30_000)
	require.Equal(t, 1, m.count(id, "queued"))
}

func TestQueuerDies(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(10)
	m.nodes[0].alive = false
	m.pass(11_000)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
	for _, n := range m.nodes[1:] {
		if j, ok := n.s.Get(&id); ok && j.State == Queued {
			require.EqualValues(t, 1, j.Extra)
		}
	}
}

// The three cases of leases without bound, or lost.

// First: what two holders heard of a lease they tell each other; without its
// node it ends all the same.
func TestHeardLeaseEnds(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	id, _ := m.nodes[0].put(m.spec("q", "b", 4, 4, 20))
	m.pass(5)
	m.nodes[0].take("q", 1)
	m.pass(19_800) // the copies have asked, and know of the lease
	m.nodes[0].alive = false
	m.pass(25_000)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// A holder that cannot hear the deliverer hears of the lease from another.
func TestLeaseIsPassedOn(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(6000)
	m.nodes[0].take("q", 1) // until 16,000
	m.pass(1000)
	m.nodes[0].do(func(s *Shard) { // the other one knows of it
		s.sayLeased(m.now, s.index.find(&id), SetOf(1), MsgLeased, &m.nodes[0].fx)
	})
	m.part([]int{0}, []int{2})
	m.pass(7500)
	require.Zero(t, m.count(id, "queued"), m.states(id))
}

// Second: a queue that is paused makes no lease: nobody waits for it longer than
// the RETRY of the copies.
func TestPauseIsNoLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(5)
	m.nodes[0].take("q", 1)
	m.nodes[0].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn, false, &m.nodes[0].fx)) })
	m.pass(9000)
	require.Zero(t, m.count(id, "queued"))
	m.pass(3000) // the lease is over; node 0 cannot queue the job, the others can
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// Third: a deliverer that forgot the lease does not answer for it.
func TestForgottenLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(5)
	m.nodes[0].take("q", 1)
	m.nodes[0].start()
	m.views()
	m.pass(11_500)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// QUEUED of a node that is gone is passed on for one RETRY, no longer.
func TestQueuedIsPassedOnForOneRetry(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id, _ := m.nodes[0].put(m.spec("q", "b", 5, 5, 10))
	m.pass(10_200) // the copies were told just now
	m.nodes[0].alive = false
	m.pass(12_000)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

func TestWorkingAndNack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 4))
	m.pass(5)
	for range 8 { // bug B16 apart, nobody queues it meanwhile
		m.nodes[1].do(func(s *Shard) {
			_, err := s.Working(m.now, &id, &m.nodes[1].fx)
			require.NoError(t, err)
		})
		m.pass(1000)
		require.Zero(t, m.count(id, "queued"), m.states(id))
	}
	m.nodes[2].do(func(s *Shard) { require.True(t, s.Nack(m.now, &id, nil, &m.nodes[2].fx)) })
	m.pass(10)
	require.Equal(t, []string{"active", "active", "queued"}, m.states(id))
	for _, n := range m.nodes {
		j, _ := n.s.Get(&id)
		require.EqualValues(t, 1, j.Nacks)
	}
}

// Acknowledged by a node that does not know the job: its maker is asked first.
func TestDummyAck(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 300))
	m.pass(5)
	stranger := 0
	for i, st := range m.states(id) {
		if st == "" {
			stranger = i
		}
	}
	clear(m.sent)
	require.False(t, m.nodes[stranger].ack(id))
	m.pass(20)
	require.Zero(t, m.jobs())
	require.Equal(t, map[Kind]int{MsgSetAck: 2, MsgGotAck: 2, MsgDelJob: 1}, m.sent)

	gone, _ := m.nodes[0].put(m.spec("q", "b", 1, 1, 300))
	m.nodes[0].start()
	m.views()
	m.nodes[2].ack(gone)
	m.pass(20)
	require.Zero(t, m.jobs(), "nobody knows it, and all were asked")
}

// An acknowledgement reaches a holder that was away, whoever it came from.
func TestAckReachesAllHolders(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id, _ := m.nodes[0].put(m.spec("q", "b", 4, 4, 300))
	m.pass(5)
	m.nodes[0].alive = false
	other := 1
	for ; m.states(id)[other] != "active"; other++ {
	}
	m.nodes[other].ack(id)
	m.pass(2000)
	require.Equal(t, 3, m.count(id, "acked"))
	m.nodes[0].alive = true
	m.pass(10_000)
	require.Zero(t, m.jobs())
}

// A copy that is on its way when its job is acknowledged elsewhere, and collected,
// does not bring it back: what its sender says comes after it.
func TestCopyOnItsWayIsCollected(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	m.slow = map[[2]int]int64{{0, 2}: 40, {0, 3}: 400}
	id, _ := m.nodes[0].put(m.spec("q", "b", 4, 2, 30))
	m.pass(5)
	require.True(t, m.nodes[1].ack(id))
	m.pass(300)
	require.Equal(t, "", m.states(id)[3])
	m.pass(10_000)
	require.Equal(t, []string{"", "", "", ""}, m.states(id))
	require.Zero(t, m.jobs())
}

// Nobody queues a job whose producer waits for more copies than there are.
func TestHolderWaitsForTheOrigin(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.nodes[2].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn, false, &m.nodes[2].fx)) })
	id, waits := m.nodes[0].put(m.spec("q", "b", 3, 3, 2))
	require.True(t, waits)
	m.pass(10_000)
	require.Equal(t, []string{"wait-repl", "active", ""}, m.states(id))
	m.nodes[2].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), 0, false, &m.nodes[2].fx)) })
	m.pass(1200)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
}
