package cluster

import (
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/cluster/crowd"
)

func (n *testNode) connect() net.Conn {
	n.t.Helper()
	nc, err := net.Dial("tcp", netip.AddrPortFrom(loopback(1), uint16(n.BusPort())).String())
	require.NoError(n.t, err)
	n.t.Cleanup(func() { _ = nc.Close() })
	require.NoError(n.t, nc.SetDeadline(time.Now().Add(testWait)))
	return nc
}

// Whatever comes to the port, the cluster lives.
func TestGarbageOnTheBus(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2)
	mesh(t, nodes)
	a := nodes[0]
	for first := range 256 {
		nc := a.connect()
		junk := make([]byte, 64)
		_, _ = rand.Read(junk)
		junk[0] = byte(first)
		if first%2 == 0 && first != byteTLS && first != byteLink {
			junk = append(head(a.id()), junk...)
		}
		_, err := nc.Write(junk)
		require.NoError(t, err)
		if first == byteLink {
			link := <-a.links
			got := make([]byte, len(junk))
			_, err := io.ReadFull(link, got)
			require.NoError(t, err)
			require.Equal(t, junk, got, "with its first byte")
			require.NoError(t, link.Close())
		}
		_ = nc.(*net.TCPConn).CloseWrite() // may be closed already
		_, _ = io.Copy(io.Discard, nc)     // ends, by whatever means
	}
	udp, err := net.Dial("udp", netip.AddrPortFrom(loopback(1), uint16(a.BusPort())).String())
	require.NoError(t, err)
	defer udp.Close()
	for i := range 2000 {
		junk := make([]byte, 1+i%1400)
		_, _ = rand.Read(junk)
		junk[0] = byte(i)
		if i%4 == 0 {
			junk = append(head(a.id()), junk...)
		}
		_, _ = udp.Write(junk)
	}
	c := startNode(t, nil)
	a.meet(c)
	all := append(nodes, c)
	eventually(t, "still a cluster", func() bool { return meshed(all) })
}

// Connections that say nothing are few, and closed after a while.
func TestUndecidedAreBounded(t *testing.T) {
	t.Parallel()
	a := startNode(t, nil)
	start := time.Now()
	first, second := a.connect(), a.connect()
	for range undecidedHostMax - 2 {
		a.connect()
	}
	eventually(t, "all in", func() bool { return a.bus.undecided.Taken() == undecidedHostMax })
	link := a.connect()
	_, err := first.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF, "the oldest is one too many")
	require.Less(t, time.Since(start), a.bus.decideTime)
	_, err = link.Write([]byte{byteLink})
	require.NoError(t, err)
	require.NoError(t, (<-a.links).Close(), "who speaks gets in")
	_, err = second.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.GreaterOrEqual(t, time.Since(start), a.bus.decideTime)
	eventually(t, "all out", func() bool {
		a.bus.mu.Lock()
		defer a.bus.mu.Unlock()
		return a.bus.undecided.Taken() == 0 && len(a.bus.open) == 0
	})
}

func TestStreamIsBounded(t *testing.T) {
	t.Parallel()
	a := startNode(t, nil)
	here, there := net.Pipe()
	s, err := a.bus.stream(here, []byte("x"), false)
	require.NoError(t, err)
	go func() { _, _ = there.Write([]byte("yz")) }()
	s.left = 3
	got := make([]byte, 3)
	_, err = io.ReadFull(s, got)
	require.NoError(t, err)
	require.Equal(t, "xyz", string(got))
	_, err = s.Read(got)
	require.ErrorIs(t, err, errStreamLong)
	require.NoError(t, s.Close())
	_ = s.Close()
	require.Zero(t, a.bus.streams)
	a.bus.streams = streamsMax
	_, err = a.bus.stream(here, nil, false)
	require.ErrorIs(t, err, errStreams)
	a.bus.streams = 0
	for range streamsHostMax + 1 { // of others the oldest goes
		here, _ = net.Pipe()
		s, err = a.bus.stream(here, nil, true)
		require.NoError(t, err)
	}
	require.Equal(t, streamsHostMax, a.bus.inbound.Taken())
	require.NoError(t, s.Close())
	require.Equal(t, streamsHostMax-1, a.bus.inbound.Taken())
}

