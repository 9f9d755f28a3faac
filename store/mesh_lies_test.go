package store

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// No node can have made a job whose id is all zeros, which stands for no job.
func TestZeroID(t *testing.T) {
	t.Parallel()
	job := &Job{Queue: "", State: Active, Repl: 1, Created: 1, Expires: t0}
	_, err := DecodeJob(AppendJob(nil, job))
	require.ErrorIs(t, err, ErrCorrupt)
	roll := &listRoll{{1}, {2}}
	msg := appendMessage(nil, 0, &Message{Kind: MsgReplJob, Holders: SetOf(0, 1), Job: job}, roll)
	_, err = DecodeMessage(MsgReplJob, msg, roll)
	require.ErrorIs(t, err, ErrCorrupt)
}

// However many holders others claim: what is journalled can be read back.
func TestNoRecordTooManyHolders(t *testing.T) {
	t.Parallel()
	roll := &listRoll{{1}}
	s := NewShard(t0, Limits{Roll: roll})
	s.Attach(1, 1)
	r := &rig{t: t, s: s, now: t0, rnd: rand.New(rand.NewPCG(1, 1))}
	id := r.add(r.spec("q", "b"))
	for i := range 3 {
		var claimed Set
		for k := range mostNodes / 2 {
			var node NodeID
			binary.BigEndian.PutUint32(node[:], uint32(1<<24+i*mostNodes+k))
			*roll = append(*roll, node)
			claimed = claimed.With(uint16(len(*roll) - 1))
		}
		require.NoError(t, s.Receive(t0, 1, &Message{Kind: MsgHolders, ID: id, Holders: claimed}, &r.fx))
	}
	fresh := NewShard(t0, Limits{Roll: roll})
	from := 0
	for _, end := range r.fx.Journal.Ends {
		require.NoError(t, fresh.Replay(r.fx.Journal.Buf[from:end], 1))
		from = end
	}
}

// A statement that is older than what is known of the same node changes nothing,
// whatever it says.
func TestOldHearsay(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 20))
	m.pass(5)
	n := m.nodes[1]
	h := n.s.index.find(&id)
	c := n.s.slots.copies(h)
	say := func(from uint16, k Kind, number uint32, left int64) {
		n.do(func(s *Shard) {
			_ = s.Receive(m.now, from, &Message{Kind: k, ID: id, Who: 1, Number: number, Left: left}, &n.fx)
		})
	}
	say(1, MsgLeased, 9, 3000) // node 0 itself
	require.Equal(t, saidLeased, c.said)
	say(2, MsgQueued, 8, 20_000) // it was queued before
	require.Equal(t, saidLeased, c.said)
	require.LessOrEqual(t, c.until, m.now+3000)
}

// What a node says of itself is newer than what it said before, although it heard
// of other nodes meanwhile: those who hear it second hand believe it.
func TestOwnNumbersGrow(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(5)
	for range 20 { // node 2 hears from node 0 that it has the job queued
		m.nodes[0].do(func(s *Shard) {
			_ = s.Receive(m.now, 2, &Message{Kind: MsgWillQueue, ID: id}, &m.nodes[0].fx)
		})
	}
	m.pass(5)
	m.part([]int{0}, []int{2})
	m.nodes[0].do(func(s *Shard) { s.Dequeue(m.now, &id, &m.nodes[0].fx) })
	say := func(s *Shard) { // and node 0 of another queue
		_ = s.Receive(m.now, 2, &Message{Kind: MsgQueued, Flags: FlagForced, ID: id, Who: 2, Number: 1, Left: 10_000}, &m.nodes[0].fx)
	}
	m.nodes[0].do(say)
	m.nodes[0].do(func(s *Shard) { _, _ = s.Working(m.now, &id, &m.nodes[0].fx) })
	m.pass(5)
	n := m.nodes[1]
	n.do(func(s *Shard) { _ = s.Receive(m.now, 2, &Message{Kind: MsgWillQueue, ID: id}, &n.fx) })
	m.pass(5)
	c := m.nodes[2].s.slots.copies(m.nodes[2].s.index.find(&id))
	who, _ := m.nodes[2].s.limits.Roll.Number(m.nodes[0].id)
	require.Equal(t, who, c.who)
	require.Equal(t, saidLeased, c.said, "node 2 is told that a consumer of node 0 has the job")
}

