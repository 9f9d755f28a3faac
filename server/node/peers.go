package node

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/cluster/crowd"
	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/store"
)

// Bus is how a node reaches others. Its functions may be called from any
// goroutine.
type Bus struct {
	Name    string                                                 // of the cluster: only nodes of the same talk to each other
	Dial    func(ctx context.Context, id string) (net.Conn, error) // a link to a peer
	Heard   func(id, host string, port, busPort int)               // a peer said where it is; may be nil
	Address func() (host string, port, busPort int)                // of this node, as others shall reach it
	Timeout func() time.Duration                                   // silence after which a peer is suspected
	Log     *slog.Logger
	Links   func(replication.Options) Links // what carries messages; nil: connections that Dial makes
}

// Links carry messages to peers and from them, as *replication.Links does, which
// says what is asked of them.
type Links interface {
	SetPeers(ids []store.NodeID)
	Post(to store.NodeID, frames []byte, wait replication.Waiter) bool
	State(id store.NodeID) replication.LinkState
	Room(to store.NodeID) bool
	Stats() (framesSent, framesReceived, bytesSent, bytesReceived int64)
	Part(ctx context.Context)
	Close()
}

// Peer is another node of the cluster.
type Peer struct {
	ID      string
	Failed  bool // known to be dead
	Leaving bool // takes no copies
}

// peers are the other nodes and the links to them.
type peers struct {
	bus   Bus
	roll  *replication.Roll
	links Links
	view  atomic.Pointer[store.View]
	size  atomic.Int64 // nodes of the cluster, this one included

	mu      sync.Mutex
	list    map[store.NodeID]*member
	looked  int64    // when lookAtPeers last did
	forget  []uint16 // numbers of nodes that are to be taken out of all sets of holders
	purges  []purge  // that peers asked for, see purgeSome
	reborn  []uint16 // numbers of peers that have begun anew, see rouse
	members atomic.Pointer[map[store.NodeID]uint16]

	rouse     atomic.Bool  // a peer came that may take copies
	resetting sync.RWMutex // held for writing while all is forgotten

	refused atomic.Int64 // messages that no node can have sent
	unknown atomic.Int64 // messages of kinds that this program does not know
	lines   *crowd.Lines // about them
}

type member struct {
	Peer
	number  uint16
	since   int64
	suspect bool
	terms   bool // it said that it knows the terms of jobs
	boot    uint64
}

func (n *Node) initPeers(bus *Bus) {
	p := &n.peers
	p.roll = replication.NewRoll(nodeID(n.ID()))
	p.list = map[store.NodeID]*member{}
	p.members.Store(&map[store.NodeID]uint16{})
	p.view.Store(&store.View{})
	p.size.Store(1)
	p.lines = crowd.NewLines(nil)
	if bus == nil {
		return
	}
	p.bus, p.lines = *bus, crowd.NewLines(bus.Log)
	connect := bus.Links
	if connect == nil {
		connect = func(o replication.Options) Links { return replication.NewLinks(o) }
	}
	p.links = connect(replication.Options{
		Self: n.hello, Receive: n.receive, Now: n.now, Timeout: bus.Timeout, Memory: n.memory, Log: bus.Log,
		Dial: func(ctx context.Context, id store.NodeID) (net.Conn, error) {
			return bus.Dial(ctx, hex.EncodeToString(id[:]))
		},
		Heard: func(h replication.Hello, remote net.Addr) {
			if bus.Heard != nil {
				bus.Heard(hex.EncodeToString(h.ID[:]), h.Host, int(h.Port), int(h.BusPort))
			}
		},
		Changed:  n.lookAtPeers,
		MaxFrame: maxFrame,
	})
}

// maxFrame bounds what a peer may send in one message: the largest job that the
// configuration allows, and what stands around it.
const maxFrame = 512<<20 + 1<<20

// nodeID returns the bytes of an id of 40 hexadecimal digits.
func nodeID(id string) (out store.NodeID) {
	_, _ = hex.Decode(out[:], []byte(id))
	return out
}

