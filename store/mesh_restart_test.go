package store

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// relog makes node n of a mesh anew from the log that records are.
func relog(n *meshNode, trust Trust, records ...[]byte) {
	n.start()
	for _, rec := range records {
		require.NoError(n.t, n.s.Replay(rec, 1))
	}
	n.s.Attach(1, 1)
	var sum Settled
	for pos := int64(0); pos >= 0; {
		pos = n.s.Settle(n.m.now, pos, 100, trust, &n.fx, &sum)
	}
	n.m.views()
	n.post()
	n.check()
}

// image returns records of all that a node knows.
func image(n *meshNode) (records [][]byte) {
	n.s.Attach(1, 1)
	var fx Effects
	n.s.Rewrite(0, 1e6, 2, 1<<30, &fx)
	from := 0
	for _, end := range fx.Journal.Ends {
		records = append(records, append([]byte(nil), fx.Journal.Buf[from:end]...))
		from = end
	}
	n.s.Detach()
	return records
}

// An acknowledged job of a log that knows no holders (an older version's) has
// nobody to be told: it is gone, and no message or command stumbles over it.
func TestAckedWithoutHolders(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	sp := m.spec("q", "b", 2, 2, 300)
	job := &Job{ID: sp.ID, Queue: "q", State: Acked, Repl: 2, Retry: 300, Created: t0 * 1e6, Expires: t0 + 1e6}
	relog(n, Trust{Complete: true}, AppendJob([]byte{recPut, 0}, job))
	n.ack(sp.ID)
	n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgSetAck, ID: sp.ID}, &n.fx) })
	n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgGotAck, Flags: FlagKnown, ID: sp.ID}, &n.fx) })
	m.pass(10_000)
	require.Zero(t, m.jobs())
}

// The duty to spread a job goes on after a restart, also if nobody was there to
// take a copy before it.
func TestDutyOfTheLoneSurvivesRestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[0]
	m.nodes[1].alive, m.nodes[2].alive = false, false
	m.views()
	id, waits := n.put(m.spec("q", "b", 3, 1, 300))
	require.False(t, waits)
	relog(n, Trust{Complete: true}, image(n)...)
	require.Equal(t, "queued", m.states(id)[0], "it need not wait for anybody")
	m.nodes[1].alive, m.nodes[2].alive = true, true
	m.views()
	m.pass(6000)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
}

// An at-most-once job that other nodes were told of, was queued here and never
// delivered, is queued again after a clean restart (bug B4 of the reference).
func TestQueuedOnceSurvivesRestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	sp := m.spec("q", "once", 1, 1, 0)
	sp.External = true
	id, _ := m.nodes[0].put(sp)
	m.pass(5)
	require.Equal(t, []string{"", "queued"}, m.states(id))
	n := m.nodes[1]
	relog(n, Trust{Complete: true}, image(n)...)
	m.pass(10_000)
	require.Equal(t, []string{"once"}, n.take("q", 1))
}

// Who was asked to take a copy by a leaving node hears of its acknowledgement.
func TestDrainTellsWhoWasAsked(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "b", 1, 1, 5))
	n.s.view.Leaving = true
	m.views()
	n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	require.Equal(t, []string{"b"}, n.take("q", 1)) // before the answer
	n.ack(id)
	m.pass(20_000)
	require.Empty(t, m.nodes[1].take("q", 1), "it was acknowledged, and no message was lost")
	require.Zero(t, m.jobs())
}

// A leaving node keeps what a consumer has, also if nobody else holds it.
func TestDrainKeepsLoneLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "b", 1, 1, 60))
	require.Len(t, n.take("q", 1), 1)
	n.s.view.Leaving = true
	m.views()
	n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	m.pass(100)
	require.Equal(t, []string{"active", ""}, m.states(id))
	n.ack(id)
	require.Zero(t, m.jobs())
}

// A job that was being handed over when it was given away, and that comes back, is
// handed over again.
func TestDrainAfterRefusal(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "once", 1, 1, 0))
	n.s.view.Leaving = true
	m.views()
	m.part([]int{0}, []int{1, 2})
	n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	n.do(func(s *Shard) {
		_ = s.Receive(m.now, 2, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}, &n.fx)
		_ = s.Receive(m.now, 2, &Message{Kind: MsgRefused, ID: id, Turn: 1}, &n.fx)
	})
	require.Equal(t, "queued", m.states(id)[0])
	m.heal()
	for range 10 {
		m.pass(2500)
		n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	}
	require.Equal(t, "", m.states(id)[0])
	require.Equal(t, 1, m.count(id, "queued"))
}

// A lease that WORKING made is one after a restart, too.
func TestWorkingIsLogged(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[1]
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
	m.pass(5)
	image := image(n)
	n.s.Attach(1, 1)
	n.do(func(s *Shard) {
		_, err := s.Working(m.now, &id, &n.fx)
		require.NoError(t, err)
		image = append(image, append([]byte(nil), n.fx.Journal.Buf...))
	})
	relog(n, Trust{Complete: true}, image...)
	h := n.s.index.find(&id)
	require.True(t, n.s.slots.copies(h).leased(n.s.slots.get(h), m.now))
}

// What a consumer of a node has is not queued there because another node hands
// it over.
func TestEnqueueRespectsLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[1]
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
	m.pass(5)
	n.do(func(s *Shard) { require.True(t, s.Enqueue(m.now, &id, &n.fx)) })
	require.Equal(t, []string{"b"}, n.take("q", 1))
	n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgEnqueue, ID: id}, &n.fx) })
	require.Empty(t, n.take("q", 1))
}

// A lease that ends when a node that starts would have asked its peers lasts as long as it
// was granted for.
func TestLeaseOutlastsRestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	var ids []ID
	for range 50 {
		id, _ := n.put(m.spec("q", "b", 2, 2, 10))
		ids = append(ids, id)
	}
	m.pass(50)
	began := m.now
	require.Len(t, n.take("q", len(ids)), len(ids))
	records := image(n)
	n.alive = false
	m.views()
	m.pass(10_000 - rejoin + 20)
	n.alive = true
	relog(n, Trust{Complete: true}, records...)
	m.pass(began + 9_999 - m.now)
	for i := range ids {
		require.NotEqual(t, "queued", m.states(ids[i])[0])
	}
}
