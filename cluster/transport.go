package cluster

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport is how one memberlist uses the bus. memberlist refuses a living
// node that comes back with another address, so it never sees addresses: each
// node has a made-up one that never changes, and where it is stands in its
// meta. The transport looks that up by the node's name, which is its id.
//
// All packets, and connections to a node whose id is known, begin with that id:
// another node that has the address by now shall not take them for its own.
type transport struct {
	bus     *bus
	id      []byte
	address func(id string) netip.AddrPort // not valid if unknown

	packets chan *memberlist.Packet
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

func newTransport(b *bus, id string, address func(id string) netip.AddrPort) *transport {
	return &transport{bus: b, id: rawID(id), address: address,
		packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), done: make(chan struct{})}
}

// placePort is the port of made-up addresses; memberlist replaces 0.
const placePort = 1

// place is the made-up address of a node: a unique local IPv6 address from its
// id.
func place(id string) netip.AddrPort {
	ip := [16]byte{0xfd}
	copy(ip[1:], rawID(id))
	return netip.AddrPortFrom(netip.AddrFrom16(ip), placePort)
}

// is reports whether an id is this node's.
func (t *transport) is(id []byte) bool { return bytes.Equal(id, t.id) }

// head begins what is meant for one node.
func head(id string) []byte {
	return append(append(make([]byte, 0, addressed), byteTo), rawID(id)...)
}

// take hands memberlist a connection, which it closes.
func (t *transport) take(nc net.Conn) {
	select {
	case t.streams <- nc:
	case <-t.done:
		_ = nc.Close()
	}
}

func (t *transport) receive(p *memberlist.Packet) {
	select {
	case t.packets <- p:
	case <-t.done:
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip), port, nil
}

var errNoAddress = errors.New("its address is not known")

// resolve returns where the bus of a node is. A node without a name is one at
// a real address: a MEET.
func (t *transport) resolve(a memberlist.Address, network, op string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(a.Addr)
	if a.Name != "" {
		if addr = t.address(a.Name); !addr.IsValid() {
			err = errNoAddress
		}
	}
	if err != nil { // of the kind that memberlist takes for a failure of the node
		return netip.AddrPort{}, &net.OpError{Op: op, Net: network, Err: err}
	}
	return addr, nil
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := t.resolve(a, "udp", "write")
	if err == nil {
		err = t.bus.send(append(head(a.Name), b...), to)
	}
	return time.Now(), err
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	to, err := t.resolve(a, "tcp", "dial")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.bus.ctx, min(timeout, dialTimeMax))
	defer cancel()
	nc, err := t.bus.dial(ctx, to)
	if err != nil {
		return nil, err
	}
	select {
	case <-t.done:
		_ = nc.Close()
		return nil, errClosed
	default:
	}
	t.bus.sent.Add(1)
	if a.Name != "" {
		if _, err := nc.Write(head(a.Name)); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	s, err := t.bus.stream(nc, nil, false)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// WriteTo implements memberlist.Transport.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// DialTimeout implements memberlist.Transport.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// PacketCh implements memberlist.Transport.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport. The sockets stay open.
func (t *transport) Shutdown() error {
	t.once.Do(func() { close(t.done) })
	return nil
}
