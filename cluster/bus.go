package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	undecidedMax     = 512             // connections that have not sent their first byte
	undecidedHostMax = 64              // of them from one address
	decideTime       = 5 * time.Second // they have that long, unless told otherwise
	streamsMax       = 256             // gossip connections open at once, both ways
	streamBytesMax   = 4 << 20         // that one may bring: 160 bytes or so for each node
	acceptBackOffMin = 5 * time.Millisecond
	acceptBackOffMax = time.Second
	packetBytesMax   = 64 << 10
	dialTimeMax      = 2 * time.Second // for gossip
)

var (
	errClosed  = errors.New("the cluster bus is closed")
	errStreams = errors.New("too many gossip connections")
)

// Bytes with which connections begin.
const (
	byteLink     = 'D'
	byteTLS      = 0x16
	byteTo       = 'G' // gossip for one node only: its id follows, then what memberlist sent
	byteGossip   = 13  // the highest of memberlist's message types
	byteLabelled = 244 // memberlist's header of a label
)

// addressed is how long the head of a packet or connection to one node is.
const addressed = 1 + IDLen/2

// gossips reports whether memberlist's messages begin with the byte.
func gossips(first byte) bool { return first <= byteGossip || first == byteLabelled }

// bus is the sockets of this node among nodes. It outlives the memberlists
// that use it one after the other.
type bus struct {
	doors []door
	port  int
	log   *slog.Logger

	link  func(net.Conn)         // takes an inbound link
	local func(ip netip.Addr)    // this node was reached at, or reached others from, ip
	may   func(netip.Addr) error // whether the node may talk to ip

	ctx        context.Context // ends with the bus
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	decideTime time.Duration             // for the first bytes of a connection
	user       atomic.Pointer[transport] // who takes the gossip; nil = nobody

	deaf atomic.Bool // packets are dropped: RESET

	mu        sync.Mutex
	undecided map[netip.Addr]int
	waiting   int                   // sum of undecided
	open      map[net.Conn]struct{} // undecided and gossip connections
	streams   int                   // gossip connections among them

	sent, received atomic.Int64 // packets, and gossip connections
}

// start begins to accept and to receive.
func (b *bus) start() {
	b.undecided, b.open = map[netip.Addr]int{}, map[net.Conn]struct{}{}
	for _, d := range b.doors {
		b.wg.Go(func() { b.accept(d.tcp) })
		b.wg.Go(func() { b.receive(d.udp) })
	}
}

// close closes all sockets and connections that were not handed over, and
// waits for the goroutines.
func (b *bus) close() {
	b.cancel()
	for _, d := range b.doors {
		d.close()
	}
	b.mu.Lock()
	for nc := range b.open {
		_ = nc.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *bus) accept(l *net.TCPListener) {
	pause := acceptBackOffMin
	for {
		nc, err := l.AcceptTCP()
		if b.ctx.Err() != nil {
			if err == nil {
				_ = nc.Close()
			}
			return
		}
		if err != nil {
			b.log.Warn("cluster: accepting failed", "error", err)
			select {
			case <-time.After(pause):
			case <-b.ctx.Done():
			}
			pause = min(2*pause, acceptBackOffMax)
			continue
		}
		pause = acceptBackOffMin
		host := addrOf(nc.RemoteAddr())
		if !b.enter(nc, host) {
			_ = nc.Close()
			continue
		}
		b.wg.Go(func() { b.decide(nc, host) })
	}
}

// enter counts an undecided connection, unless there are too many.
func (b *bus) enter(nc net.Conn, host netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting >= undecidedMax || b.undecided[host] >= undecidedHostMax || b.ctx.Err() != nil {
		return false
	}
	b.waiting++
	b.undecided[host]++
	b.open[nc] = struct{}{}
	return true
}

// leave ends what enter began.
func (b *bus) leave(nc net.Conn, host netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting--
	if b.undecided[host]--; b.undecided[host] == 0 {
		delete(b.undecided, host)
	}
	delete(b.open, nc)
}

// decide reads the first byte and hands the connection to whom it belongs.
func (b *bus) decide(nc net.Conn, host netip.Addr) {
	first, to, err := b.opening(nc)
	b.leave(nc, host)
	switch user := b.user.Load(); {
	case err != nil || b.ctx.Err() != nil || b.may(host) != nil:
		_ = nc.Close()
	case to == nil && (first[0] == byteLink || first[0] == byteTLS) && b.link != nil:
		b.local(addrOf(nc.LocalAddr()))
		b.link(&replay{Conn: nc, first: first})
	case user != nil && (to != nil && user.is(to) && !b.deaf.Load() || to == nil && gossips(first[0])):
		b.received.Add(1)
		b.local(addrOf(nc.LocalAddr()))
		if s, err := b.stream(nc, first); err == nil {
			user.take(s)
		}
	default:
		_ = nc.Close()
	}
}

// receive hands packets to whoever takes the gossip.
func (b *bus) receive(udp *net.UDPConn) {
	buf := make([]byte, packetBytesMax)
	for {
		n, from, err := udp.ReadFromUDPAddrPort(buf)
		if b.ctx.Err() != nil {
			return
		}
		if err != nil {
			select { // an error of the network, not of the socket; do not spin
			case <-time.After(acceptBackOffMin):
			case <-b.ctx.Done():
			}
			continue
		}
		user := b.user.Load()
		if n <= addressed || buf[0] != byteTo || user == nil || !user.is(buf[1:addressed]) || b.deaf.Load() || b.may(from.Addr().Unmap()) != nil {
			continue
		}
		b.received.Add(1)
		user.receive(&memberlist.Packet{Buf: append([]byte(nil), buf[addressed:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()})
	}
}

// send sends a packet.
func (b *bus) send(packet []byte, to netip.AddrPort) error {
	if err := b.may(to.Addr()); err != nil {
		return err
	}
	for _, d := range b.doors {
		if len(b.doors) == 1 || d.reaches(to.Addr()) {
			b.sent.Add(1)
			_, err := d.udp.WriteToUDPAddrPort(packet, to)
			return err
		}
	}
	return &net.OpError{Op: "write", Net: "udp", Err: errors.New("no bus address reaches " + to.String())}
}

// dial connects to another bus, from the address that this bus is bound to.
func (b *bus) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if err := b.may(to.Addr()); err != nil {
		return nil, err
	}
	var d net.Dialer
	if ip := source(b.doors, to.Addr()); ip.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	nc, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	b.local(addrOf(nc.LocalAddr()))
	return nc, nil
}

// addrOf returns the IP address of a socket's end.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