// Rewrite keeps to its room, however many nodes hold the jobs.
func TestRewriteKeepsToItsRoom(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 40)
	n := m.nodes[0]
	var all Set
	for i := range uint16(40) {
		all = all.With(i)
	}
	for range 20 {
		id, _ := n.put(m.spec("q", "b", 1, 1, 300))
		n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgHolders, ID: id, Holders: all}, &n.fx) })
	}
	n.s.Attach(1, 1)
	const room = 4000
	var fx Effects
	for pos := int64(0); pos >= 0; {
		pos, _ = n.s.Rewrite(pos, 1000, 1, room, &fx)
		require.LessOrEqual(t, len(fx.Journal.Buf), room)
		fx.Journal.Reset()
	}
}

// An at-most-once job that a node only keeps for another one (it was asked to,
// and not told to queue it) is not queued by a command, so that it cannot come
// twice; can be evicted; and can be given to this node.
func TestCopyOfAtMostOnce(t *testing.T) {
	t.Parallel()
	setup := func() (m *mesh, id ID) {
		m = newMesh(t, 3)
		n := m.nodes[0]
		id, _ = n.put(m.spec("q", "once", 1, 1, 0))
		n.s.view.Leaving = true
		m.views()
		m.cut[[2]int{1, 0}], m.cut[[2]int{2, 0}] = true, true
		for range 10 { // both are asked in the end, and their answers are lost
			n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
			m.pass(2500)
		}
		require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
		return m, id
	}
	m, id := setup()
	m.nodes[1].do(func(s *Shard) { require.False(t, s.Enqueue(m.now, &id, &m.nodes[1].fx), "ENQUEUE") })
	m.nodes[1].do(func(s *Shard) { require.False(t, s.Nack(m.now, &id, nil, &m.nodes[1].fx), "NACK") })
	m.nodes[1].do(func(s *Shard) { require.Equal(t, 1, s.Evict(m.now, 10, &m.nodes[1].fx)) })
	m.heal()
	m.pass(1)
	m.nodes[0].do(func(s *Shard) { s.Drain(m.now, 0, 100, &m.nodes[0].fx) })
	m.pass(3000)
	m.nodes[0].do(func(s *Shard) { s.Drain(m.now, 0, 100, &m.nodes[0].fx) })
	m.pass(100)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
	var giver, taker *meshNode
	for i, st := range m.states(id) {
		if st == "queued" {
			giver, taker = m.nodes[i], m.nodes[3-i]
		}
	}
	require.NotZero(t, giver.num)
	copied := m.states(id)[taker.num]
	require.Empty(t, taker.take("q", 1))
	m.pass(100)
	require.Equal(t, []string{"once"}, taker.take("q", 1), "from %d to %d, where it was %q", giver.num, taker.num, copied)
	require.Empty(t, giver.take("q", 1))

	m, id = setup() // a restart knows it too
	n := m.nodes[1]
	relog(n, Trust{Complete: true}, image(n)...)
	n.do(func(s *Shard) { require.False(t, s.Enqueue(m.now, &id, &n.fx)) })
}

// A node that refuses a copy for long (its queue is paused, its memory is short)
// does not keep the job from having its copies elsewhere.
func TestDutyLooksElsewhere(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	for _, n := range m.nodes[1:3] {
		n.do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn, false, &n.fx)) })
	}
	for range 10 {
		id, _ := m.nodes[0].put(m.spec("q", "b", 2, 1, 300))
		m.pass(60_000)
		require.Equal(t, "active", m.states(id)[3])
	}
}

// The acknowledgement of a job that is not known yet is kept while there is no
// room for the job.
func TestDummyOutlivesRefusal(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[2]
	m.part([]int{2}, []int{0, 1})
	id, _ := m.nodes[0].put(m.spec("other", "b", 1, 1, 300))
	n.ack(id)
	n.s.limits.Queues = noQuota{}
	job := m.nodes[0].get(id)
	n.do(func(s *Shard) {
		require.Error(t, s.Receive(m.now, 1, &Message{Kind: MsgReplJob, ID: id, Holders: SetOf(0, 1), Job: &job}, &n.fx))
	})
	_, ok := n.s.Dummy(&id)
	require.True(t, ok)
}

type noQuota struct{}

func (noQuota) Take() bool { return false }
func (noQuota) Give()      {}
