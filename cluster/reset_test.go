package cluster

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestForget(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	a, b, c := nodes[0], nodes[1], nodes[2]
	id := c.id()
	require.ErrorIs(t, a.Forget(a.id()), ErrSelf)
	require.ErrorIs(t, a.Forget(newID()), ErrUnknown)
	require.NoError(t, a.Forget(id))
	require.ErrorIs(t, a.Forget(id), ErrUnknown)
	_, err := a.Dial(t.Context(), id)
	require.ErrorIs(t, err, ErrUnknown)
	a.Heard(id, "127.0.0.9", 1, 1)
	eventually(t, "saved", func() bool { return len(a.ident.Peers()) == 1 })
	require.NoError(t, c.SetLeaving(true)) // gossip about it
	eventually(t, "gossip came", func() bool { m, _ := b.find(id); return m.Leaving })
	_, ok := a.find(id)
	require.False(t, ok)
	require.Len(t, b.Members(), 3)

	a.meet(c)
	eventually(t, "met again", func() bool { return meshed(nodes) })
	require.NoError(t, a.Forget(id))
	c.meet(a)
	eventually(t, "met from there", func() bool { return meshed(nodes) })
}

// A forgotten life stays hidden; a new one is hidden for a minute; the dead are
// dropped after one.
func TestForgetAndTime(t *testing.T) {
	t.Parallel()
	r, id, now := roster{}, newID(), time.Now()
	m := meta{low: 1, high: 1, epoch: 5}
	r.put(id, m, now)
	r.hide(id, false, 0, now)
	r.put(id, m, now)
	r.age(now.Add(time.Hour), time.Second)
	require.Empty(t, r.members(now.Add(time.Hour)), "the same life")
	m.epoch = 6
	r.put(id, m, now)
	require.Empty(t, r.members(now.Add(forgetTime-1)))
	require.Len(t, r.members(now.Add(forgetTime)), 1)
	r.age(now.Add(forgetTime), time.Second)
	require.False(t, r[id].hidden)

	r.hide(id, false, 0, now)
	r.lose(id, now)
	r.age(now.Add(forgetTime-1), time.Second)
	require.Len(t, r, 1)
	r.age(now.Add(forgetTime), time.Second)
	require.Empty(t, r)

	r.put(id, m, now)
	r.hide(id, true, 0, now)
	r.meet(id, m.epoch)
	require.Empty(t, r.members(now), "a late word of the life that left")
	m.epoch = 7
	r.put(id, m, now)
	require.Len(t, r.members(now), 1, "it left by itself and came back")

	for range membersMax {
		r.hide(newID(), true, 0, now)
	}
	require.Len(t, r, membersMax)
	require.False(t, r.room(newID()))
	require.True(t, r.room(id))
}

func TestResetHard(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	a, rest := nodes[0], nodes[1:]
	was := a.id()
	start := time.Now()
	require.NoError(t, a.Reset(true))
	t.Logf("reset took %v", time.Since(start))
	require.NotEqual(t, was, a.id())
	require.Equal(t, a.id(), a.ident.ID())
	require.Len(t, a.Members(), 1)
	require.Empty(t, a.ident.Peers())
	eventually(t, "the others forgot it at once", func() bool { return meshed(rest) })
	t.Logf("forgotten after %v", time.Since(start))

	// The others gossip, among themselves and to it; that changes nothing.
	require.NoError(t, rest[0].SetLeaving(true))
	eventually(t, "seen", func() bool { m, _ := rest[1].find(rest[0].id()); return m.Leaving })
	g := rest[0].gossip.Load()
	require.NoError(t, g.join(netip.AddrPortFrom(loopback(1), uint16(a.BusPort()))), "it answers, but does not listen")
	require.Len(t, a.Members(), 1)
	eventually(t, "it is nobody's member", func() bool { return meshed(rest) })

	rest[1].meet(a)
	eventually(t, "met", func() bool { return meshed(nodes) })
	for _, n := range rest {
		_, ok := n.find(was)
		require.False(t, ok)
	}
}

func TestResetSoft(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	a, rest := nodes[0], nodes[1:]
	was := a.id()
	require.NoError(t, a.Reset(false))
	require.Equal(t, was, a.id())
	require.Len(t, a.Members(), 1)
	eventually(t, "the others forgot it", func() bool { return meshed(rest) })
	a.meet(rest[0])
	eventually(t, "met", func() bool { return meshed(nodes) })
	require.NoError(t, a.Reset(false))
	eventually(t, "forgotten again", func() bool { return meshed(rest) })
	rest[1].meet(a)
	eventually(t, "met again", func() bool { return meshed(nodes) })
}

// What the reference's suite does before every unit.
func TestResetAllAndMeet(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 5)
	mesh(t, nodes)
	for _, n := range nodes {
		require.NoError(t, n.Reset(true))
		n.timeout.Store(int64(3 * time.Second))
	}
	mesh(t, nodes)
	for _, n := range nodes {
		require.Zero(t, n.log.count("node failed"), "%s", &n.log.text)
	}
}

func TestResetThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2)
	mesh(t, nodes)
	a := nodes[0]
	was := a.id()
	a.ident.mu.Lock()
	path := a.ident.path
	a.ident.path = a.dir + "/no/such/nodes.conf"
	a.ident.mu.Unlock()
	require.Error(t, a.Reset(true))
	require.Equal(t, was, a.id())
	require.True(t, meshed(nodes), "nothing has happened")
	require.Error(t, a.SetLeaving(true))
	require.False(t, a.Members()[0].Leaving)
	a.ident.mu.Lock()
	a.ident.path = path
	a.ident.mu.Unlock()
	a.stop()
	require.ErrorIs(t, a.Reset(false), ErrClosed)
	require.ErrorIs(t, a.Meet("127.0.0.1", 1, 0), ErrClosed)
}

// What was forgotten is not heard of again by a node that restarts, though others
// still take it for alive.
func TestForgetOutlivesARestart(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	a, b, c := nodes[0], nodes[1], nodes[2]
	id := c.id()
	c.stop()
	require.NoError(t, a.Forget(id))
	require.NoError(t, a.Save())
	a.stop()
	a.start()
	eventually(t, "back", func() bool { return a.sees(b.id()) && b.sees(a.id()) })
	require.True(t, b.sees(id), "b was not told")
	require.Never(t, func() bool { _, ok := a.find(id); return ok }, 500*time.Millisecond, testPoll)
}
