package store

import "encoding/binary"

// terms is what a job may have beyond what every job has: its priority, what
// becomes of it when its deliveries fail, and whether it is dead. A job that
// never had any of it has none, and costs nothing.
type terms struct {
	tellAt     int64  // when its holders are told again that it died or lives again, milliseconds; 0: never
	priority   uint32 // lower is more urgent
	base, most uint32 // of the back-off, seconds; 0: there is none
	reason     uint32 // arena ref of what was said when it failed last
	generation uint32 // odd: the job is dead; of two statements that of the higher one counts
	limit      uint16 // failed deliveries after which it dies; 0: never
	tries      uint16 // failed deliveries in this generation, as far as known
	rank       uint16 // how often the priority was changed
	reasonLen  uint16
	told       uint8 // how often tellAt was set anew
	flags      uint8
}

// Flags of terms.
const (
	termsHave = 1 << iota // the job has terms: this is not an empty place
	termsOut              // a consumer got it here, and that did not fail yet
	termsHeld             // it waits after a delivery that failed
	termsNews             // the reason is not in the log yet
)

const (
	// DefaultPriority is that of a job whose producer does not say.
	DefaultPriority = 1024
	// MaxReason bounds the reasons of NACK and BURY, bytes.
	MaxReason = 512

	termsSize = 40 // bytes of terms, and what they cost in the accounts
)

func dead(generation uint32) bool { return generation&1 != 0 }

// terms returns those of a job, nil if it has none.
func (s *slots) terms(h uint32) *terms {
	if s.termed == 0 {
		return nil
	}
	h--
	sl := s.slabs[h/slabSlots]
	if sl.terms == nil {
		return nil
	}
	if t := &sl.terms[h%slabSlots]; t.flags&termsHave != 0 {
		return t
	}
	return nil
}

// addTerms gives a job terms that change nothing, if it has none.
func (s *Shard) addTerms(h uint32) *terms {
	if t := s.slots.terms(h); t != nil {
		return t
	}
	sl := s.slots.slabs[(h-1)/slabSlots]
	if sl.terms == nil {
		sl.terms = new([slabSlots]terms)
	}
	t := &sl.terms[(h-1)%slabSlots]
	*t = terms{flags: termsHave, priority: DefaultPriority}
	s.slots.termed++
	s.used += termsSize
	if home := s.slots.home(h); s.journalled(home) {
		s.live.add(home, termsRoom)
	}
	return t
}

// dropTerms forgets the terms of a job whose record is not counted any more.
func (s *Shard) dropTerms(h uint32) {
	t := s.slots.terms(h)
	if t == nil {
		return
	}
	s.used -= int64(chunkSize(int(t.reasonLen)))
	s.arena.release(t.reason)
	delete(s.tells, h)
	*t = terms{}
	s.slots.termed--
	s.used -= termsSize
}

// generation returns that of a job.
func (s *Shard) generation(h uint32) uint32 {
	if t := s.slots.terms(h); t != nil {
		return t.generation
	}
	return 0
}

func (s *Shard) priority(h uint32) uint32 {
	if t := s.slots.terms(h); t != nil {
		return t.priority
	}
	return DefaultPriority
}

// setReason keeps a copy of what was said of a job that failed.
func (s *Shard) setReason(h uint32, t *terms, text []byte) {
	text = text[:min(len(text), MaxReason)]
	if string(text) == string(s.arena.get(t.reason, int(t.reasonLen))) {
		return
	}
	if home := s.slots.home(h); s.journalled(home) {
		s.live.add(home, int64(len(text))-int64(t.reasonLen))
	}
	s.used += int64(chunkSize(len(text)) - chunkSize(int(t.reasonLen)))
	s.arena.release(t.reason)
	var mem []byte
	t.reason, mem = s.arena.alloc(len(text))
	t.reasonLen = uint16(copy(mem, text))
	t.flags |= termsNews
}

// Terms are those of a job, as records, messages and views have them. The zero
// value but for Priority is what a job has that has none.
type Terms struct {
	Priority   uint32 // lower is more urgent; DefaultPriority by default
	Base, Most uint32 // of the back-off, seconds; Base 0: there is none
	Generation uint32 // how often it died or was put back: odd is dead
	Limit      uint16 // deliveries that may fail before it dies; 0: any number
	Tries      uint16 // deliveries that failed since it was added or put back, as long as it has terms
	Rank       uint16 // how often the priority was changed
	Held       bool   // it waits after a delivery that failed
	Reason     []byte // of the last failure, as its consumer gave it

	silent bool // the reason is not told: whoever knows one keeps it
	news   bool // of a message: it told of failures that this node had not heard of
}

