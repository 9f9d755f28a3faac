package sim

import (
	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/store"
)

// dial tries to connect, again and again, in place of what was going to be tried.
func (l *link) dial(after int64) {
	l.dials++
	dial := l.dials
	l.from.in(after, func() {
		s := l.from.s
		if l.up || l.gone || l.dials != dial {
			return
		}
		took := l.latency() + l.latency()
		if s.net.bad(l.from, l.to) <= s.now {
			l.tries++
			l.dial(took + min(second, int64(50)<<min(l.tries, 5)) + s.rng.Int64N(50))
			return
		}
		l.from.in(took, func() {
			if l.up || l.gone || l.dials != dial {
				return
			}
			if s.net.bad(l.from, l.to) <= s.now {
				l.dial(0)
				return
			}
			l.up, l.tries = true, 0
			l.session++
			l.bytes, l.last, l.pong = 0, s.now, l.from.clock()
			l.all.o.Changed()
			l.to.on(l.to.life, l.back)
		})
	})
}

// back has the peer connect to who has just connected to it, if it had given up for a
// while.
func (l *link) back() {
	if b := l.to.link.peers[l.from.id]; b != nil && !b.up && b.tries > 0 {
		b.tries = 0
		b.dial(25)
	}
}

// dial connects a process that has begun to live with its peers.
func (ls *links) dial() {
	for _, l := range ls.order {
		l.dial(0)
	}
}

// drop ends a connection. What is on its way is lost.
func (l *link) drop() {
	if !l.up {
		return
	}
	s := l.from.s
	l.pong, l.up = l.answered(), false
	l.session++
	l.marked, l.wait, l.wire, l.bytes, l.stuck, l.quiet = nil, nil, nil, 0, false, 0
	s.hash.add(uint64(s.now), uint64(l.from.num), uint64(l.to.num), 2)
	if l.from.alive && !l.gone {
		l.from.in(0, func() { l.all.o.Changed() })
		l.dial(25 + s.rng.Int64N(25))
	}
}

// latency is how long a message is on the way, milliseconds.
func (l *link) latency() int64 {
	s := l.from.s
	w := &s.swarm
	ms := 1 + s.rng.Int64N(w.latency)
	if w.loss > 0 && s.rng.IntN(1000) < w.loss {
		ms += 200 // TCP sends it again
	}
	if lag := s.net.lag[[2]int{l.from.num, l.to.num}]; lag > 0 {
		ms += lag/2 + s.rng.Int64N(lag)
	}
	return ms
}

// send puts a frame on the wire.
func (l *link) send(data []byte) {
	s := l.from.s
	w := &s.swarm
	at := max(s.now+l.latency(), l.last)
	l.last = at
	if w.wild > 0 && s.rng.IntN(1000) < w.wild && mayStray(data) {
		switch s.rng.IntN(3) {
		case 0: // it comes twice
			l.stray(data)
		case 1: // it comes out of its order
			l.stray(data)
			l.bytes -= int64(len(data))
			return
		case 2: // it never comes
			l.bytes -= int64(len(data))
			return
		}
	}
	l.wire = append(l.wire, frame{data, at})
	s.agenda.add(at, l.arrive)
}

// mayStray reports whether a frame may come twice, out of its order or not at
// all, which TCP does not do. The protocol stands that but for jobs that are at
// most once: that only one node has them hangs on their order.
func mayStray(data []byte) bool {
	m, err := open(data)
	return err == nil && !m.ID.AtMostOnce()
}

// kind returns what the message in a frame is about.
func kind(data []byte) store.Kind { return store.Kind(data[replication.FrameOverhead-1]) }

// open returns the message in a frame. Who the nodes are that it names is not
// known.
func open(data []byte) (*store.Message, error) {
	return store.DecodeMessage(kind(data), data[replication.FrameOverhead:], replication.NewRoll(store.NodeID{}))
}

// stray has a frame arrive at some time, whatever else is on its way.
func (l *link) stray(data []byte) {
	s, session := l.from.s, l.session
	s.in(1+s.rng.Int64N(2*second), func() {
		if l.up && l.session == session && s.net.bad(l.from, l.to) > s.now {
			l.deliver(data)
		}
	})
}

// arrive takes off the wire what has come to its end.
func (l *link) arrive() {
	s := l.from.s
	for l.up && s.now >= l.quiet && len(l.wire) > 0 && l.wire[0].at <= s.now {
		if _, cut := s.net.cuts[[2]int{l.from.num, l.to.num}]; cut {
			l.stick()
			return
		}
		data := l.wire[0].data
		l.wire = l.wire[1:]
		l.bytes -= int64(len(data))
		l.deliver(data)
	}
}

// stick drops the connection if nothing arrives for too long.
func (l *link) stick() {
	if l.stuck {
		return
	}
	l.stuck = true
	session := l.session
	l.from.s.in(stuckFor, func() {
		if l.up && l.session == session && l.stuck {
			l.drop()
		}
	})
}

// flow goes on after a cut: TCP tries again, when it is time for that.
func (l *link) flow() {
	s := l.from.s
	if !l.stuck {
		return
	}
	l.stuck = false
	l.quiet = s.now + s.rng.Int64N(second)
	s.agenda.add(l.quiet, l.arrive)
}

// deliver hands a frame to the node that it came to.
func (l *link) deliver(data []byte) {
	session := l.session
	l.to.on(l.to.life, func() {
		s := l.from.s
		typ, payload := byte(kind(data)), data[replication.FrameOverhead:]
		s.hash.add(uint64(s.now), uint64(l.from.num), uint64(l.to.num), uint64(typ))
		s.hash.bytes(payload)
		s.clients.overhear("tells", l, data)
		l.to.link.o.Receive(l.from.id, session, typ, payload)
	})
}