func (n *Node) hello() replication.Hello {
	h := replication.Hello{ID: nodeID(n.ID()), Cluster: n.peers.bus.Name, Leaving: n.Leaving(), Terms: true, Boot: n.boot}
	host, port, busPort := n.peers.bus.Address()
	h.Host, h.Port, h.BusPort = host, uint16(port), uint16(busPort)
	return h
}

// AcceptLink takes a connection that a peer opened to this node's bus.
func (n *Node) AcceptLink(nc net.Conn) {
	links, ok := n.peers.links.(*replication.Links)
	if !ok {
		_ = nc.Close()
		return
	}
	links.Accept(nc)
}

// RenewLinks has links begin anew whose connections are stale, see
// [replication.Links.Renew].
func (n *Node) RenewLinks(stale func(net.Conn) bool) {
	if links, ok := n.peers.links.(*replication.Links); ok {
		links.Renew(stale)
	}
}

// SetPeers says who else is in the cluster, dead or alive. Those that are not
// named any more hold no copies.
func (n *Node) SetPeers(list []Peer) {
	n.peers.resetting.RLock()
	defer n.peers.resetting.RUnlock()
	n.setPeers(list)
}

func (n *Node) setPeers(list []Peer) {
	p := &n.peers
	p.mu.Lock()
	fresh := make(map[store.NodeID]*member, len(list))
	members := make(map[store.NodeID]uint16, len(list))
	ids := make([]store.NodeID, 0, len(list))
	for _, peer := range list {
		ids = append(ids, nodeID(peer.ID))
	}
	numbers := p.roll.Members(ids)
	linked := ids[:0]
	for i, peer := range list {
		id, number := ids[i], numbers[i]
		if number == store.Self {
			continue
		}
		m := p.list[id]
		if m == nil {
			m = &member{number: number, since: n.now()}
		}
		m.Peer = peer
		fresh[id], members[id] = m, number
		linked = append(linked, id)
	}
	for id, m := range p.list {
		if fresh[id] == nil {
			p.forget = append(p.forget, m.number)
		}
	}
	slices.Sort(p.forget) // a map has no order
	back := func(number uint16) bool { return fresh[p.roll.ID(number)] != nil }
	p.forget = slices.DeleteFunc(p.forget, back)
	p.list = fresh
	p.members.Store(&members)
	p.size.Store(int64(1 + len(fresh)))
	p.mu.Unlock()
	if p.links != nil {
		p.links.SetPeers(linked)
	}
	n.lookAtPeers()
	n.timers.sooner(0, false)
}

