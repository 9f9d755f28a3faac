package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// Bug B1: the importer is a holder, and its acknowledgement reaches the origin.
func TestImporterIsAHolder(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	for i := range 10 {
		m.nodes[0].put(m.spec("q", fmt.Sprint(i), 1, 1, 5))
	}
	require.Empty(t, m.nodes[1].take("q", 1))
	m.pass(5)
	got := m.nodes[1].take("q", 10)
	require.Equal(t, []string{"0"}, got)
	var id ID
	m.nodes[1].s.ScanJobs(0, 1000, func(j *Job) bool { id = j.ID; return false })
	require.True(t, m.nodes[1].ack(id))
	m.pass(10)
	require.Equal(t, []string{"", "", ""}, m.states(id))
	m.pass(20_000)
	require.Equal(t, []string{"", "", ""}, m.states(id), "never again")
}

// Bug B6: what was acknowledged is not brought back.
func TestYourJobDoesNotRevive(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 300))
	m.pass(5)
	m.part([]int{0}, []int{1, 2})
	m.nodes[1].ack(id)
	m.pass(20)
	require.Equal(t, []string{"queued", "acked", "acked"}, m.states(id))
	m.heal()
	require.Empty(t, m.nodes[1].take("q", 1))
	m.pass(5000)
	require.Empty(t, m.nodes[1].take("q", 1))
	require.Zero(t, m.jobs())
}

// A job that is at most once moves whole, and never comes twice.
func TestMoveOfAtMostOnce(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	id, _ := m.nodes[0].put(m.spec("q", "once", 1, 1, 0))
	require.Empty(t, m.nodes[1].take("q", 1))
	m.pass(5)
	require.Equal(t, []string{"", "queued"}, m.states(id))
	require.Equal(t, []string{"once"}, m.nodes[1].take("q", 1))

	// Refused, it goes back.
	id, _ = m.nodes[0].put(m.spec("p", "once", 1, 1, 0))
	require.Empty(t, m.nodes[1].take("p", 1))
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("p"), PauseIn, false, &m.nodes[1].fx)) })
	m.pass(5)
	require.Equal(t, []string{"queued", ""}, m.states(id))

	// On the way, it may be lost, but is not delivered here.
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("p"), 0, false, &m.nodes[1].fx)) })
	m.pass(5000)
	m.nodes[1].take("p", 1)
	m.pass(1)
	m.part([]int{0}, []int{1})
	m.pass(10_000)
	require.Empty(t, m.nodes[0].take("p", 1))
	m.pass(60_000)
	require.Equal(t, 1, m.jobs(), "what was lost on its way is forgotten; the other was delivered")
}

// Bug B17: a paused queue asks nobody.
func TestPausedQueueImportsNothing(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	m.nodes[0].put(m.spec("q", "b", 1, 1, 300))
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseOut, false, &m.nodes[1].fx)) })
	require.Empty(t, m.nodes[1].take("q", 1))
	require.Zero(t, m.sent[MsgNeedJobs])
}

func TestDrainLosesNoCopy(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	var ids []ID
	for i := range 40 {
		retry, r := 300, 1+i%3
		if i%5 == 0 {
			retry, r = 0, 1
		}
		sp := m.spec("q", fmt.Sprint(i), r, r, retry)
		if i%7 == 0 {
			sp.Delay = 30
		}
		id, _ := m.nodes[0].put(sp)
		ids = append(ids, id)
	}
	m.pass(50)
	m.nodes[0].s.SetView(&View{Leaving: true})
	m.views()
	for range 5 {
		m.nodes[0].do(func(s *Shard) { s.Drain(m.now, 0, 1000, &m.nodes[0].fx) })
		m.pass(20)
	}
	require.Zero(t, m.nodes[0].s.Jobs())
	for i, id := range ids {
		want := 1 + i%3
		if i%5 == 0 {
			want = 1
		}
		require.Equal(t, want, m.count(id, "active")+m.count(id, "queued"), "%d %v", i, m.states(id))
		queued := 1
		if i%7 == 0 {
			queued = 0
		}
		require.Equal(t, queued, m.count(id, "queued"), "%d", i)
	}
	m.pass(31_000)
	for _, id := range ids {
		require.Equal(t, 1, m.count(id, "queued"))
	}
}

