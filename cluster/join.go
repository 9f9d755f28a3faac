package cluster

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

const (
	joinFirst     = 200 * time.Millisecond // after the first try that did not find all
	joinLast      = 5 * time.Second        // between tries while somebody is missing
	joinWhole     = 30 * time.Second       // between looks when all are there
	joinAnswer    = 100 * time.Millisecond // for a node to answer before the next step
	approachesMax = 16                     // approached at once
)

// joinLoop looks up the nodes that the configuration names, again and again,
// and meets those that are not members, for as long as this node lives or until
// RESET.
func (c *Cluster) joinLoop() {
	var targets []target
	for _, s := range c.o.Join {
		t, _ := parseTarget(s) // New has looked at it
		targets = append(targets, t)
	}
	known := map[netip.AddrPort]string{} // who answered at an address
	pause := joinFirst
	for c.ctx.Err() == nil && !c.quitted() {
		missing := c.missing(targets, known)
		if len(missing) > 0 {
			c.approachMissing(missing, known)
		}
		wait := joinWhole
		if len(missing) > 0 || c.unnamed(targets) {
			wait = pause
			pause = min(2*pause, joinLast)
		} else {
			pause = joinFirst
		}
		t := time.NewTimer(wait/2 + jitter(wait))
		select {
		case <-t.C:
		case <-c.hurry:
			pause = joinFirst
		case <-c.ctx.Done():
		}
		t.Stop()
	}
}

// jitter returns a time from 0 to d: nodes that lost each other at once shall
// not look for each other at once.
func jitter(d time.Duration) time.Duration { return rand.N(d + 1) }

func (c *Cluster) quitted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.quit
}

// missing returns the addresses of the targets where no living member is known
// to be, this node not counted.
func (c *Cluster) missing(targets []target, known map[netip.AddrPort]string) (list []netip.AddrPort) {
	seen := map[netip.AddrPort]bool{}
	for _, t := range targets {
		ips, err := c.lookup(t.host)
		if err != nil && c.ctx.Err() == nil {
			c.warn(t.String(), "cluster: looking up a node to join failed; it is tried again", "join", t, "error", err)
		}
		for _, ip := range ips {
			addr := netip.AddrPortFrom(ip, uint16(t.bus))
			if err := c.may(ip); err != nil {
				c.warn(addr.String(), "cluster: a node to join is refused", "join", t, "error", err)
				continue
			}
			if !seen[addr] && !c.own(addr) && !c.there(addr, known[addr]) {
				list = append(list, addr)
			}
			seen[addr] = true
		}
	}
	for addr := range known {
		if !seen[addr] {
			delete(known, addr) // names move
		}
	}
	return list
}

// there reports whether a living member is at an address, or the one that
// answered there lives.
func (c *Cluster) there(addr netip.AddrPort, known string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.peers.at(addr, c.now()) != "" || known == c.id {
		return true
	}
	p := c.peers[known]
	return p != nil && p.alive && p.shown(c.now())
}

// unnamed reports whether the node knows nobody though it shall join somebody:
// perhaps the names have no address yet.
func (c *Cluster) unnamed(targets []target) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.peers {
		if p.alive {
			return false
		}
	}
	return len(targets) > 0
}

// approachMissing meets the nodes at the addresses and notes who answered.
func (c *Cluster) approachMissing(list []netip.AddrPort, known map[netip.AddrPort]string) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, approachesMax)
	for _, addr := range list {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			h, err := c.shake(target{host: addr.Addr().String(), port: int(addr.Port()), bus: int(addr.Port())}, true)
			if err != nil {
				return // too many; there will be another try
			}
			defer c.drop(h)
			if err = c.approach(h, addr); err == nil {
				c.sleep(joinAnswer)
			} else if c.ctx.Err() == nil {
				c.warn(addr.String(), "cluster: a node to join is not there; it is tried again", "address", addr, "error", reason(err))
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			for _, id := range h.met {
				known[addr] = id
			}
		})
	}
	wg.Wait()
}
