package store

// copies is what a shard knows of the other nodes that hold a job. A job that no
// other node ever held has none.
type copies struct {
	holders   uint64 // nodes that may hold the job, by number; see Shard.wide for more
	confirmed uint64 // of those: that hold it for sure while it spreads, that collected it once it is acked
	ptime     int64  // when the protocol acts next for the job, milliseconds; 0: never
	until     int64  // how long said is true
	who       uint16 // of whom said is true
	sync      uint16 // copies that ADDJOB waits for
	number    uint32 // of the latest statement that this node made or believed
	said      said
	flags     uint8
	tries     uint8 // how often ptime was set anew
	asked     asked // how far the holders were asked whether it may be queued here
	turn      uint8 // of the delivery by which it was moved, see flagMoved
}

// said is what is known of where a job is: in the queue of a node, or delivered
// by one and leased to its consumer. For the own node it is what others are told.
type said uint8

const (
	saidNothing said = iota
	saidQueued
	saidLeased
)

// asked is how far the holders of a job were asked, before it is queued here.
type asked uint8

const (
	askNobody    asked = iota // nobody yet
	askedOne                  // the node that is said to have it, now and then all
	yieldedEarly              // and one that asked, too, is let go first; all are asked yet
	askedAll                  // all holders, at the end
	yielded                   // and one that asked, too, was let go first
	neverAsked                // there is no need to
)

// Flags of copies.
const (
	flagHas      = 1 << iota // the job has copies: this is not an empty place
	flagOrigin               // this node spreads the job until as many nodes as wanted hold it
	flagExternal             // this node holds no copy: it only spreads the job
	flagMoved                // an at-most-once job that another node has: it was given away or is kept for it, not delivered
	flagDrain                // another node is asked to take this one's copy
	flagWide                 // Shard.wide has more of holders and confirmed
	flagGiven                // this node, which is about to end, gave it away and was not told yet that it was taken; see Retire
)

// copiesSize is the bytes of copies, and what they cost in the accounts.
const copiesSize = 48

// wide is the part of the sets of copies with the numbers from 64 on.
type wide struct{ holders, confirmed []uint16 }

// copies returns what is known of other holders of a job, nil if there never
// was one.
func (s *slots) copies(h uint32) *copies {
	h--
	sl := s.slabs[h/slabSlots]
	if sl.copies == nil {
		return nil
	}
	if c := &sl.copies[h%slabSlots]; c.flags&flagHas != 0 {
		return c
	}
	return nil
}

// addCopies makes room for what is known of other holders of a job. The job is
// its own only holder then.
func (s *Shard) addCopies(h uint32) *copies {
	if c := s.slots.copies(h); c != nil {
		return c
	}
	sl := s.slots.slabs[(h-1)/slabSlots]
	if sl.copies == nil {
		sl.copies = new([slabSlots]copies)
	}
	c := &sl.copies[(h-1)%slabSlots]
	*c = copies{flags: flagHas, holders: 1 << Self, asked: neverAsked}
	switch j := s.slots.get(h); {
	case j.state == Queued: // nobody had to be told
		c.said = saidQueued
	case j.state == Active && j.flags&flagDelivered != 0:
		c.said = saidLeased
	}
	s.used += copiesSize
	return c
}

// dropCopies forgets the other holders of a job.
func (s *Shard) dropCopies(h uint32) {
	c := s.slots.copies(h)
	if c == nil {
		return
	}
	if c.flags&flagWide != 0 {
		delete(s.wide, h)
	}
	*c = copies{}
	s.used -= copiesSize
}

// holders returns the nodes that may hold a job.
func (s *Shard) holders(h uint32) Set {
	c := s.slots.copies(h)
	if c == nil {
		return SetOf(Self)
	}
	return Set{c.holders, s.wide[h].holders}
}

// confirmed returns the nodes that confirmed; see copies.
func (s *Shard) confirmed(h uint32) Set {
	c := s.slots.copies(h)
	if c == nil {
		return Set{}
	}
	return Set{c.confirmed, s.wide[h].confirmed}
}

// setHolders sets the nodes that may hold a job and reports whether that is new.
func (s *Shard) setHolders(h uint32, to Set) bool {
	was := s.holders(h)
	if to.In(was) && was.In(to) {
		return false
	}
	c := s.addCopies(h)
	c.holders = to.low
	s.setWide(h, c, to.high, s.wide[h].confirmed)
	return true
}