// lookAtPeers finds out which peers can be reached.
func (n *Node) lookAtPeers() {
	p := &n.peers
	if p.links == nil {
		return
	}
	now, timeout := n.now(), p.bus.Timeout().Milliseconds()
	was, v := p.view.Load(), &store.View{Leaving: n.Leaving(), Ending: n.ending.Load()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now-p.looked > timeout/2 {
		for _, m := range p.list { // this process was asleep: nobody is to blame for the silence
			m.since = now
		}
	}
	p.looked = now
	var known, reachable, linked, terms []uint16
	for id, m := range p.list {
		st := p.links.State(id)
		m.suspect = now-max(st.Pong, m.since) > timeout
		known = append(known, m.number)
		if st.Up {
			m.terms = st.Terms
			if m.boot != 0 && st.Boot != m.boot {
				p.reborn = append(p.reborn, m.number)
				p.rouse.Store(true)
			}
			m.boot = st.Boot
		}
		if m.terms {
			terms = append(terms, m.number)
		}
		if m.Failed || m.Leaving || m.suspect {
			continue
		}
		reachable = append(reachable, m.number)
		if st.Up && p.links.Room(id) && (st.PingSent == 0 || now-st.PingSent < deaf) {
			linked = append(linked, m.number)
		}
	}
	v.Known, v.Reachable, v.Linked = store.SetOf(known...), store.SetOf(reachable...), store.SetOf(linked...)
	v.Terms = store.SetOf(terms...)
	if !v.Linked.In(was.Linked) {
		p.rouse.Store(true)
	}
	p.view.Store(v)
}

// deaf is how long a link may leave a ping unanswered before other peers are
// preferred, milliseconds.
const deaf = 1000

// PeerState is what a node knows of the link to a peer. Times are milliseconds
// of the node's clock.
type PeerState struct {
	Linked         bool
	Suspect        bool  // nothing was heard for longer than the timeout
	PingSent, Pong int64 // PingSent is 0 if no ping is unanswered, Pong if there was none
	RTT            time.Duration
	Outbox         int // bytes that wait to be sent

	MemoryUsed, MemoryMax int64 // bytes, as it said last; 0: it never did, or has no bound
}

// PeerState returns what is known of the link to a peer.
func (n *Node) PeerState(id string) (st PeerState) {
	p := &n.peers
	if p.links == nil {
		return st
	}
	l := p.links.State(nodeID(id))
	st = PeerState{Linked: l.Up, PingSent: l.PingSent, Pong: l.Pong, RTT: l.RTT, Outbox: l.Outbox, MemoryUsed: l.MemoryUsed, MemoryMax: l.MemoryMax}
	p.mu.Lock()
	defer p.mu.Unlock()
	if m := p.list[nodeID(id)]; m != nil {
		st.Suspect = m.suspect
	}
	return st
}

// LinkStats returns how many messages and bytes the links sent and received.
func (n *Node) LinkStats() (sent, received, bytesSent, bytesReceived int64) {
	if n.peers.links == nil {
		return 0, 0, 0, 0
	}
	return n.peers.links.Stats()
}

// Reachable returns how many peers could hold a copy of a job.
func (n *Node) Reachable() int { return n.peers.view.Load().Reachable.Len() }

// suitable returns how many peers could hold a copy of a job with terms: those
// of an earlier version do not know what to do with it.
func (n *Node) suitable() int {
	v := n.peers.view.Load()
	return v.Reachable.And(v.Terms).Len()
}

// Size returns how many nodes the cluster has, this one included, dead ones too.
func (n *Node) Size() int { return int(n.peers.size.Load()) }

// Names returns the ids of nodes.
func (n *Node) Names(set store.Set) []string {
	names := make([]string, 0, set.Len())
	set.Each(func(number uint16) bool {
		id := n.peers.roll.ID(number)
		names = append(names, hex.EncodeToString(id[:]))
		return true
	})
	return names
}

// forgetBatch is how many jobs are looked at under one hold of a lock.
const forgetBatch = 512

// forgetLeft takes the nodes that are no members any more out of the holders of
// all jobs.
func (n *Node) forgetLeft() {
	n.peers.mu.Lock()
	left := n.peers.forget
	n.peers.forget = nil
	n.peers.mu.Unlock()
	for k, number := range left {
		for i := range n.shards {
			for pos := int64(0); pos >= 0; {
				err := n.apply(&n.shards[i], forJobs(forgetBatch), &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
					pos = s.Forget(now, number, pos, forgetBatch, fx)
				})
				if err != nil { // no room in the log: later
					n.peers.mu.Lock()
					n.peers.forget = append(n.peers.forget, left[k:]...)
					n.peers.mu.Unlock()
					return
				}
			}
		}
	}
}

// settleMost bounds the wait for messages that are on their way.
const settleMost = 500 * time.Millisecond

// SettleLinks waits until the peers were sent what there is to tell them, as far
// as they can be reached, half a second at most.
func (n *Node) SettleLinks() {
	p := &n.peers
	if p.links == nil {
		return
	}
	for end := time.Now().Add(settleMost); time.Now().Before(end); time.Sleep(time.Millisecond) {
		waiting := 0
		for id := range *p.members.Load() {
			waiting += p.links.State(id).Outbox
		}
		if waiting == 0 {
			return
		}
	}
}

// Reset forgets all peers, jobs and queues, and gives the node another id if
// that is not "".
func (n *Node) Reset(id string, m *Mark) error {
	n.peers.resetting.Lock()
	defer n.peers.resetting.Unlock()
	n.setPeers(nil)
	if err := n.Flush(m); err != nil {
		return err
	}
	if id != "" {
		n.SetID(id)
	}
	n.peers.mu.Lock()
	n.peers.forget = nil
	n.peers.mu.Unlock()
	n.peers.roll.Reset(nodeID(n.ID()))
	return nil
}