func TestDialALink(t *testing.T) {
	t.Parallel()
	a := startNode(t, func(o *Options) { o.Bind = []string{"127.0.0.31"} })
	b := startNode(t, func(o *Options) { o.Bind = []string{"127.0.0.32"} })
	require.NoError(t, a.Meet("127.0.0.32", 7711, b.BusPort()))
	eventually(t, "mesh", func() bool { return meshed([]*testNode{a, b}) })
	_, err := a.Dial(t.Context(), newID())
	require.ErrorIs(t, err, ErrUnknown)
	nc, err := a.Dial(t.Context(), b.id())
	require.NoError(t, err)
	defer nc.Close()
	_, err = nc.Write([]byte("Dlink"))
	require.NoError(t, err)
	link := <-b.links
	defer link.Close()
	require.Equal(t, loopback(31), crowd.Host(link.RemoteAddr()), "from its own address")
	b.stop() // the link is not the cluster's any more
	_, err = nc.Write([]byte("!"))
	require.NoError(t, err)
	got := make([]byte, 6)
	_, err = io.ReadFull(link, got)
	require.NoError(t, err)
	require.Equal(t, "Dlink!", string(got))
}

// The hello of a link is believed before gossip.
func TestHeard(t *testing.T) {
	t.Parallel()
	nodes := startNodes(t, 2)
	mesh(t, nodes)
	a, b := nodes[0], nodes[1]
	a.Heard(b.id(), "127.0.0.7", 4711, 0)
	m, _ := a.find(b.id())
	require.Equal(t, "127.0.0.7", m.Host)
	require.Equal(t, 4711, m.Port)
	require.Equal(t, b.BusPort(), m.BusPort)
	a.Heard(b.id(), "10.0.0.1", 1, 1)
	m, _ = a.find(b.id())
	require.Equal(t, "127.0.0.7", m.Host, "too far")
	a.Heard(newID(), "127.0.0.7", 4711, 0)
	require.Len(t, a.Members(), 2)
	require.NoError(t, b.SetLeaving(true))
	eventually(t, "gossip knows better", func() bool { m, _ := a.find(b.id()); return m.Host == "127.0.0.1" && m.Leaving })
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	a := startNode(t, nil)
	ident, err := OpenIdentity(t.TempDir() + "/nodes.conf")
	require.NoError(t, err)
	defer ident.Close()
	for name, change := range map[string]func(o *Options){
		"address already in use": func(o *Options) { o.BusPort = a.BusPort() },
		"is not host":            func(o *Options) { o.Join = []string{"a:b"} },
		"bind":                   func(o *Options) { o.Bind = []string{"no such host"} },
	} {
		o := newNode(t, change).options
		o.Identity = ident
		_, err := New(o)
		require.ErrorContains(t, err, name)
	}
	o := newNode(t, func(o *Options) { o.Bind = []string{"192.0.2.1"} }).options
	o.Identity = ident
	c, err := New(o)
	require.NoError(t, err)
	require.Equal(t, loopback(1), c.bus.doors[0].ip, "loopback only")
	c.Close()
	require.ErrorIs(t, c.Start(), ErrClosed)
}

// Without a secret but with leave to do so, the bus listens everywhere.
func TestEverywhere(t *testing.T) {
	t.Parallel()
	open := func(o *Options) { o.LoopbackOnly = false }
	nodes := []*testNode{startNode(t, open), startNode(t, open)}
	mesh(t, nodes)
	require.Equal(t, "127.0.0.1", nodes[0].Members()[0].Host)
	nodes[0].local(netip.MustParseAddr("192.0.2.7"))
	eventually(t, "a better address is told", func() bool {
		m, _ := nodes[1].find(nodes[0].id())
		return m.Host == "192.0.2.7"
	})
}
