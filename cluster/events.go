package cluster

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/memberlist"
)

var (
	_ memberlist.Delegate      = (*gossip)(nil)
	_ memberlist.EventDelegate = (*gossip)(nil)
	_ memberlist.AliveDelegate = (*gossip)(nil)
	_ memberlist.MergeDelegate = (*gossip)(nil)
)

var (
	errRetired = errors.New("another memberlist has taken over")
	errAlone   = errors.New("this node was RESET and waits for a MEET")
	errFormer  = errors.New("this node had that id before a RESET")
	errCrowd   = fmt.Errorf("more than %d nodes", membersMax)
)

// NodeMeta implements memberlist.Delegate. Most delegates are called under
// memberlist's lock, so none of them may call memberlist.
func (g *gossip) NodeMeta(int) []byte {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	return g.c.meta().append(nil)
}

// NotifyMsg implements memberlist.Delegate: a message that another node sent
// to this one. One too many is lost; who meets, asks again.
func (g *gossip) NotifyMsg(b []byte) {
	m, err := decodeMessage(b)
	if err != nil {
		g.c.warnOf(m.id, "cluster: a node cannot be understood", "node", m.id, "error", err)
		return
	}
	if g.retired.Load() {
		return
	}
	if m.kind == msgBye { // before gossip says the same, which looks like a death
		g.c.mu.Lock()
		defer g.c.mu.Unlock()
		g.c.peers.hide(m.id, true, m.meta.epoch, g.c.now())
		g.c.wake()
		return
	}
	select {
	case g.c.inbox <- m:
	default:
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (g *gossip) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (g *gossip) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (g *gossip) MergeRemoteState([]byte, bool) {}

// NotifyAlive implements memberlist.AliveDelegate: whether a node may be known.
func (g *gossip) NotifyAlive(n *memberlist.Node) error {
	c := g.c
	if g.retired.Load() {
		return errRetired
	}
	m, err := decodeMeta(n.Meta)
	if err == nil && !ValidID(n.Name) {
		err = errNotNode
	}
	if err == nil && m.ip.IsValid() {
		err = c.may(m.ip)
	}
	if err != nil {
		c.warnOf(n.Name, "cluster: a node is refused", "node", fmt.Sprintf("%.*s", IDLen, n.Name), "error", err)
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case n.Name == g.id:
		if m.epoch > c.epoch {
			c.warn("", "cluster: another node has this node's id; was nodes.conf copied?", "node", g.id, "address", m.member(g.id).Address())
		}
	case c.alone:
		return errAlone
	case slices.Contains(c.former, n.Name):
		return errFormer
	case !c.peers.room(n.Name):
		return errCrowd
	}
	return nil
}

// NotifyMerge implements memberlist.MergeDelegate: whether to learn of the
// nodes that another knows.
func (g *gossip) NotifyMerge([]*memberlist.Node) error {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	if g.c.alone {
		return errAlone
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate: a node is new, or back.
func (g *gossip) NotifyJoin(n *memberlist.Node) { g.put(n) }

// NotifyUpdate implements memberlist.EventDelegate: what a node says of itself
// changed.
func (g *gossip) NotifyUpdate(n *memberlist.Node) { g.put(n) }

func (g *gossip) put(n *memberlist.Node) {
	m, err := decodeMeta(n.Meta)
	if err != nil {
		return
	}
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	if n.Name == g.id {
		g.told = m
		return
	}
	if g.retired.Load() {
		return
	}
	if p := g.c.peers[n.Name]; p == nil || !p.alive {
		g.c.grow()
	}
	g.c.peers.put(n.Name, m, g.c.now())
	g.c.wake()
}

// NotifyLeave implements memberlist.EventDelegate: a node is dead, or left.
func (g *gossip) NotifyLeave(n *memberlist.Node) {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	if n.Name == g.id || g.retired.Load() {
		return
	}
	g.c.peers.lose(n.Name, g.c.now())
	g.c.wake()
}
