package cluster

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A node that was started anew does not know its address at first. It is where
// it was, until it says otherwise.
func TestAddressOutlivesSilence(t *testing.T) {
	t.Parallel()
	r, id, now := roster{}, newID(), time.Now()
	host := func() string { return r.members(now)[0].Host }
	m := meta{low: 1, high: 1, epoch: 5, bus: 9, ip: netip.MustParseAddr("127.0.0.3")}
	r.put(id, m, now)
	m.epoch, m.ip = 6, netip.Addr{}
	r.put(id, m, now)
	require.Equal(t, "127.0.0.3", host())
	require.True(t, r[id].bus().IsValid())
	r[id].heard = netip.MustParseAddr("127.0.0.4")
	r.put(id, m, now)
	require.Equal(t, "127.0.0.4", host(), "heard by a link")
	m.ip = netip.MustParseAddr("127.0.0.5")
	r.put(id, m, now)
	require.Equal(t, "127.0.0.5", host())
}

// What a node has to say of itself comes through though the word of it was lost.
func TestWordIsSaidAgain(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2)
	mesh(t, nodes)
	a, b := nodes[0], nodes[1]
	b.mu.Lock()
	b.leaving = true // nobody announces it
	b.mu.Unlock()
	eventually(t, "said again", func() bool { m, _ := a.find(b.id()); return m.Leaving })
}
