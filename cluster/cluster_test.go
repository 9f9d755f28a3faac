package cluster

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMeetOfTwo(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, nil), startNode(t, nil)
	require.Empty(t, a.Members()[0].Host, "nobody has told it")
	require.True(t, a.Members()[0].Self)
	a.meet(b)
	took := eventually(t, "both see each other", func() bool { return meshed([]*testNode{a, b}) })
	t.Logf("two after %v", took)
	require.Less(t, took, 5*time.Second)
	require.Equal(t, Member{ID: a.id(), Host: "127.0.0.1", Port: a.options.ClientPort, BusPort: a.BusPort(), Version: 1}, b.Members()[1])
	require.Equal(t, "127.0.0.1", a.Members()[0].Host)
	eventually(t, "told", func() bool { return a.changes.Load() > 0 && b.changes.Load() > 0 })
	sent, received := a.Stats()
	require.Positive(t, sent)
	require.Positive(t, received)
}

func TestMeshOfSeven(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 7)
	mesh(t, nodes)
	require.True(t, sorted(ids(nodes[0].Members()[1:])))
}

// A node that dies is failed after about cluster-node-timeout, and comes back
// under its id with another address.
func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	victim, rest := nodes[2], nodes[:2]
	id, port := victim.id(), victim.BusPort()
	victim.stop()
	start := time.Now()
	for _, n := range rest {
		eventually(t, "failed", func() bool { m, ok := n.find(id); return ok && m.Failed })
		t.Logf("failed after %v", time.Since(start))
	}
	took := time.Since(start)
	require.Greater(t, took, testTimeout*8/10)
	require.Less(t, took, testTimeout*4)
	eventually(t, "logged", func() bool { return rest[0].log.count("node failed") > 0 })

	hold := newNode(t, func(o *Options) { o.BusPort = port }).start() // so that it has to be another
	start = time.Now()
	victim.start()
	require.NotEqual(t, port, victim.BusPort())
	eventually(t, "back", func() bool { return meshed(nodes) })
	t.Logf("back after %v", time.Since(start))
	require.Less(t, time.Since(start), 10*time.Second)
	for _, n := range rest {
		m, _ := n.find(id)
		require.Equal(t, victim.BusPort(), m.BusPort)
	}
	hold.stop()
}

