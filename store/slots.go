package store

// State is where a job is in its life; DESIGN.md draws the machine. The names
// and their order are the protocol's.
type State uint8

const (
	WaitRepl  State = iota // not yet on enough nodes
	Active                 // known here, not queued: delayed, delivered or a replica
	Queued                 // waiting for a consumer
	Acked                  // acknowledged, waiting for its collection
	Dead                   // failed too often, or buried: not delivered, until it is put back
	NumStates              // how many there are
)

var stateNames = [NumStates]string{"wait-repl", "active", "queued", "acked", "dead"}

func (s State) String() string { return stateNames[s] }

// ParseState returns the state of that name.
func ParseState(name string) (State, bool) {
	for s, n := range stateNames {
		if n == name {
			return State(s), true
		}
	}
	return 0, false
}

// Flags of a slot.
const (
	flagDelivered  = 1 << iota // this node delivered it at least once
	flagQueuedOnce             // it was in its queue before: the next time counts
	flagSpent                  // in the shard's spent set
	flagDelay                  // the chunk begins with the four bytes of DELAY

	turnShift = 4 // above the flags: the number of the delivery, modulo 16
)

// slot is a job. Slots hold no pointers, so that ten million of them are
// nothing to the collector. Times are milliseconds, but for ctime.
type slot struct {
	id      ID
	ctime   int64 // creation, nanoseconds; unique in the shard; the queue's order
	etime   int64 // the end of its TTL
	qtime   int64 // when it goes (back) into its queue; 0: never
	queue   uint32
	body    uint32 // arena ref of delay and body
	bodyLen uint32 // bytes behind body
	retry   uint32 // seconds; 0: at most once
	next    uint32 // timer list
	prev    uint32 // timer list, or its bucket, tagged
	nacks   uint16
	extra   uint16 // additional deliveries
	repl    uint16
	state   State
	flags   uint8
}

const (
	slotSize  = 80 // bytes; a test holds it
	slabSlots = 1024
)

// slots is the slab of a shard's jobs. A handle is a slot's number + 1; 0 is
// none. Slabs that become empty are handed back to the runtime.
type slots struct {
	slabs   []*slab
	free    []uint32 // numbers of slabs that were handed back
	partial []uint32 // slabs with room
	live    int
	termed  int // jobs with terms
}

// The slots of a slab are an allocation of their own: 81,920 bytes are a size
// the runtime does not round up.
type slab struct {
	slot   *[slabSlots]slot
	home   *[slabSlots]uint32 // see home; nil while none of them was journalled
	copies *[slabSlots]copies // see copies; nil while none of them had any
	terms  *[slabSlots]terms  // see terms; nil while none of them had any
	free   uint32             // first free slot's handle within the slab, linked by slot.next
	bump   uint32
	used   uint32
	at     int // position in partial, -1 when full
}

func (s *slots) get(h uint32) *slot {
	h--
	return &s.slabs[h/slabSlots].slot[h%slabSlots]
}

// home returns the segment of the log that a job's newest self-contained record
// is in, or a later one: 0 if it was never journalled, noHome if h is free.
func (s *slots) home(h uint32) uint32 {
	h--
	if homes := s.slabs[h/slabSlots].home; homes != nil {
		return homes[h%slabSlots]
	}
	return 0
}

func (s *slots) setHome(h, segment uint32) {
	h--
	sl := s.slabs[h/slabSlots]
	if sl.home == nil {
		sl.home = new([slabSlots]uint32)
	}
	sl.home[h%slabSlots] = segment
}

// noHome is the home of a free slot: above every segment, so that a search for
// old records passes it by.
const noHome = 1<<32 - 1

// has reports whether h, of a slab that exists, names a live slot.
func (s *slots) has(h uint32) bool { return s.get(h).id != ID{} }

// limit is one past the highest handle ever used in the last slab.
func (s *slots) limit() uint32 {
	k := len(s.slabs)
	if k == 0 {
		return 1
	}
	last := uint32(0)
	if sl := s.slabs[k-1]; sl != nil {
		last = sl.bump
	}
	return uint32(k-1)*slabSlots + last + 1
}

// alloc returns a zeroed slot.
func (s *slots) alloc() (uint32, *slot) {
	num, sl := s.room()
	i := sl.free
	if i != 0 {
		sl.free = sl.slot[i-1].next
	} else {
		sl.bump++
		i = sl.bump
	}
	sl.used++
	s.live++
	if sl.used == slabSlots {
		s.detach(sl)
	}
	sl.slot[i-1] = slot{}
	if sl.home != nil {
		sl.home[i-1] = 0
	}
	return num*slabSlots + i, &sl.slot[i-1]
}

func (s *slots) room() (uint32, *slab) {
	if k := len(s.partial); k > 0 {
		return s.partial[k-1], s.slabs[s.partial[k-1]]
	}
	sl := &slab{slot: new([slabSlots]slot)}
	var num uint32
	if k := len(s.free); k > 0 {
		num = s.free[k-1]
		s.free = s.free[:k-1]
		s.slabs[num] = sl
	} else {
		num = uint32(len(s.slabs))
		s.slabs = append(s.slabs, sl)
	}
	s.partial = append(s.partial, num)
	return num, sl
}

func (s *slots) detach(sl *slab) {
	last := s.partial[len(s.partial)-1]
	s.partial[sl.at] = last
	s.slabs[last].at = sl.at
	s.partial = s.partial[:len(s.partial)-1]
	sl.at = -1
}

func (s *slots) release(h uint32) {
	num, i := (h-1)/slabSlots, (h-1)%slabSlots
	sl := s.slabs[num]
	sl.slot[i] = slot{next: sl.free}
	if sl.home != nil {
		sl.home[i] = noHome
	}
	sl.free = i + 1
	sl.used--
	s.live--
	if sl.at < 0 {
		sl.at = len(s.partial)
		s.partial = append(s.partial, num)
	}
	if sl.used == 0 && len(s.partial) > 1 {
		s.detach(sl)
		s.slabs[num] = nil
		s.free = append(s.free, num)
	}
}
