package cluster

import (
	"context"
	"net"
	"net/netip"
	"slices"
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
// looked for, and a member when gossip says so.
func (c *Cluster) Heard(id, host string, port, busPort int) {
	ip, err := netip.ParseAddr(host)
	if err == nil && c.may(ip) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	if p == nil && err == nil && !c.alone && ValidID(id) && id != c.id && !slices.Contains(c.former, id) && c.peers.room(id) {
		c.peers.restore(Member{ID: id, Host: ip.String(), Port: port, BusPort: busPort}, c.now())
		c.peers[id].named = true
		c.wake()
		return
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

// Dial connects to the bus of a member, from the address that this node is bound
// to, for a link: with a secret the connection is encrypted, and whoever is at the
// other end has it, too.
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
	nc, err := c.bus.dial(ctx, to)
	if err != nil {
		return nil, err
	}
	return c.seal(ctx, nc)
}
