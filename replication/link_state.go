package replication

import (
	"time"

	"github.com/disqo/disqo/store"
)

// LinkState is what is known of a peer by the outbound link to it.
type LinkState struct {
	Up       bool          // there is an established link
	PingSent int64         // ms: when a ping or a dial began that is still unanswered, 0 if none is
	Pong     int64         // ms: when the peer last answered, 0 if it never did
	RTT      time.Duration // of the last answer
	Outbox   int           // bytes that wait to be sent
	Session  uint64        // of the established link, what the peer's Receive is told; 0 without
	Terms    bool          // the peer of the established link knows the terms of jobs
	Boot     uint64        // of the peer of the established link, see Hello; 0 without

	MemoryUsed, MemoryMax int64 // bytes, as the peer said last; a bound of 0: none, or it never said
}

// State returns the state of the link to a peer; the zero state if the node is
// not a peer.
func (l *Links) State(id store.NodeID) LinkState {
	p := l.peer(id)
	if p == nil {
		return LinkState{}
	}
	p.mu.Lock()
	s := LinkState{PingSent: p.asked, Pong: p.pong, RTT: p.rtt, MemoryUsed: p.memoryUsed, MemoryMax: p.memoryMax}
	p.mu.Unlock()
	if k := p.link.Load(); k != nil {
		s.Up, s.Session, s.Outbox, s.Terms, s.Boot = true, k.session, int(k.out.size()), k.terms, k.boot
	}
	return s
}

// Post copies whole frames, made by AppendFrame, into the outbox of a peer. They
// may be sent at once if wait is nil, else when it returns; those with a Waiter
// keep their order, and so do those without; one with a Waiter overtakes none
// that was posted before it. Post returns false if nothing was kept, since there is no established link or too much waits already, which
// drops the link. Post takes no lock but the outbox's own, which is never held
// for long, and may be called under a shard's lock.
//
// What is kept is not promised to arrive: when a link is dropped, everything in
// its outbox is gone.
func (l *Links) Post(to store.NodeID, frames []byte, wait Waiter) bool {
	k := l.link(to)
	return k != nil && k.out.post(frames, wait)
}

// Room reports whether the outbox of a peer is less than half full. There is no
// room without a link.
func (l *Links) Room(to store.NodeID) bool {
	k := l.link(to)
	return k != nil && k.out.hasRoom()
}

// link returns the established link to a peer, nil if there is none.
func (l *Links) link(to store.NodeID) *link {
	if p := l.peer(to); p != nil {
		return p.link.Load()
	}
	return nil
}

// A peer is asked for a sign of life ten times within Timeout, but not more or
// less often than this.
const (
	minPingEvery = 50 * time.Millisecond
	maxPingEvery = time.Second
)

// minDeaf is the shortest time without an answer after which a link is dropped.
const minDeaf = time.Second

// mind pings the peers, and finds the links that are dead or too slow.
func (l *Links) mind() {
	last := l.o.Now()
	for {
		timeout := l.o.Timeout()
		deaf := max(timeout, minDeaf).Milliseconds()
		select {
		case <-time.After(min(max(timeout/10, minPingEvery), maxPingEvery)):
		case <-l.ctx.Done():
			return
		}
		now := l.o.Now()
		// A process that was stopped itself finds everybody silent. Nobody is
		// judged until what arrived meanwhile had its turn to be read.
		fair := now-last <= deaf/2
		last = now
		changed := false
		for _, p := range *l.peers.Load() {
			if fair {
				changed = p.judge(now, timeout.Milliseconds(), deaf) || changed
			}
			p.ping(now)
		}
		if changed {
			l.o.Changed()
		}
	}
}
