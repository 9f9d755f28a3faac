package cluster

import (
	"net/netip"
	"slices"
)

const answersMax = 32 // to nodes that meet this one, at once

// message is one from this node.
func (c *Cluster) message(kind byte, nonce uint64) message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return message{kind: kind, nonce: nonce, id: c.id, meta: c.meta()}
}

// hear takes a message from another node.
func (c *Cluster) hear(m message) {
	switch m.kind {
	case msgMeet:
		c.answer(m)
	case msgMet:
		c.met(m)
	}
}

// met takes an answer to a meet of ours.
func (c *Cluster) met(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.handshakes {
		if h.nonce == m.nonce && !slices.Contains(h.met, m.id) && len(h.met) < addressesMax {
			h.met = append(h.met, m.id)
			c.peers.meet(m.id, m.meta.epoch)
		}
	}
}

// answer takes a meet: whoever sent it is welcome, also if it was forgotten.
func (c *Cluster) answer(m message) {
	c.mu.Lock()
	self := m.id == c.id
	c.peers.meet(m.id, m.meta.epoch)
	c.mu.Unlock()
	if self {
		c.met(m)
		return
	}
	to := m.meta.member(m.id).bus()
	if !to.IsValid() || c.may(to.Addr()) != nil {
		c.warnOf(m.id, "cluster: a node that wants to be met has no address to answer to", "node", m.id, "address", to)
		return
	}
	c.social()
	if c.answers.Add(1) > answersMax {
		c.answers.Add(-1)
		return // it asks again
	}
	if !c.run(func() { c.reply(m, to) }) {
		c.answers.Add(-1)
	}
}

func (c *Cluster) reply(m message, to netip.AddrPort) {
	defer c.answers.Add(-1)
	g := c.gossip.Load()
	if g == nil {
		return
	}
	err := g.say(to, c.message(msgMet, m.nonce))
	if err == nil && !c.alive(m.id) {
		err = g.join(to)
	}
	if err != nil && c.ctx.Err() == nil {
		c.warnOf(m.id, "cluster: a node that wants to be met cannot be reached", "node", m.id, "address", to, "error", reason(err))
	}
}
