package clustered

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// A gate stands before the bus of a node, at the address that the others are
// told: what they send comes late, or not at all while it is shut. A node binds
// an address of its own, so that a gate knows who sends.
type gate struct {
	behind netip.AddrPort // the bus itself
	tcp    net.Listener
	udp    *net.UDPConn

	mu    sync.Mutex
	open  *sync.Cond
	shut  map[netip.Addr]bool // nothing of that node passes; the zero address is all
	delay time.Duration
	ended bool
	conns []net.Conn
	tapes map[netip.Addr][]*tape // what a node's connections brought
	said  [][]byte               // and packets, the first ones

	bytes atomic.Int64
	reads atomic.Int64
}

// hosts hands out addresses, three bytes behind 127.
var hosts atomic.Uint32

// newHost returns an address of this machine that no other test uses now.
func newHost() netip.Addr {
	n := hosts.Add(1) + uint32(os.Getpid())<<8
	return netip.AddrFrom4([4]byte{127, 16 + byte(n>>16)%200, byte(n >> 8), 1 + byte(n)%250})
}

// gated starts nodes that are one cluster, each behind a gate.
func gated(t *testing.T, n int, directives ...string) (*started, []*gate) {
	t.Helper()
	var gates []*gate
	var nodes []*servertest.Server
	for range n {
		own, front := newHost(), newHost()
		s := servertest.Start(t, append([]string{"--bind", own.String(), "--advertise-addr", front.String()}, directives...)...)
		c := s.Dial(t)
		port, err := strconv.Atoi(c.Self().Bus)
		require.NoError(t, err)
		gates = append(gates, newGate(t, front, netip.AddrPortFrom(own, uint16(port))))
		nodes = append(nodes, s)
	}
	servertest.Join(t, nodes...)
	return around(t, nodes), gates
}

func newGate(t *testing.T, front netip.Addr, behind netip.AddrPort) *gate {
	t.Helper()
	at := netip.AddrPortFrom(front, behind.Port())
	g := &gate{behind: behind, shut: map[netip.Addr]bool{}, tapes: map[netip.Addr][]*tape{}}
	g.open = sync.NewCond(&g.mu)
	var err error
	g.tcp, err = net.Listen("tcp", at.String())
	require.NoError(t, err)
	g.udp, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	require.NoError(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := g.tcp.Accept()
			if err != nil {
				return
			}
			all.Go(func() { g.pass(nc, &all) })
		}
	})
	all.Go(g.packets)
	t.Cleanup(func() {
		_ = g.tcp.Close()
		_ = g.udp.Close()
		g.mu.Lock()
		g.ended = true
		for _, nc := range g.conns {
			_ = nc.Close()
		}
		g.open.Broadcast()
		g.mu.Unlock()
		all.Wait()
	})
	return g
}

// set shuts or opens the gate for some nodes, for all if none is named.
func (g *gate) set(shut bool, from ...netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(from) == 0 {
		from = []netip.Addr{{}}
	}
	for _, a := range from {
		g.shut[a] = shut
	}
	g.open.Broadcast()
}

// slow makes everything that comes later by d.
func (g *gate) slow(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = d
}

// wait blocks while the gate is shut for a node, and reports false at the end.
func (g *gate) wait(from netip.Addr) (delay time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for !g.ended && (g.shut[from] || g.shut[netip.Addr{}]) {
		g.open.Wait()
	}
	return g.delay, !g.ended
}

// keep remembers a connection, to be closed at the end.
func (g *gate) keep(nc net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns = append(g.conns, nc)
	return !g.ended
}

// pass carries a connection of a peer.
func (g *gate) pass(nc net.Conn, all *sync.WaitGroup) {
	defer func() { _ = nc.Close() }()
	from := nc.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	if _, ok := g.wait(from); !ok || !g.keep(nc) {
		return
	}
	to, err := net.Dial("tcp", g.behind.String())
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	if !g.keep(to) {
		return
	}
	all.Go(func() {
		g.carry(nc, to, from)
		_ = nc.Close()
	})
	g.carry(to, g.taped(nc, from), from)
}

// tape is a connection whose first bytes are written down.
type tape struct {
	net.Conn
	mu    sync.Mutex
	heard []byte
}

const (
	tapeMost    = 1 << 20
	packetsMost = 1000
)

// gossip returns the packets that came.
func (g *gate) gossip() [][]byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.said)
}

func (g *gate) taped(nc net.Conn, from netip.Addr) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	tp := &tape{Conn: nc}
	g.tapes[from] = append(g.tapes[from], tp)
	return tp
}

func (tp *tape) Read(b []byte) (int, error) {
	n, err := tp.Conn.Read(b)
	tp.mu.Lock()
	defer tp.mu.Unlock()
	tp.heard = append(tp.heard, b[:min(n, tapeMost-len(tp.heard))]...)
	return n, err
}

// links returns what the links of a node brought, that are not encrypted.
func (g *gate) links(from netip.Addr) (list [][]byte) { return g.begun(from, 'D') }

// tlsByte is the first of what links bring that are encrypted.
const tlsByte = 0x16

// begun returns what those connections of a node brought that began with a byte.
func (g *gate) begun(from netip.Addr, first byte) (list [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, tp := range g.tapes[from] {
		tp.mu.Lock()
		if len(tp.heard) > 0 && tp.heard[0] == first {
			list = append(list, slices.Clone(tp.heard))
		}
		tp.mu.Unlock()
	}
	return list
}

// late is what was read and when it may go on.
type late struct {
	b  []byte
	at time.Time
}

// carry moves bytes one way; many may be under way at the same time.
func (g *gate) carry(to, from net.Conn, who netip.Addr) {
	line := make(chan late, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = to.Close() }()
		for l := range line {
			if d := time.Until(l.at); d > 0 {
				<-time.After(d)
			}
			if _, ok := g.wait(who); !ok {
				return
			}
			if _, err := to.Write(l.b); err != nil {
				return
			}
		}
	}()
	for {
		b := make([]byte, 64<<10)
		n, err := from.Read(b)
		if n > 0 {
			g.bytes.Add(int64(n))
			g.reads.Add(1)
			g.mu.Lock()
			delay := g.delay
			g.mu.Unlock()
			select {
			case line <- late{b[:n], time.Now().Add(delay)}:
			case <-done:
				return
			}
		}
		if err != nil {
			close(line)
			<-done
			return
		}
	}
}

// packets carries UDP; what comes while the gate is shut is lost.
func (g *gate) packets() {
	out, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(g.behind))
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, from, err := g.udp.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		g.mu.Lock()
		shut := g.shut[from.Addr().Unmap()] || g.shut[netip.Addr{}]
		if len(g.said) < packetsMost {
			g.said = append(g.said, slices.Clone(b[:n]))
		}
		g.mu.Unlock()
		if !shut {
			_, _ = out.Write(b[:n])
		}
	}
}

// own returns the address from which a node speaks.
func (g *gate) own() netip.Addr { return g.behind.Addr() }

// cutOff shuts a node off from all others, both ways, or lets it in again.
func cutOff(gates []*gate, node int, shut bool) {
	for i, g := range gates {
		if i == node {
			g.set(shut)
		} else {
			g.set(shut, gates[node].own())
		}
	}
}
