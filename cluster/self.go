package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	addressPause   = time.Second      // between looks at the interfaces
	advertisePause = 10 * time.Second // between look-ups of advertise-addr
	lookupTime     = 5 * time.Second
	addressesMax   = 64 // of one name
)

// errFar says why the node does not talk to an address.
type errFar netip.Addr

func (e errFar) Error() string {
	return fmt.Sprintf("%s is not a loopback address: set cluster-secret, or cluster-protected-mode no, to talk to other hosts", netip.Addr(e))
}

// may returns an error if this node does not talk to an address.
func (c *Cluster) may(ip netip.Addr) error {
	if c.o.LoopbackOnly && !ip.Unmap().IsLoopback() {
		return errFar(ip)
	}
	return nil
}

// fixAddress takes the own address from the configuration, if it is there.
func (c *Cluster) fixAddress() {
	if c.o.Advertise != "" {
		c.fixed = true
		if ip, err := netip.ParseAddr(c.o.Advertise); err == nil {
			c.ip = ip.Unmap()
		}
		return
	}
	if ip := c.bus.doors[0].ip; ip.IsValid() && !ip.IsUnspecified() && len(c.o.Bind) > 0 {
		c.ip, c.fixed = ip, true
	}
}

// local takes the own end of a connection to or from a node. The first one is
// this node's address; one that other hosts can reach is better than one they
// cannot. When the address has gone from the interfaces, tend looks for another.
func (c *Cluster) local(ip netip.Addr) {
	c.mu.Lock()
	adopt := ip.IsValid() && !c.fixed && (!c.ip.IsValid() || c.ip.IsLoopback() && !ip.IsLoopback())
	if adopt {
		c.ip = ip.WithZone("")
	}
	c.mu.Unlock()
	if adopt {
		c.announce()
		c.wake()
	}
}

// learn finds out the own address, if it is unknown, from how a packet to
// another would leave. None is sent.
func (c *Cluster) learn(to netip.AddrPort) {
	c.mu.Lock()
	known := c.ip.IsValid()
	c.mu.Unlock()
	if known {
		return
	}
	c.local(route(c.bus.doors, to))
}

// route returns the own address for packets to another; invalid if none.
func route(doors []door, to netip.AddrPort) netip.Addr {
	if ip := source(doors, to.Addr()); ip.IsValid() {
		return ip
	}
	nc, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}
	}
	defer func() { _ = nc.Close() }()
	return nc.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// tend looks whether the own address is still one of this host's, and replaces
// it if not: a container may come back to its network with another.
func (c *Cluster) tend() {
	c.mu.Lock()
	ip, fixed := c.ip, c.fixed
	var others []netip.AddrPort
	for _, p := range c.peers {
		if to := p.bus(); to.IsValid() && len(others) < addressesMax {
			others = append(others, to)
		}
	}
	c.mu.Unlock()
	if fixed || !ip.IsValid() || ip.IsLoopback() || slices.Contains(interfaces(), ip) {
		return
	}
	for _, to := range others {
		if got := route(c.bus.doors, to); got.IsValid() && !got.IsLoopback() {
			c.move(got)
			return
		}
	}
}

// move changes the own address.
func (c *Cluster) move(ip netip.Addr) {
	c.mu.Lock()
	was := c.ip
	c.ip = ip
	c.mu.Unlock()
	if was == ip {
		return
	}
	c.log.Info("cluster: this node has another address", "was", was, "address", ip)
	c.announce()
	c.wake()
}

// advertise looks up the name that others shall use for this node, again and
// again, since a name may move.
func (c *Cluster) advertise() {
	for c.ctx.Err() == nil {
		ips, err := c.lookup(c.o.Advertise)
		if err != nil || len(ips) == 0 {
			c.warn("advertise", "cluster: looking up advertise-addr failed", "host", c.o.Advertise, "error", err)
		} else {
			c.move(ips[0])
		}
		c.sleep(advertisePause)
	}
}

// sleep waits for a time or the end.
func (c *Cluster) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

// lookup returns the addresses of a host, sorted; of an address, itself.
func (c *Cluster) lookup(host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	resolve := c.o.Resolve
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ctx, cancel := context.WithTimeout(c.ctx, lookupTime)
	defer cancel()
	found, err := resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	ips := make([]netip.Addr, 0, len(found))
	for _, ip := range found {
		ips = append(ips, ip.Unmap())
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	ips = slices.Compact(ips)
	return ips[:min(len(ips), addressesMax)], nil
}

// interfaces returns the addresses of this host.
func interfaces() (ips []netip.Addr) {
	addrs, _ := net.InterfaceAddrs() // without them nothing is known to be ours
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				ips = append(ips, ip.Unmap())
			}
		}
	}
	return ips
}

// own reports whether an address of a bus is this node's.
func (c *Cluster) own(addr netip.AddrPort) bool {
	if int(addr.Port()) != c.bus.port {
		return false
	}
	bound := false
	for _, d := range c.bus.doors {
		if d.ip.IsValid() && !d.ip.IsUnspecified() {
			bound = true
			if d.ip == addr.Addr() {
				return true
			}
		}
	}
	c.mu.Lock()
	mine := c.ip
	c.mu.Unlock()
	return addr.Addr() == mine || !bound && (addr.Addr().IsLoopback() || slices.Contains(interfaces(), addr.Addr()))
}
