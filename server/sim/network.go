package sim

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

const (
	silence  = 5 * second // after which a peer is suspected, and a link is dropped
	stuckFor = 5 * second // how long what is sent may make no progress
	pingTime = second / 2 // between two pings
)

// network is what is between the nodes.
type network struct {
	s     *sim
	cuts  map[[2]int]int64 // since when nothing gets from one node to another
	lag   map[[2]int]int64 // what a message takes longer on a clogged way, milliseconds
	gone  map[int]bool     // nodes that were forgotten
	dirty bool             // who is where has changed
	known []string         // what each node was told last

	messages, bytes int64 // that were sent
}

func (n *network) init(s *sim) {
	n.s, n.cuts, n.lag, n.gone = s, map[[2]int]int64{}, map[[2]int]int64{}, map[int]bool{}
}

// bad returns since when a node gets no answer from another, never if it does.
func (n *network) bad(from, to *proc) int64 {
	at := int64(never)
	if !to.alive || to.frozen {
		at = to.since
	}
	if len(n.cuts) == 0 {
		return at
	}
	if t, ok := n.cuts[[2]int{from.num, to.num}]; ok {
		at = min(at, t)
	}
	if t, ok := n.cuts[[2]int{to.num, from.num}]; ok {
		at = min(at, t)
	}
	return at
}

// cut stops what goes from one node to another. TCP tries again and again; the
// nodes give a link up after a while.
func (n *network) cut(from, to int) {
	way := [2]int{from, to}
	if _, ok := n.cuts[way]; ok || from == to {
		return
	}
	n.cuts[way] = n.s.now
	n.dirty = true
	n.s.in(silence+n.s.rng.Int64N(second), func() {
		for _, l := range n.between(from, to) {
			if n.bad(l.from, l.to) <= n.s.now-silence {
				l.drop()
			}
		}
	})
}

// mend ends a cut. What TCP kept comes, late.
func (n *network) mend(from, to int) {
	delete(n.cuts, [2]int{from, to})
	n.dirty = true
	for _, l := range n.between(from, to) {
		l.flow()
	}
}

// between returns the links from a node to another and back, if there are.
func (n *network) between(a, b int) (list []*link) {
	for _, way := range [][2]*proc{{n.s.procs[a], n.s.procs[b]}, {n.s.procs[b], n.s.procs[a]}} {
		if way[0].alive {
			if l := way[0].link.peers[way[1].id]; l != nil {
				list = append(list, l)
			}
		}
	}
	return list
}

// crash resets the links of a process that ends: its kernel says so.
func (n *network) crash(p *proc) {
	for _, l := range p.link.order {
		l.drop()
	}
	n.deaf(p)
}

// hush is what becomes of the links to a process that says nothing any more, and
// whose kernel does not either.
func (n *network) hush(p *proc) {
	n.dirty = true
	since := p.since
	n.s.in(silence+n.s.rng.Int64N(second), func() {
		if p.since == since && n.bad(p, p) <= n.s.now {
			n.deaf(p)
		}
	})
}

// deaf drops the links to a process that ends.
func (n *network) deaf(p *proc) {
	n.dirty = true
	for _, o := range n.s.procs {
		if o != p && o.alive {
			if l := o.link.peers[p.id]; l != nil {
				l.drop()
			}
		}
	}
}

// peersOf is what gossip tells a node of the others.
func (n *network) peersOf(p *proc) (list []node.Peer) {
	if n.gone[p.num] {
		return nil
	}
	for _, o := range n.s.procs {
		if o != p && !n.gone[o.num] {
			list = append(list, node.Peer{
				ID: hex.EncodeToString(o.id[:]), Leaving: o.leaving || o.retired, Failed: n.bad(p, o) < n.s.now-silence*5/4,
			})
		}
	}
	return list
}

// gossip tells the nodes now and then who is there.
func (s *sim) gossip() {
	if s.net.dirty {
		s.net.dirty = false
		for i, p := range s.procs {
			if len(s.net.known) <= i {
				s.net.known = append(s.net.known, "")
			}
			if !p.alive || p.frozen {
				s.net.dirty = true
				continue
			}
			list := s.net.peersOf(p)
			for _, o := range list {
				s.net.dirty = s.net.dirty || o.Failed
			}
			if told := fmt.Sprint(p.life, list); told != s.net.known[i] {
				s.net.known[i] = told
				p.on(p.life, func() { p.node.SetPeers(list) })
			}
		}
		s.net.dirty = s.net.dirty || len(s.net.cuts) > 0
	}
	s.in(second/2+s.rng.Int64N(second/2), s.gossip)
}

// links are those from a process to its peers.
type links struct {
	p     *proc
	o     replication.Options
	peers map[store.NodeID]*link
	order []*link
	most  int64 // bytes in an outbox
}

