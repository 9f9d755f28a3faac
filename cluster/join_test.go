package cluster

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A name that stands for more and more nodes, as when a service is scaled up,
// with addresses where nobody is, and one's own.
func TestJoinByName(t *testing.T) {
	t.Parallel()
	var known atomic.Int64
	probe := startNode(t, nil)
	port := probe.BusPort() // free on the other loopback addresses, most likely
	var lookups atomic.Int64
	node := func(i int) *testNode {
		n := newNode(t, func(o *Options) {
			o.Bind, o.BusPort = []string{loopback(byte(50 + i)).String()}, port
			o.Join = []string{"nobody.example:7711@" + itoa(port), "disqo.example:7711@" + itoa(port)}
			o.Resolve = func(_ context.Context, host string) (list []netip.Addr, err error) {
				lookups.Add(1)
				if host != "disqo.example" || known.Load() == 0 {
					return nil, errors.New("no such host")
				}
				for i := range known.Load() {
					list = append(list, loopback(byte(50+i)))
				}
				return append(list, loopback(59)), nil
			}
		})
		return n.start()
	}
	nodes := []*testNode{node(0), node(1), node(2)}
	eventually(t, "looked up", func() bool { return lookups.Load() > 6 })
	require.Len(t, nodes[0].Members(), 1)
	known.Store(3)
	took := eventually(t, "three", func() bool { return meshed(nodes) })
	t.Logf("three after %v", took)
	nodes = append(nodes, node(3))
	known.Store(4)
	took = eventually(t, "four", func() bool { return meshed(nodes) })
	t.Logf("four after %v", took)
	require.Equal(t, 1, nodes[0].log.count("nobody.example"), "once a minute")

	id := nodes[3].id()
	require.NoError(t, nodes[3].Reset(true))
	eventually(t, "gone", func() bool { _, ok := nodes[0].find(id); return !ok })
	eventually(t, "and met again by the others, whom the name leads to it", func() bool { return meshed(nodes) })
}

func TestJoinIsRefusedFarAway(t *testing.T) {
	t.Parallel()
	a := startNode(t, func(o *Options) { o.Join = []string{"192.0.2.1"} })
	eventually(t, "refused", func() bool { return a.log.count("set cluster-secret, or cluster-protected-mode no, to talk") == 1 })
	require.Len(t, a.Members(), 1)
}

func TestAdvertise(t *testing.T) {
	t.Parallel()
	var ip atomic.Value
	ip.Store(loopback(1))
	a := startNode(t, func(o *Options) {
		o.Advertise, o.AdvertisePort = "db.example", 4711
		o.Resolve = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{ip.Load().(netip.Addr)}, nil }
	})
	b := startNode(t, func(o *Options) { o.Advertise = "127.0.0.1" })
	require.Equal(t, "127.0.0.1", b.Members()[0].Host)
	eventually(t, "looked up", func() bool { return a.Members()[0].Host == "127.0.0.1" })
	mesh(t, []*testNode{a, b})
	m, _ := b.find(a.id())
	require.Equal(t, 4711, m.Port)
	require.Equal(t, a.BusPort(), m.BusPort)
	a.move(loopback(2)) // as after the next look-up
	start := time.Now()
	eventually(t, "moved", func() bool { m, _ := b.find(a.id()); return m.Host == "127.0.0.2" })
	t.Logf("moved after %v", time.Since(start))
}

// An address that has left the interfaces is replaced by that which leads to
// the others.
func TestAddressLeavesTheInterfaces(t *testing.T) {
	t.Parallel()
	var outside netip.Addr
	for _, ip := range interfaces() {
		if ip.Is4() && !ip.IsLoopback() {
			outside = ip
		}
	}
	if !outside.IsValid() {
		t.Skip("this host has loopback addresses only")
	}
	a := startNode(t, func(o *Options) { o.LoopbackOnly = false })
	a.mu.Lock()
	a.ip = netip.MustParseAddr("192.0.2.9")
	a.peers.put(newID(), meta{low: 1, high: 1, bus: 9, ip: outside}, time.Now())
	a.mu.Unlock()
	eventually(t, "found", func() bool { return a.Members()[0].Host == outside.String() })
	require.True(t, a.own(netip.AddrPortFrom(outside, uint16(a.BusPort()))))
	require.False(t, a.own(netip.AddrPortFrom(outside, 1)))
}
