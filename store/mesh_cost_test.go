package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A consumer that has waited for long gets a job that comes up at another node at
// once, not when its node next asks.
func TestHungryNodeIsFed(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n, w := m.nodes[1], &blocked{}
	n.do(func(s *Shard) {
		_, err := s.Block(m.now, []byte("q"), w, &n.fx)
		require.NoError(t, err)
	})
	for range 1000 {
		m.pass(100)
		n.do(func(s *Shard) { s.WantForWaiters(m.now, &n.fx) })
	}
	require.False(t, w.claimed)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 300))
	m.pass(5)
	require.Equal(t, id, w.id)
	id, _ = m.nodes[2].put(m.spec("q", "c", 1, 1, 300))
	m.pass(1000)
	require.Equal(t, "queued", m.states(id)[1], "it had asked there, too")
}

// What a job costs in messages, at 3 nodes and at 100: no more than with the
// reference, whose figures are in the comments.
func TestMessagesPerJob(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{3, 100} {
		m := newMesh(t, nodes)
		const jobs = 200
		for i := range jobs {
			n := m.nodes[m.rnd.IntN(nodes)]
			id, _ := n.put(m.spec("q", fmt.Sprint(i), 3, 2, 30))
			m.pass(3)
			require.Len(t, n.take("q", 1), 1)
			require.True(t, n.ack(id))
			m.pass(5)
		}
		require.Zero(t, m.jobs())
		want := map[Kind]int{
			MsgReplJob: 2 * jobs, MsgGotJob: 2 * jobs, // 2(R-1)
			MsgSetAck: 2 * jobs, MsgGotAck: 2 * jobs, MsgDelJob: 2 * jobs, // 3(R-1), and no broadcast
		}
		require.Equal(t, want, m.sent, "%d nodes", nodes)

		// A job that waits in a queue: one round of questions each RETRY. The
		// reference: WILLQUEUE of the first copy that asks and QUEUED.
		clear(m.sent)
		m.nodes[0].put(m.spec("q", "waits", 3, 3, 30))
		m.pass(10)
		clear(m.sent)
		m.pass(300_000)
		require.LessOrEqual(t, m.sent[MsgWillQueue], 11*2)
		require.LessOrEqual(t, m.sent[MsgQueued], 11*2)
		require.Len(t, m.sent, 2, "%d nodes: %v", nodes, m.sent)
		t.Log(nodes, "nodes, 300 s in the queue, RETRY 30:", m.sent)
	}
}

// A consumer that waits at a node without jobs asks with back-off: the reference
// sends N-1 NEEDJOBS at 0, 4, 12, 28 s and every 30 s from then on.
func TestMessagesOfAnIdleConsumer(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{3, 100} {
		m := newMesh(t, nodes)
		n := m.nodes[1]
		n.do(func(s *Shard) {
			_, err := s.Block(m.now, []byte("q"), &blocked{}, &n.fx)
			require.NoError(t, err)
		})
		for range 3000 {
			m.pass(100)
			n.do(func(s *Shard) { s.WantForWaiters(m.now, &n.fx) })
		}
		require.LessOrEqual(t, m.sent[MsgNeedJobs], 13*(nodes-1), "in 300 s")
	}
}