func newLinks(p *proc, o replication.Options) *links {
	return &links{p: p, o: o, peers: map[store.NodeID]*link{}, most: p.s.swarm.outbox}
}

// link is a connection to a peer, or what is tried to get one.
type link struct {
	all      *links
	from, to *proc
	session  uint64 // of the connection that is or was the last
	up       bool
	gone     bool  // the node is no peer any more
	tries    uint  // to connect in vain, since there was a connection
	dials    int   // the number of the last try
	pong     int64 // the last answer, by the clock of from
	bytes    int64 // that are on the way
	marked   [][]byte
	wait     replication.Waiter // of the last of them
	wire     []frame            // in the order of sending
	last     int64              // when what was sent last arrives
	quiet    int64              // nothing arrives before, as TCP waits until it tries again
	stuck    bool               // something should have arrived, but for a cut
}

// frame is a message on its way.
type frame struct {
	data []byte
	at   int64 // when it arrives
}

// SetPeers implements node.Links.
func (ls *links) SetPeers(ids []store.NodeID) {
	was := ls.peers
	ls.peers, ls.order = make(map[store.NodeID]*link, len(ids)), ls.order[:0]
	for _, id := range ids {
		if ls.peers[id] != nil || id == ls.p.id {
			continue
		}
		l := was[id]
		if l == nil {
			to := ls.p.s.find(id)
			l = &link{all: ls, from: ls.p, to: to, pong: ls.p.clock()}
			l.dial(0)
		}
		ls.peers[id] = l
		ls.order = append(ls.order, l)
	}
	for _, p := range ls.p.s.procs {
		if l := was[p.id]; l != nil && ls.peers[p.id] == nil {
			l.gone = true
			l.drop()
		}
	}
}

// whole reports whether there is a connection to every peer.
func (ls *links) whole() bool {
	return !slices.ContainsFunc(ls.order, func(l *link) bool { return !l.up })
}

// idle reports whether nothing is on its way to the peers.
func (ls *links) idle() bool {
	return !slices.ContainsFunc(ls.order, func(l *link) bool { return l.up && l.bytes > 0 })
}

// Part implements node.Links. The owner of the node waits until nothing is on its way.
func (ls *links) Part(context.Context) {}

// Close implements node.Links.
func (ls *links) Close() {}

// Stats implements node.Links.
func (ls *links) Stats() (framesSent, framesReceived, bytesSent, bytesReceived int64) { return }

// Room implements node.Links.
func (ls *links) Room(to store.NodeID) bool {
	l := ls.peers[to]
	return l != nil && l.up && l.bytes < ls.most/2
}

// State implements node.Links. Pings are not sent one by one: what they would
// have found out is known.
func (ls *links) State(id store.NodeID) (st replication.LinkState) {
	l := ls.peers[id]
	if l == nil {
		return st
	}
	st = replication.LinkState{Up: l.up, Pong: l.pong, Terms: l.up}
	if l.up {
		st.Session, st.Outbox, st.Pong, st.Boot = l.session, int(l.bytes), l.answered(), uint64(l.to.life)
	}
	if ls.p.clock()-st.Pong > pingTime {
		st.PingSent = st.Pong + pingTime
	}
	return st
}

// answered returns when the peer last answered on a connection, by the clock of
// the node that asked.
func (l *link) answered() int64 {
	s := l.from.s
	return l.from.clock() - max(0, s.now-s.net.bad(l.from, l.to))
}

// Post implements node.Links.
func (ls *links) Post(to store.NodeID, frames []byte, wait replication.Waiter) bool {
	l := ls.peers[to]
	ls.p.s.clients.overhear("posts", l, frames)
	if l == nil || !l.up {
		return false
	}
	if l.bytes > 0 && l.bytes+int64(len(frames)) > ls.most {
		l.drop()
		return false
	}
	s := ls.p.s
	if kind(frames) == store.MsgDropped {
		s.clients.handedOver(ls.p, frames)
	}
	s.net.messages++
	s.net.bytes += int64(len(frames))
	l.bytes += int64(len(frames))
	frames = append([]byte(nil), frames...)
	if wait == nil {
		l.send(frames)
		return true
	}
	if l.marked = append(l.marked, frames); l.wait == nil {
		l.commit()
	}
	l.wait = wait
	return true
}

// commit sends what depends on the log when that is safe.
func (l *link) commit() {
	session := l.session
	l.from.in(l.from.latency(), func() {
		if !l.up || l.session != session {
			return
		}
		frames, wait := l.marked, l.wait
		l.marked, l.wait = nil, nil
		if wait.Wait() != nil {
			l.drop()
			return
		}
		for _, f := range frames {
			l.send(f)
		}
	})
}
