package store

// Classes is a set of classes of jobs.
type Classes uint8

// Purgeable are the classes of jobs that may be purged: all but those that are
// acknowledged already.
const Purgeable Classes = 1<<ClassWaiting | 1<<ClassActive | 1<<ClassDelayed | 1<<ClassQueued | 1<<ClassDead

// Of returns the set of a class.
func (c Class) Of() Classes { return 1 << c }

// Newest returns the time, nanoseconds, up to which jobs are created that this
// node knows now; with foreign those that came from nodes whose clocks are ahead.
// What this node adds later is created later, unless foreign is set.
func (s *Shard) Newest(now int64, foreign bool) int64 {
	newest := max(now*1e6+999_999, s.lastCtime)
	if foreign {
		newest = max(newest, s.newest)
	}
	return newest
}

// Purge deletes jobs of a queue that are of the given classes and were created up
// to the time until, nanoseconds, as if they were acknowledged: their other
// holders forget them, too. It looks at up to n jobs from position pos on (0 to
// begin with), and returns the position to go on from, -1 at the end, and how
// many it deleted.
func (s *Shard) Purge(now int64, name []byte, which Classes, until, pos int64, n int, fx *Effects) (next int64, deleted int) {
	q := s.lookup(name)
	if q == nil {
		return -1, 0
	}
	meant := func(h uint32) bool {
		return which>>s.class(h)&1 != 0 && s.slots.get(h).ctime <= until
	}
	for ; deleted < n && len(fx.Outbox.Buf) < mailMost; deleted++ {
		h := uint32(0)
		if q.dead != nil {
			h, _ = q.dead.Min()
		}
		if h == 0 || !meant(h) {
			if h = 0; q.live {
				h, _ = q.jobs.Oldest()
			}
		}
		if h == 0 || !meant(h) {
			break
		}
		s.purge(now, h, q, fx)
	}
	switch q = s.lookup(name); {
	case q == nil:
		return -1, deleted
	case deleted == n || len(fx.Outbox.Buf) >= mailMost:
		return pos, deleted
	}
	rest := which & (1<<ClassWaiting | 1<<ClassActive | 1<<ClassDelayed)
	left := 0
	for k, n := range q.countsOf().Jobs {
		if rest>>k&1 != 0 {
			left += n
		}
	}
	if left == 0 {
		return -1, deleted
	}
	num := q.num
	next = s.walk(pos, n-deleted, func(h uint32) {
		if s.slots.get(h).queue == num && rest>>s.class(h)&1 != 0 && meant(h) {
			s.purge(now, h, s.queues[num], fx)
			deleted++
		}
	})
	return next, deleted
}

func (s *Shard) purge(now int64, h uint32, q *queue, fx *Effects) {
	s.happened(q, EventPurged)
	s.acknowledge(now, h, s.slots.get(h), fx)
}

// PurgeElsewhere tells the other nodes to do the same.
func (s *Shard) PurgeElsewhere(now int64, name []byte, which Classes, until int64, fx *Effects) {
	s.send(now, s.view.Known, true, &Message{Kind: MsgPurge, Queue: name, Count: uint32(which), Who: Self, Left: until}, fx)
}
