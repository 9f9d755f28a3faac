package store

import (
	"bytes"

	"github.com/tidwall/btree"
)

// Pause is the set of directions in which a queue is paused.
type Pause uint8

const (
	PauseIn  Pause = 1 << iota // nothing is added
	PauseOut                   // nothing is delivered
)

// String returns the protocol's name of the set.
func (p Pause) String() string {
	return [...]string{"none", "in", "out", "all"}[p&(PauseIn|PauseOut)]
}

// queue is a named queue of this shard. The name stays interned while a job
// refers to it; only a live queue is visible to users. A queue comes to life
// with its first queued job, waiter or pause, and dies when it was idle.
type queue struct {
	name    string
	num     uint32 // position in shard.queues
	refs    int    // jobs that belong to it, queued or not
	live    bool
	pause   Pause
	home    uint32                // segment of the log with its settings, or a later one; 0: none
	jobs    *line                 // queued jobs in order of delivery
	dead    *btree.BTreeG[uint32] // dead jobs, the oldest first; nil: there never was one
	waiters waitList
	ctime   int64  // came to life
	atime   int64  // last queued or delivered
	counts  Counts // of Jobs only some, see countsOf
	need    *need  // how it gets jobs from other nodes; nil: it never did

	waitedNext, waitedPrev *queue // among those with waiters
}

// before is the order of delivery: creation time, then id.
func (s *Shard) before(a, b uint32) bool {
	x, y := s.slots.get(a), s.slots.get(b)
	if x.ctime != y.ctime {
		return x.ctime < y.ctime
	}
	return bytes.Compare(x.id[:], y.id[:]) < 0
}

func (s *Shard) newOrder() *btree.BTreeG[uint32] {
	return btree.NewBTreeGOptions(s.before, btree.Options{NoLocks: true})
}

// lookup returns the interned queue of that name, live or not.
func (s *Shard) lookup(name []byte) *queue { return s.names[string(name)] }

// intern returns the queue of that name, made if need be. The name is copied.
func (s *Shard) intern(name []byte) (*queue, error) {
	if q := s.names[string(name)]; q != nil {
		return q, nil
	}
	if s.limits.Queues != nil && !s.limits.Queues.Take() {
		return nil, ErrTooManyQueues
	}
	q := &queue{name: string(name)}
	if k := len(s.freeQueues); k > 0 {
		q.num = s.freeQueues[k-1]
		s.freeQueues = s.freeQueues[:k-1]
		s.queues[q.num] = q
	} else {
		q.num = uint32(len(s.queues))
		s.queues = append(s.queues, q)
	}
	s.names[q.name] = q
	s.used += queueCost(len(q.name))
	return q, nil
}

// forget drops a queue that nothing refers to any more.
func (s *Shard) forget(q *queue) {
	if q.live || q.refs > 0 {
		return
	}
	delete(s.names, q.name)
	s.queues[q.num] = nil
	s.freeQueues = append(s.freeQueues, q.num)
	s.used -= queueCost(len(q.name))
	if s.limits.Queues != nil {
		s.limits.Queues.Give()
	}
}

// awaken makes q visible.
func (s *Shard) awaken(q *queue, now int64) {
	if q.live {
		return
	}
	q.live = true
	q.ctime, q.atime = now, now
	q.need = nil
	q.counts.Events = [numEvents]uint64{}
	if q.jobs == nil {
		q.jobs = s.newLine()
	}
	s.liveQueues++
}

// idle reports whether a live queue may die at now.
func (q *queue) idle(now, limit int64) bool {
	return q.live && q.pause == 0 && q.jobs.Len() == 0 && q.waiters.len == 0 && (q.dead == nil || q.dead.Len() == 0) && now-q.atime > limit
}

// Sweep looks at up to n queues, round robin, and drops those that hold no
// queued or dead job, no waiter and no pause and were idle for longer than limit
// milliseconds.
func (s *Shard) Sweep(now, limit int64, n int) {
	for range min(n, len(s.queues)) {
		s.sweepAt++
		if s.sweepAt >= len(s.queues) {
			s.sweepAt = 0
		}
		if q := s.queues[s.sweepAt]; q != nil && q.idle(now, limit) {
			q.live = false
			q.jobs = nil
			s.liveQueues--
			s.forget(q)
		}
	}
}

// QueueStat is what QSTAT tells of a queue. Times in milliseconds.
type QueueStat struct {
	Name    string
	Live    bool // commands know it
	Len     int
	Created int64
	Active  int64 // last queued or delivered
	Blocked int   // consumers waiting
	Pause   Pause
	From    Set   // nodes that gave jobs of late
	Rate    int   // jobs they gave a second
	Oldest  int64 // when the oldest of the queued jobs was created, nanoseconds; 0: there is none
	Counts  Counts
}

func (q *queue) stat(now int64) QueueStat {
	st := QueueStat{
		Name: q.name, Live: q.live, Created: q.ctime, Active: q.atime, Blocked: q.waiters.len, Pause: q.pause,
		Rate: q.need.rate(now), Counts: q.countsOf(),
	}
	if q.jobs != nil {
		st.Len = q.jobs.Len()
		if h, ok := q.jobs.Oldest(); ok {
			st.Oldest = q.jobs.s.slots.get(h).ctime
		}
	}
	if q.need != nil {
		for _, g := range q.need.givers {
			if now-g.at <= giverLasts {
				st.From = st.From.With(g.node)
			}
		}
	}
	return st
}

// Stat returns the figures of a live queue.
func (s *Shard) Stat(now int64, name []byte) (QueueStat, bool) {
	if q := s.lookup(name); q != nil && q.live {
		return q.stat(now), true
	}
	return QueueStat{}, false
}

// Len returns how many jobs are queued under that name.
func (s *Shard) Len(name []byte) int {
	if q := s.lookup(name); q != nil && q.live {
		return q.jobs.Len()
	}
	return 0
}

// PauseState returns the pause of a queue.
func (s *Shard) PauseState(name []byte) Pause {
	if q := s.lookup(name); q != nil {
		return q.pause
	}
	return 0
}

// SetPause sets the pause of a queue, making the queue only if it is to be
// paused. Jobs that this makes deliverable go to the waiters. With bcast the
// other nodes are told to do the same, those as well whose link is silent: who
// was told of the pause just before must not miss its end.
func (s *Shard) SetPause(now int64, name []byte, p Pause, bcast bool, fx *Effects) error {
	if bcast {
		s.send(now, s.view.Known, false, &Message{Kind: MsgPause, Queue: name, Count: uint32(p)}, fx)
	}
	q := s.lookup(name)
	if p == 0 && (q == nil || q.pause == 0) {
		return nil
	}
	if q == nil {
		var err error
		if q, err = s.intern(name); err != nil {
			return err
		}
	}
	s.awaken(q, now)
	if q.pause != p {
		q.pause = p
		s.putQueue(q, fx)
	}
	s.serve(now, q, fx)
	return nil
}

// Peek calls yield with the queued jobs from the from-th on, up to n of them,
// in order of delivery or, with newest set, in the opposite one, until yield
// returns false. It returns how many yield took.
func (s *Shard) Peek(name []byte, from, n int, newest bool, yield func(*Job) bool) (seen int) {
	q := s.lookup(name)
	if q == nil || !q.live {
		return 0
	}
	for end := min(from+n, q.jobs.Len()); from+seen < end; seen++ {
		at := from + seen
		if newest {
			at = q.jobs.Len() - 1 - at
		}
		if h, _ := q.jobs.GetAt(at); !yield(s.look(h)) {
			break
		}
	}
	return seen
}