// Plain reports whether a job with such terms needs none.
func (t *Terms) Plain() bool {
	return t.Priority == DefaultPriority && t.Base|t.Most|t.Generation == 0 && t.Limit|t.Tries|t.Rank == 0 && !t.Held && len(t.Reason) == 0
}

// view returns terms as others see them. The reason is the store's.
func (t *terms) view(a *arena) Terms {
	return Terms{
		Priority: t.priority, Base: t.base, Most: t.most, Generation: t.generation, Limit: t.limit, Tries: t.tries, Rank: t.rank,
		Held: t.flags&termsHeld != 0, Reason: a.get(t.reason, int(t.reasonLen)),
	}
}

// termsOf returns the terms of a job as others see them, nil if it has none.
func (s *Shard) termsOf(h uint32) *Terms {
	t := s.slots.terms(h)
	if t == nil {
		return nil
	}
	v := t.view(&s.arena)
	return &v
}

// silentTerms is termsOf without the reason.
func (s *Shard) silentTerms(h uint32) *Terms {
	v := s.termsOf(h)
	if v != nil {
		v.Reason, v.silent = nil, true
	}
	return v
}

// setTerms gives a job the terms that a record, a message or its producer says.
func (s *Shard) setTerms(h uint32, from *Terms) {
	t := s.addTerms(h)
	t.priority, t.base, t.most, t.generation = from.Priority, from.Base, from.Most, from.Generation
	t.limit, t.tries, t.rank = from.Limit, from.Tries, from.Rank
	t.flags &^= termsHeld
	if from.Held {
		t.flags |= termsHeld
	}
	if !from.silent {
		s.setReason(h, t, from.Reason)
	}
}

// The encoding of terms, little-endian:
//
//	priority 4 | base 4 | most 4 | generation 4 | limit 2 | tries 2 | rank 2 | flags 1 | reason length 2 | reason
//
// A length of noReason says nothing of the reason.
const (
	termsFix  = 4*4 + 3*2 + 1 + 2
	termsRoom = 2 + 2 + termsFix // in a record, with a set of holders that is empty
	noReason  = 1<<16 - 1

	termsFlagHeld = 1
)

func appendTerms(dst []byte, t *Terms) []byte {
	le := binary.LittleEndian
	for _, n := range [...]uint32{t.Priority, t.Base, t.Most, t.Generation} {
		dst = le.AppendUint32(dst, n)
	}
	for _, n := range [...]uint16{t.Limit, t.Tries, t.Rank} {
		dst = le.AppendUint16(dst, n)
	}
	var flags byte
	if t.Held {
		flags = termsFlagHeld
	}
	dst = append(dst, flags)
	if t.silent {
		return le.AppendUint16(dst, noReason)
	}
	dst = le.AppendUint16(dst, uint16(len(t.Reason)))
	return append(dst, t.Reason...)
}

// cutTerms reads what appendTerms wrote from the front of src and returns the
// rest. The reason aliases src.
func cutTerms(src []byte) (t *Terms, rest []byte, err error) {
	if len(src) < termsFix {
		return nil, nil, corrupt("terms of a job in %d bytes", len(src))
	}
	le := binary.LittleEndian
	t = &Terms{}
	for i, n := range [...]*uint32{&t.Priority, &t.Base, &t.Most, &t.Generation} {
		*n = le.Uint32(src[4*i:])
	}
	for i, n := range [...]*uint16{&t.Limit, &t.Tries, &t.Rank} {
		*n = le.Uint16(src[16+2*i:])
	}
	t.Held = src[22]&termsFlagHeld != 0
	n := int(le.Uint16(src[23:]))
	src = src[termsFix:]
	switch {
	case n == noReason:
		t.silent = true
		return t, src, t.validate()
	case n > MaxReason || n > len(src):
		return nil, nil, corrupt("a reason of %d bytes in %d", n, len(src))
	}
	t.Reason = src[:n]
	return t, src[n:], t.validate()
}

// cutWhole is cutTerms for those of a record that stands for itself.
func cutWhole(src []byte) (t *Terms, rest []byte, err error) {
	if t, rest, err = cutTerms(src); err == nil && t.silent {
		err = corrupt("a job whose terms leave out what was said of it")
	}
	return t, rest, err
}

// validate refuses what no node could have written.
func (t *Terms) validate() error {
	if (t.Base == 0) != (t.Most == 0) || t.Most < t.Base {
		return corrupt("a back-off from %d to %d seconds", t.Base, t.Most)
	}
	return nil
}

// size is what terms take in a record, if a job has them.
func (t *Terms) size() int {
	if t == nil {
		return 0
	}
	return termsRoom + len(t.Reason)
}