// Bug B9: a node that is forgotten holds up no acknowledgement.
func TestForget(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 300))
	m.pass(5)
	m.nodes[2].alive = false
	m.nodes[0].ack(id)
	m.pass(100)
	require.Equal(t, []string{"acked", "acked", "dead"}, m.states(id))
	for _, n := range m.nodes[:2] {
		n.do(func(s *Shard) {
			num, _ := s.limits.Roll.Number(m.nodes[2].id)
			require.EqualValues(t, -1, s.Forget(m.now, num, 0, 1000, &n.fx))
		})
	}
	m.pass(10_000)
	require.Zero(t, m.jobs())
}

func TestFastAckEverywhere(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 300))
	m.pass(5)
	stranger := 0
	for i, st := range m.states(id) {
		if st == "" {
			stranger = i
		}
	}
	n := m.nodes[stranger]
	n.do(func(s *Shard) { require.False(t, s.FastAck(m.now, &id, &n.fx)) })
	m.pass(5)
	require.Zero(t, m.jobs())
}

// A node that waits for jobs of a queue is no reason to look for them in one that
// is not live, as that of a delayed job.
func TestHungryForADelayedJob(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	require.NoError(t, m.nodes[0].s.Receive(m.now, 1, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Flags: FlagWaiting, Count: 1}, &m.nodes[0].fx))
	spec := m.spec("q", "late", 1, 1, 60)
	spec.Delay = 2
	id, _ := m.nodes[0].put(spec)
	m.pass(100)
	require.Equal(t, []string{"active", ""}, m.states(id))
	m.pass(2100)
	require.Equal(t, []string{"active", "queued"}, m.states(id), "given as soon as it can be")
}

// A node that does not take a job, as its queue is paused, may hold a copy of it
// all the same: it hears of the acknowledgement.
func TestRefusedByAHolder(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 30))
	m.pass(5)
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseOut, false, &m.nodes[1].fx)) })
	require.NoError(t, m.nodes[0].s.Receive(m.now, 1, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}, &m.nodes[0].fx))
	m.nodes[0].post()
	m.pass(5)
	require.Equal(t, 1, m.sent[MsgRefused])
	require.Equal(t, []string{"queued", "active"}, m.states(id))
	require.True(t, m.nodes[0].ack(id))
	m.pass(5)
	require.Equal(t, []string{"", ""}, m.states(id))
}

// A job that was given to a node on its way there when it is acknowledged, here
// and elsewhere, does not come back: that others are done with it is no reason to
// forget it.
func TestGiftOnItsWayIsCollected(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.slow = map[[2]int]int64{{0, 2}: 0}
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 30))
	m.pass(5)
	m.slow[[2]int{0, 2}] = 400
	require.NoError(t, m.nodes[0].s.Receive(m.now, 2, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}, &m.nodes[0].fx))
	m.nodes[0].post()
	require.True(t, m.nodes[2].ack(id))
	require.True(t, m.nodes[1].ack(id))
	m.pass(10_000)
	require.Equal(t, []string{"", "", ""}, m.states(id))
	require.Zero(t, m.jobs())
}

// An at-most-once job that is given away as soon as it may be is forgotten here in
// time.
func TestGivenAtOnce(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	require.NoError(t, m.nodes[0].s.Receive(m.now, 1, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Flags: FlagWaiting, Count: 1}, &m.nodes[0].fx))
	m.nodes[0].put(m.spec("q", "b", 2, 2, 0))
	m.pass(2)
	m.cut = map[[2]int]bool{{1, 0}: true} // it does not say that it took it
	m.pass(movedKept + 10)
	require.Zero(t, m.nodes[0].s.Jobs())
}