// One that restarts before anybody noticed comes back with another address at
// once, too.
func TestQuickRestartElsewhere(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	for _, n := range nodes {
		n.timeout.Store(int64(time.Minute))
	}
	mesh(t, nodes)
	victim := nodes[0]
	id, port := victim.id(), victim.BusPort()
	eventually(t, "saved", func() bool { return len(victim.ident.Peers()) == 2 })
	victim.stop()
	newNode(t, func(o *Options) { o.BusPort = port }).start()
	start := time.Now()
	victim.start()
	eventually(t, "moved", func() bool {
		for _, n := range nodes[1:] {
			if m, _ := n.find(id); m.BusPort != victim.BusPort() || m.Failed {
				return false
			}
		}
		return meshed(nodes)
	})
	t.Logf("moved after %v", time.Since(start))
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestLeavingIsSeen(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	id := nodes[0].id()
	require.NoError(t, nodes[0].SetLeaving(true))
	require.True(t, nodes[0].Members()[0].Leaving)
	for _, n := range nodes[1:] {
		eventually(t, "leaving", func() bool { m, _ := n.find(id); return m.Leaving })
	}
	nodes[0].stop()
	nodes[0].start()
	require.True(t, nodes[0].Members()[0].Leaving, "it is on disk")
	require.NoError(t, nodes[0].SetLeaving(false))
	for _, n := range nodes[1:] {
		eventually(t, "not leaving", func() bool { m, ok := n.find(id); return ok && !m.Leaving && n.sees(id) })
	}
}

// A change of cluster-node-timeout makes memberlist anew; nobody is lost.
func TestTimeoutChanges(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	for _, n := range nodes {
		n.timeout.Store(int64(testTimeout / 2))
	}
	for _, n := range nodes {
		eventually(t, "anew", func() bool { return n.gossip.Load().timeout == testTimeout/2 })
	}
	eventually(t, "whole", func() bool { return meshed(nodes) })
	for _, n := range nodes {
		require.Zero(t, n.log.count("node failed"))
	}
	id := nodes[2].id()
	start := time.Now()
	nodes[2].stop()
	eventually(t, "failed", func() bool { m, _ := nodes[0].find(id); return m.Failed })
	t.Logf("failed after %v", time.Since(start))
}

// Both halves of a cluster take each other for dead; then the network heals.
func TestPartitionHeals(t *testing.T) {
	t.Parallel()
	var nodes []*testNode
	var halves [2][]netip.Addr
	for i := range 4 {
		ip := loopback(byte(41 + i))
		halves[i/2] = append(halves[i/2], ip)
		nodes = append(nodes, startNode(t, func(o *Options) { o.Bind = []string{ip.String()} }))
	}
	for i, n := range nodes {
		require.Equal(t, halves[i/2][i%2].String(), n.Members()[0].Host, "known from the start")
	}
	require.NoError(t, nodes[0].Meet("127.0.0.42", 1, nodes[1].BusPort()))
	require.NoError(t, nodes[2].Meet("127.0.0.44", 1, nodes[3].BusPort()))
	require.NoError(t, nodes[1].Meet("127.0.0.43", 1, nodes[2].BusPort()))
	eventually(t, "mesh", func() bool { return meshed(nodes) })
	failed := func(n *testNode) (count int) {
		for _, m := range n.Members() {
			if m.Failed {
				count++
			}
		}
		return count
	}
	for i, n := range nodes {
		n.blocked.Store(&halves[1-i/2])
	}
	for _, n := range nodes {
		eventually(t, "the other half failed", func() bool { return failed(n) == 2 })
	}
	for _, n := range nodes {
		n.blocked.Store(nil)
	}
	start := time.Now()
	eventually(t, "healed", func() bool { return meshed(nodes) })
	t.Logf("healed after %v", time.Since(start))
	require.Less(t, time.Since(start), 8*time.Second)
}

// nodes.conf names the peers, so that a cluster that stopped as a whole finds
// itself again.
func TestRejoinFromNodesConf(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 3)
	mesh(t, nodes)
	var lines []string
	for _, n := range nodes {
		n.options.BusPort = n.BusPort()
		eventually(t, "saved", func() bool { return len(n.ident.Peers()) == 2 })
		m := n.Members()[0]
		lines = append(lines, fmt.Sprintf("%s 127.0.0.1:%d@%d noflags 0 0 disconnected\n", m.ID, m.Port, m.BusPort))
	}
	for _, n := range nodes {
		n.stop()
	}
	text, err := os.ReadFile(filepath.Join(nodes[0].dir, "nodes.conf"))
	require.NoError(t, err)
	require.Contains(t, string(text), lines[1])
	require.Contains(t, string(text), lines[2])
	for _, n := range nodes {
		n.start()
	}
	require.Len(t, nodes[0].Members(), 3, "listed from the start")
	start := time.Now()
	eventually(t, "whole", func() bool { return meshed(nodes) })
	t.Logf("whole after %v", time.Since(start))
}

// A node of nodes.conf that does not come fails, and is tried for ever.
func TestSilentPeerFails(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, nil), startNode(t, nil)
	mesh(t, []*testNode{a, b})
	id := b.id()
	eventually(t, "saved", func() bool { return len(a.ident.Peers()) == 1 })
	a.stop()
	b.stop()
	a.start()
	m, ok := a.find(id)
	require.True(t, ok)
	require.False(t, m.Failed, "nobody knows yet")
	eventually(t, "failed", func() bool { m, _ := a.find(id); return m.Failed })
	require.NoError(t, a.Save())
	require.True(t, a.ident.Peers()[0].Failed)
	b.options.BusPort = b.BusPort()
	b.start()
	eventually(t, "back", func() bool { return meshed([]*testNode{a, b}) })
}
