package cluster

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	handshakesMax = 256
	meetTimeMin   = time.Second            // a MEET is tried for cluster-node-timeout, but no less
	meetPause     = 200 * time.Millisecond // between tries
	reasonBytes   = 200                    // of an error that is shown
)

var (
	errHandshakes = errors.New("too many handshakes in progress")
	errNoAnswer   = errors.New("no answer")
)

// handshake is an attempt to make one cluster with the node or nodes at an
// address. Its fields but met never change.
//
//	A: meet(nonce) ──▶ B   B shows A if it was hidden, and hears gossip again
//	B: met(nonce)  ──▶ A   A knows who is there, and shows it
//	A: join ◀────────▶ B   both learn what the other knows
type handshake struct {
	Member            // what is listed
	quiet  bool       // it is not listed
	nonce  uint64     // by which the answer is known
	until  time.Time  // when it is given up
	met    []string   // ids of those that answered, under c.mu
	place  netip.Addr // the address of a literal target, else invalid
}

// Meet makes one cluster with the node at a host and client port; busPort 0 is
// port + 10000. It returns at once; nil says that it is tried, for
// cluster-node-timeout or a second. All addresses of a host name are. An error
// is one printable line.
func (c *Cluster) Meet(host string, port, busPort int) error {
	t := target{host: host, port: port, bus: busPort}
	if busPort == 0 {
		t.bus = port + BusOffset
	}
	if err := t.check(); err != nil {
		return err
	}
	h, err := c.shake(t, false)
	if err != nil {
		return err
	}
	c.social()
	if !c.run(func() { c.meet(h, t) }) {
		return ErrClosed
	}
	c.wake()
	return nil
}

// shake enters a handshake.
func (c *Cluster) shake(t target, quiet bool) (*handshake, error) {
	h := &handshake{Member: Member{ID: newID(), Host: t.host, Port: t.port, BusPort: t.bus, Handshake: true}, quiet: quiet,
		nonce: newNonce(), until: c.now().Add(max(meetTimeMin, c.o.NodeTimeout()))}
	if ip, err := netip.ParseAddr(t.host); err == nil {
		h.place = ip.Unmap()
		if err := c.may(ip); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.handshakes) >= handshakesMax {
		return nil, errHandshakes
	}
	c.handshakes[h.ID] = h
	return h, nil
}

func newNonce() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never returns an error
	return binary.BigEndian.Uint64(b[:])
}

// meet tries a handshake until it succeeds or its time is up.
func (c *Cluster) meet(h *handshake, t target) {
	defer c.wake()
	var last error
	for c.ctx.Err() == nil {
		ips, err := c.lookup(t.host)
		if err == nil {
			err = c.approachAll(h, ips, t.bus)
		}
		last = cmp.Or(err, errNoAnswer)
		for range 10 {
			c.sleep(meetPause / 10)
			if c.shaken(h, len(ips)) {
				return
			}
		}
		if c.now().After(h.until) {
			break
		}
	}
	c.drop(h)
	if c.ctx.Err() == nil {
		c.log.Warn("cluster: MEET failed", "address", t, "error", reason(last))
	}
}

// approachAll approaches each address and returns the first error of those
// that failed.
func (c *Cluster) approachAll(h *handshake, ips []netip.Addr, busPort int) error {
	errs := make([]error, len(ips))
	var wg sync.WaitGroup
	for i, ip := range ips {
		wg.Go(func() { errs[i] = c.approach(h, netip.AddrPortFrom(ip, uint16(busPort))) })
	}
	wg.Wait()
	return cmp.Or(errs...)
}

// approach meets whoever is at an address.
func (c *Cluster) approach(h *handshake, to netip.AddrPort) error {
	if err := c.may(to.Addr()); err != nil {
		return err
	}
	g := c.gossip.Load()
	if g == nil {
		return ErrClosed
	}
	c.learn(to)
	if err := g.say(to, c.message(msgMeet, h.nonce)); err != nil {
		return err
	}
	return g.join(to)
}

// shaken reports whether a handshake is over, and forgets it then: it is if
// somebody answered and is a member now, or if it was this node itself that
// answered and nobody else could. RESET ends all of them.
func (c *Cluster) shaken(h *handshake, addresses int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	over := c.handshakes[h.ID] != h
	for _, id := range h.met {
		p := c.peers[id]
		over = over || p != nil && p.alive && p.shown(c.now()) || id == c.id && addresses == 1
	}
	if over {
		delete(c.handshakes, h.ID)
	}
	return over
}

func (c *Cluster) drop(h *handshake) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.handshakes, h.ID)
}

// social ends what RESET began: this node listens to gossip again.
func (c *Cluster) social() {
	c.mu.Lock()
	was := c.alone
	if was {
		c.alone = false
		c.epoch = max(c.epoch+1, c.now().UnixMilli())
		c.bus.deaf.Store(false)
	}
	c.mu.Unlock()
	if was {
		c.announce()
	}
}

// alive reports whether a node is a member and alive.
func (c *Cluster) alive(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	return p != nil && p.alive && p.shown(c.now())
}

// reason makes one short line of an error of memberlist's, and says what a
// user can do where that is known.
func reason(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(text, "1 error occurred: * ")
	switch {
	case strings.Contains(text, "crypt"):
		return "the other node has another cluster-secret, or none"
	case strings.HasSuffix(text, "EOF"), strings.HasSuffix(text, "reset by peer"):
		return "the other node closed the connection; has it another cluster-name? (" + text[:min(len(text), reasonBytes)] + ")"
	}
	return fmt.Sprintf("%.*s", reasonBytes, text)
}
