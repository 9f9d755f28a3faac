package store

import (
	"bytes"
	"slices"
)

// A dummy is an acknowledgement of a job that this node does not know: it is
// kept until a node that does was told. They are bounded in number (Limits) and
// age, and are not journalled: ACKJOB does not count them.
type dummy struct {
	etime     int64
	ptime     int64 // when the nodes are told again
	confirmed Set   // nodes that do not know the job either
	tries     uint8
	wide      bool // all nodes were asked, not just the one that made the job
}

// dummyMost is how long a dummy is kept at most, milliseconds.
const dummyMost = 3600_000

// dummyAck keeps the acknowledgement of an unknown job, and looks for its
// holders. A job that is at most once is not worth it: it is delivered already.
func (s *Shard) dummyAck(now int64, id *ID, fx *Effects) {
	if id.AtMostOnce() || s.view.Known.Empty() {
		return
	}
	d := s.dummies[*id]
	if d == nil {
		if s.limits.Dummies != nil && !s.limits.Dummies.Take() {
			return
		}
		d = &dummy{etime: now + min(dummyMost, int64(id.ttlMinutes())*60_000+60_000)}
		s.dummies[*id] = d
	}
	s.seek(now, id, d, fx)
}

// seek tells who may know the job of a dummy: at first only the node that made
// it, which its id names, if that can be reached.
func (s *Shard) seek(now int64, id *ID, d *dummy, fx *Effects) {
	to := s.view.Known
	if !d.wide {
		if maker, ok := s.maker(id); ok && d.tries == 0 {
			to = SetOf(maker)
		} else {
			d.wide = true
		}
	}
	if s.view.Known.In(d.confirmed) {
		s.dropDummy(id)
		return
	}
	s.send(now, to.Minus(d.confirmed), true, &Message{Kind: MsgSetAck, ID: *id}, fx)
	d.ptime = now + again(d.tries) + s.jitter()
	d.tries = min(d.tries+1, 10)
	s.dummyNext = min(s.dummyNext, d.ptime)
}

// hurryDummies has nodes told soon that have not been, as one may have come back that
// knows the jobs: within ackSoon, so that it does not queue them.
func (s *Shard) hurryDummies(now int64) {
	for id, d := range s.dummies {
		if at := now + int64(id[idRand])*ackSoon/256; at < d.ptime {
			d.ptime = at
			s.dummyNext = min(s.dummyNext, at)
		}
	}
}

const ackSoon = 500 // milliseconds

// maker finds the node that made a job among those with a link.
func (s *Shard) maker(id *ID) (maker uint16, ok bool) {
	s.view.Linked.Each(func(n uint16) bool {
		node := s.limits.Roll.ID(n)
		if ok = bytes.Equal(node[:idTTL-idNode], id[idNode:idTTL]); ok {
			maker = n
		}
		return !ok
	})
	return maker, ok
}

// dummyKnown is told whether a node knows the job of a dummy.
func (s *Shard) dummyKnown(now int64, from uint16, id *ID, known bool, fx *Effects) {
	d := s.dummies[*id]
	if d == nil {
		return
	}
	if known {
		s.dropDummy(id) // it collects
		return
	}
	d.confirmed = d.confirmed.With(from)
	if !d.wide || s.view.Known.In(d.confirmed) {
		d.wide = true
		s.seek(now, id, d, fx)
	}
}

func (s *Shard) dropDummy(id *ID) {
	if s.dummies[*id] == nil {
		return
	}
	delete(s.dummies, *id)
	if s.limits.Dummies != nil {
		s.limits.Dummies.Give()
	}
}

// acked reports whether a job that another node sent was acknowledged here
// before it was known. It is collected then, unless there is no room for it: the
// error says so.
func (s *Shard) acked(now int64, from uint16, m *Message, fx *Effects) (bool, error) {
	if s.dummies[m.ID] == nil {
		return false, nil
	}
	h, err := s.register(now, m, m.Holders.With(from).With(Self), from)
	if err == nil {
		s.dropDummy(&m.ID)
		s.acknowledge(now, h, s.slots.get(h), fx)
	}
	return true, err
}

// tickDummies does what is due for the dummies.
func (s *Shard) tickDummies(now int64, fx *Effects) {
	if s.dummyNext > now {
		return
	}
	s.dummyNext = mostTime
	var due []ID
	for id, d := range s.dummies {
		if at := min(d.ptime, d.etime); at > now {
			s.dummyNext = min(s.dummyNext, at)
		} else {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) // a map has no order
	for _, id := range due {
		d := s.dummies[id]
		if d.etime <= now {
			s.dropDummy(&id)
			continue
		}
		s.seek(now, &id, d, fx)
		if s.dummies[id] != nil {
			s.dummyNext = min(s.dummyNext, d.ptime, d.etime)
		}
	}
}

// Dummy reports whether an acknowledgement of the job, which is not known here,
// is kept, and until when.
func (s *Shard) Dummy(id *ID) (expires int64, ok bool) {
	if d := s.dummies[*id]; d != nil {
		return d.etime, true
	}
	return 0, false
}