// learn adds nodes to those that may hold a job, and journals that if it is new.
// It reports whether it is.
func (s *Shard) learn(h uint32, more Set, fx *Effects) bool {
	if !s.setHolders(h, s.holders(h).Or(more)) {
		return false
	}
	s.noteHolders(h, fx)
	return true
}

// noteHolders journals the nodes that may hold a job.
func (s *Shard) noteHolders(h uint32, fx *Effects) {
	if s.slots.get(h).state == Acked {
		s.put(h, fx)
	} else {
		s.noteSet(h, false, fx)
	}
}

// unconfirmed returns the other holders of a job that did not confirm; see copies.
func (s *Shard) unconfirmed(h uint32) Set { return s.others(h).Minus(s.confirmed(h)) }

func (s *Shard) setConfirmed(h uint32, to Set) {
	c := s.addCopies(h)
	c.confirmed = to.low
	s.setWide(h, c, s.wide[h].holders, to.high)
}

func (s *Shard) setWide(h uint32, c *copies, holders, confirmed []uint16) {
	if len(holders)+len(confirmed) == 0 {
		if c.flags&flagWide != 0 {
			delete(s.wide, h)
			c.flags &^= flagWide
		}
		return
	}
	if s.wide == nil {
		s.wide = map[uint32]wide{}
	}
	s.wide[h] = wide{holders, confirmed}
	c.flags |= flagWide
}

// others returns the holders of a job without this node.
func (s *Shard) others(h uint32) Set { return s.holders(h).Without(Self) }

// state notes what is true of this node from now on: the job is in its queue, or
// leased to its consumer. That is newer than all that this node knows to have
// been said of the job.
func (c *copies) state(what said) {
	if c == nil {
		return
	}
	c.said, c.who = what, Self
	c.number++
}

// clientsWord is by how many numbers what a client says counts more than a
// node's word: it may come to a node that has not heard the latest yet.
const clientsWord = 16

// outrank makes what is stated next count more than what others said just now.
func (c *copies) outrank() {
	if c != nil {
		c.number += clientsWord
	}
}

// heard notes the number of a statement, whether it is believed or not: what this
// node states from now on is newer.
func (c *copies) heard(number uint32) {
	if later(number, c.number) {
		c.number = number
	}
}

// later reports whether the statement with number a is newer than that with b.
// Numbers may wrap around; of any two that differ one is newer.
func later(a, b uint32) bool { return int32(a-b) > 0 || a-b == 1<<31 && a > b }

// leased reports whether a consumer of this node has the job, and until when.
func (c *copies) leased(j *slot, now int64) bool {
	return c.said == saidLeased && c.who == Self && j.state == Active && j.qtime > now
}

// asks reports whether this node has asked others for the job, and has not been
// answered yet.
func (c *copies) asks() bool { return c.asked != askNobody && c.asked != neverAsked }

// The time between what a job's holders are asked and its coming into the queue
// here, milliseconds: first the one that is said to have the job, then all.
const (
	askOneBefore = 500
	askAllBefore = 250
)

// asksAt returns when the holders of a job have to be asked next, if it is to go
// into its queue at qtime.
func (c *copies) asksAt(qtime int64) int64 {
	switch {
	case c == nil || c.asked >= askedAll:
		return qtime
	case c.asked == askedOne, c.asked == yieldedEarly:
		return qtime - askAllBefore
	}
	return qtime - askOneBefore
}

// jitter spreads what many nodes do at the same time: milliseconds, up to mostJitter
// earlier or later.
func (s *Shard) jitter() int64 { return int64(s.random()%(2*mostJitter)) - mostJitter }

const mostJitter = 250

// random returns the next of a sequence of random bits: SplitMix64 (Steele, Lea
// and Flood, OOPSLA 2014).
func (s *Shard) random() uint64 {
	s.seed += 0x9e3779b97f4a7c15
	z := s.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// anyOf returns one of a set that is not empty, at random.
func (s *Shard) anyOf(set Set) uint16 { return set.at(int(s.random() % uint64(set.Len()))) }

// pick returns up to n of the nodes that could take a copy, those with a link
// first, beginning anywhere.
func (s *Shard) pick(n int, not Set) Set {
	var out Set
	for _, from := range [...]Set{s.view.Linked.And(s.view.Reachable), s.view.Reachable.Minus(s.view.Linked)} {
		from = from.Minus(not)
		for ; !from.Empty() && n > 0; n-- {
			x := s.anyOf(from)
			from, out = from.Without(x), out.With(x)
		}
	}
	return out
}
