package cluster

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// addressOf returns where the bus of a node is; not valid if that is unknown.
func (c *Cluster) addressOf(id string) netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		return p.bus()
	}
	return netip.AddrPort{}
}

// Heard takes a node's present address from the hello of a link: it is believed
// until gossip tells another. Empty and zero values tell nothing. A node that is
// not known, as this one was killed before it could write down whom it met, is
// met.
func (c *Cluster) Heard(id, host string, port, busPort int) {
	ip, err := netip.ParseAddr(host)
	if err == nil && c.may(ip) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	if p == nil && err == nil && id != c.id && ValidID(id) && !c.alone {
		c.stranger(ip.Unmap(), port, busPort)
	}
	if p == nil || !p.shown(c.now()) {
		return
	}
	before := p.member(id)
	if err == nil {
		p.heard = ip.Unmap()
	}
	if port >= 1 && port <= portMax {
		p.meta.port = port
	}
	if busPort >= 1 && busPort <= portMax {
		p.meta.bus = busPort
	}
	if !p.alive {
		p.tries, p.next = 0, time.Time{} // it is there
	}
	if !p.alive || p.member(id) != before {
		c.wake()
	}
}

// stranger meets a node that takes this one for a member, and is not known. The
// caller holds c.mu.
func (c *Cluster) stranger(ip netip.Addr, port, busPort int) {
	t := target{host: ip.String(), port: port, bus: busPort}
	for _, h := range c.handshakes {
		if h.quiet && h.Host == t.host && h.BusPort == t.bus {
			return
		}
	}
	if t.check() != nil || c.closed {
		return
	}
	c.wg.Go(func() {
		if h, err := c.shake(t, true); err == nil {
			c.meet(h, t)
		}
	})
}

// Dial connects to the bus of a member, from the address that this node is
// bound to. It writes nothing.
func (c *Cluster) Dial(ctx context.Context, id string) (net.Conn, error) {
	c.mu.Lock()
	p := c.peers[id]
	var to netip.AddrPort
	if p != nil && p.shown(c.now()) {
		to = p.bus()
	}
	c.mu.Unlock()
	if !to.IsValid() {
		return nil, ErrUnknown
	}
	return c.bus.dial(ctx, to)
}
