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

	"github.com/disqo/disqo/cluster/crowd"
)

const (
	undecidedMax     = 512              // connections that have not sent their first byte
	undecidedHostMax = 64               // of them from one address
	decideTime       = 5 * time.Second  // they have that long, unless told otherwise
	streamsMax       = 256              // gossip connections that this node opened
	streamsInMax     = 64               // and those that others did: each takes milliseconds
	streamsHostMax   = 32               // of them from one address
	streamBytesMax   = membersMax * 256 // that one may bring: 160 bytes or so for each node
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

	plain bool                   // gossip is not encrypted: anybody can make it
	link  func(net.Conn)         // takes an inbound link
	local func(ip netip.Addr)    // this node was reached at, or reached others from, ip
	may   func(netip.Addr) error // whether the node may talk to ip

	unseal     func(ctx context.Context, nc net.Conn, first byte) (net.Conn, error) // makes a link of what begins like one
	turnedAway func(nc net.Conn, err error)                                         // it did not

	connect func(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) // from is invalid if any will do

	ctx        context.Context // ends with the bus
	cancel     context.CancelFunc
	wg         sync.WaitGroup
	decideTime time.Duration             // for the first bytes of a connection
	user       atomic.Pointer[transport] // who takes the gossip; nil = nobody

	deaf atomic.Bool // packets are dropped: RESET

	undecided *crowd.Places
	inbound   *crowd.Places // gossip connections of others

	mu      sync.Mutex
	open    map[net.Conn]struct{} // undecided and gossip connections
	streams int                   // this node's own among them

	sent, received atomic.Int64 // packets, and gossip connections
}

// start begins to accept and to receive.
func (b *bus) start() {
	b.open = map[net.Conn]struct{}{}
	b.undecided, b.inbound = crowd.NewPlaces(undecidedHostMax, undecidedMax), crowd.NewPlaces(streamsHostMax, streamsInMax)
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

func (b *bus) accept(l net.Listener) {
	pause := acceptBackOffMin
	for {
		nc, err := l.Accept()
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
		if !b.enter(nc) {
			_ = nc.Close()
			continue
		}
		b.wg.Go(func() { b.decide(nc) })
	}
}

// enter notes an undecided connection, unless the bus is closed.
func (b *bus) enter(nc net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		return false
	}
	b.undecided.Enter(nc)
	b.open[nc] = struct{}{}
	return true
}

// leave ends what enter began, and reports whether the connection is still
// there.
func (b *bus) leave(nc net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, nc)
	return b.undecided.Leave(nc)
}

// decide reads the first byte and hands the connection to whom it belongs.
func (b *bus) decide(nc net.Conn) {
	first, to, err := b.opening(nc)
	link := err == nil && to == nil && (first[0] == byteLink || first[0] == byteTLS)
	var inner net.Conn
	if link {
		inner, err = b.unseal(b.ctx, &replay{Conn: nc, first: first}, first[0])
	}
	there := b.leave(nc)
	switch user := b.user.Load(); {
	case link && err != nil && there && b.ctx.Err() == nil:
		b.turnedAway(nc, err)
		_ = nc.Close()
	case err != nil || !there || b.ctx.Err() != nil || b.may(crowd.Host(nc.RemoteAddr())) != nil:
		_ = nc.Close()
	case link && b.link != nil:
		b.local(crowd.Host(nc.LocalAddr()))
		b.link(inner)
	case user != nil && (to != nil && user.is(to) && !b.deaf.Load() || to == nil && gossips(first[0])):
		b.received.Add(1)
		b.local(crowd.Host(nc.LocalAddr()))
		if s, err := b.stream(nc, first, true); err == nil {
			user.take(s)
		}
	default:
		_ = nc.Close()
	}
}

// receive hands packets to whoever takes the gossip.
func (b *bus) receive(udp packets) {
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
		if b.plain && packed(buf[addressed:n]) {
			continue
		}
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	nc, err := b.connect(ctx, source(b.doors, to.Addr()), to)
	if err != nil {
		return nil, err
	}
	b.local(crowd.Host(nc.LocalAddr()))
	return nc, nil
}

// connect makes a TCP connection.
func connect(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	return d.DialContext(ctx, "tcp", to.String())
}
