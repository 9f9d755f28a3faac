package cluster

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

const (
	byeTime   = 500 * time.Millisecond // to tell all others
	leaveTime = 250 * time.Millisecond // for memberlist to spread it
	formerMax = 1024                   // own ids of the past that are remembered
)

// Forget removes a node from the members and hides it from gossip until one
// meets the other. One that has died, or starts anew, is hidden for a minute
// only. ErrUnknown, ErrSelf.
func (c *Cluster) Forget(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id == c.id {
		return ErrSelf
	}
	if _, ok := c.handshakes[id]; ok {
		delete(c.handshakes, id)
		c.wake()
		return nil
	}
	p := c.peers[id]
	if p == nil || !p.shown(c.now()) {
		return ErrUnknown
	}
	c.peers.hide(id, false, 0, c.now())
	c.wake()
	return nil
}

// Reset forgets all nodes and makes them forget this one; those that cannot be
// reached see it as failed. Until a MEET, in either direction, this node is
// nobody's member and ignores gossip. hard gives it a new id, on disk first. An
// error of saving the new id says that nothing has happened; any other that
// nodes.conf or gossip lags behind.
func (c *Cluster) Reset(hard bool) error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	id := c.o.Identity.ID()
	if hard {
		var err error
		if id, err = c.o.Identity.Renew(); err != nil {
			return err
		}
	}
	if g := c.gossip.Load(); g != nil && !g.retired.Load() {
		c.bye(g)
		_ = g.list.Leave(leaveTime)
		g.retire()
	}
	c.mu.Lock()
	if len(c.former) >= formerMax {
		c.former = nil
	}
	if c.id != id {
		c.former = append(c.former, c.id)
	}
	c.id, c.epoch = id, max(c.epoch+1, c.now().UnixMilli())
	c.alone, c.quit = true, true
	c.bus.deaf.Store(true)
	c.peers, c.handshakes = roster{}, map[string]*handshake{}
	c.mu.Unlock()
	var gossip error
	if err := c.replace(); err != nil {
		gossip = fmt.Errorf("starting gossip: %w", err)
	}
	return errors.Join(gossip, c.Save())
}

// bye tells all living members that this node forgets everybody. Those that
// did not hear it in byeTime see it fail.
func (c *Cluster) bye(g *gossip) {
	m := c.message(msgBye, 0)
	var others []netip.AddrPort
	c.mu.Lock()
	for _, p := range c.peers {
		if p.alive && p.bus().IsValid() {
			others = append(others, p.bus())
		}
	}
	c.mu.Unlock()
	told := make(chan struct{}, len(others))
	for _, to := range others {
		if !c.run(func() {
			_ = g.say(to, m)
			told <- struct{}{}
		}) {
			return
		}
	}
	t := time.NewTimer(byeTime)
	defer t.Stop()
	for range others {
		select {
		case <-told:
		case <-t.C:
			return
		}
	}
}
