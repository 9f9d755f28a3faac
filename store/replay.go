package store

import (
	"encoding/binary"

	"github.com/disqo/disqo/store/planted"
)

// RecordHash returns by which hash16 a record's shard is found. A record that
// concerns all shards with a hash from low to high has another high.
func RecordHash(rec []byte) (low, high uint16, err error) {
	switch {
	case len(rec) == 0:
		return 0, 0, corrupt("empty record")
	case rec[0] == recPut && len(rec) >= putFix:
		low = binary.BigEndian.Uint16(rec[4:])
	case rec[0] == recPutSet && len(rec) >= recSetHead:
		at := recSetHead + int(binary.LittleEndian.Uint16(rec[4:]))*len(NodeID{}) + 2
		if len(rec) < at+len(ID{}) {
			return 0, 0, corrupt("a job with its holders in %d bytes", len(rec))
		}
		low = binary.BigEndian.Uint16(rec[at:])
	case rec[0] == recPutTerms && len(rec) >= recSetHead:
		at := recSetHead + int(binary.LittleEndian.Uint16(rec[4:]))*len(NodeID{})
		if len(rec) >= at+termsFix {
			at += termsFix + int(binary.LittleEndian.Uint16(rec[at+termsFix-2:])) + 2
		}
		if len(rec) < at+len(ID{}) {
			return 0, 0, corrupt("a job with its terms in %d bytes", len(rec))
		}
		low = binary.BigEndian.Uint16(rec[at:])
	case rec[0] == recState && len(rec) == stateSize, (rec[0] == recStateSet || rec[0] == recStateTerms) && len(rec) > stateSize:
		low = binary.BigEndian.Uint16(rec[2:])
	case rec[0] == recDel && len(rec) == delSize:
		low = binary.BigEndian.Uint16(rec[1:])
	case rec[0] == recQueue && len(rec) >= queueHead:
		low = Hash16(rec[queueHead:])
	case rec[0] == recFlush && len(rec) == flushSize:
		low, high = binary.LittleEndian.Uint16(rec[1:]), binary.LittleEndian.Uint16(rec[3:])
		if low > high {
			return 0, 0, corrupt("flush of the hashes %d to %d", low, high)
		}
		return low, high, nil
	default:
		return 0, 0, corrupt("record of kind %d with %d bytes; this program knows the kinds 1 to %d", rec[0], len(rec), recStateTerms)
	}
	return low, low, nil
}

// Replay does what a record of segment says. Between the first and Settle
// nothing else may be done to the shard. The queues it makes count against the
// quota. It keeps nothing of rec. Errors wrap ErrCorrupt, or are ErrFull and
// ErrTooManyQueues.
func (s *Shard) Replay(rec []byte, segment uint32) error {
	if _, _, err := RecordHash(rec); err != nil {
		return err
	}
	s.loading, s.segment = true, segment
	defer s.Detach()
	switch rec[0] {
	case recPut, recPutSet, recPutTerms:
		return s.replayPut(rec)
	case recState, recStateSet, recStateTerms:
		return s.replayState(rec)
	case recDel:
		if !planted.Is(planted.Resurrect) {
			s.replayDel((*ID)(rec[1:delSize]))
		}
	case recQueue:
		return s.replayQueue(Pause(rec[1]), rec[queueHead:])
	case recFlush:
		low, high, _ := RecordHash(rec)
		s.replayFlush(low, high)
	}
	return nil
}

// recSetHead is what a recPutSet has in front of the ids.
const recSetHead = 6

// cutHolders reads sync and holders from the front of src.
func cutHolders(src []byte, roll Roll) (sync uint16, holders Set, rest []byte, err error) {
	if len(src) < 2 {
		return 0, Set{}, nil, corrupt("a record is cut short")
	}
	holders, rest, err = cutSet(src[2:], roll)
	return binary.LittleEndian.Uint16(src), holders, rest, err
}

func (s *Shard) replayPut(rec []byte) error {
	var sync uint16
	var holders Set
	var t *Terms
	body := rec[2:]
	if rec[0] != recPut {
		var err error
		if sync, holders, body, err = cutHolders(body, s.limits.Roll); err != nil {
			return err
		}
	}
	if rec[0] == recPutTerms {
		var err error
		if t, body, err = cutWhole(body); err != nil {
			return err
		}
	}
	j, err := DecodeJob(body)
	if err != nil {
		return err
	}
	if j.State == Dead && (t == nil || !dead(t.Generation)) {
		return corrupt("job %s is dead, and no terms say so", j.ID)
	}
	if s.full() {
		return ErrFull
	}
	s.replayDel(&j.ID)
	q, err := s.intern([]byte(j.Queue))
	if err != nil {
		return err
	}
	h, slot := s.slots.alloc()
	*slot = j.slot()
	slot.queue, slot.flags = q.num, slot.flags|rec[1]&keptFlags
	s.keepBody(slot, j.Delay, j.Body)
	s.lastCtime = max(s.lastCtime, j.Created)
	if t != nil {
		s.setTerms(h, t)
	}
	if !holders.Empty() {
		s.replayHolders(h, rec[1], sync, holders)
	}
	s.enter(h, slot, q)
	s.rehome(h)
	return nil
}

// replayHolders restores what is known of the other holders of a job.
func (s *Shard) replayHolders(h uint32, kept byte, sync uint16, holders Set) {
	c := s.addCopies(h)
	c.sync = sync
	s.setHolders(h, holders)
	s.replayKept(h, kept)
}

// replayKept restores the flags of a job that may have other holders.
func (s *Shard) replayKept(h uint32, kept byte) {
	c := s.slots.copies(h)
	if c == nil {
		return
	}
	c.said, c.flags = saidNothing, c.flags&(flagHas|flagWide)
	if kept&keptLease != 0 {
		c.said, c.who = saidLeased, Self
	}
	if kept&keptMoved != 0 {
		c.flags |= flagMoved
	}
	if kept&keptDuty != 0 {
		c.flags |= flagOrigin
	}
}

// slot returns a job without its queue and body.
func (j *Job) slot() slot {
	out := slot{
		id: j.ID, ctime: j.Created, etime: j.Expires, qtime: j.NextQueue,
		bodyLen: uint32(len(j.Body)), retry: j.Retry, nacks: j.Nacks, extra: j.Extra, repl: j.Repl, state: j.State,
	}
	if j.Delay > 0 {
		out.flags = flagDelay
	}
	return out
}

func (s *Shard) replayState(rec []byte) error {
	state, flags := State(rec[26]), rec[1]
	if state >= NumStates {
		return corrupt("state %d", state)
	}
	qtime := int64(binary.LittleEndian.Uint64(rec[27:]))
	if !possible(qtime) {
		return corrupt("impossible time")
	}
	var sync uint16
	var holders Set
	var t *Terms
	if rec[0] != recState {
		var err error
		var rest []byte
		if sync, holders, rest, err = cutHolders(rec[stateSize:], s.limits.Roll); err != nil {
			return err
		}
		if rec[0] == recStateTerms {
			if t, _, err = cutTerms(rest); err != nil {
				return err
			}
		}
	}
	h := s.index.find((*ID)(rec[2:26]))
	if h == 0 {
		return nil
	}
	if generation := s.generation(h); state == Dead && (t == nil && !dead(generation) || t != nil && !dead(t.Generation)) {
		return corrupt("job %s is dead, of generation %d", ID(rec[2:26]), generation)
	}
	j := s.slots.get(h)
	s.lift(h)
	j.state, j.flags = state, j.flags&^keptFlags|flags&keptFlags
	j.qtime = qtime
	j.nacks = binary.LittleEndian.Uint16(rec[35:])
	j.extra = binary.LittleEndian.Uint16(rec[37:])
	if !holders.Empty() {
		s.replayHolders(h, flags, sync, holders)
	} else {
		s.replayKept(h, flags)
	}
	if t != nil {
		s.setTerms(h, t)
	} else if t := s.slots.terms(h); t != nil && state != Active {
		t.flags &^= termsHeld
	}
	s.lay(h)
	return nil
}

func (s *Shard) replayDel(id *ID) {
	if h := s.index.find(id); h != 0 {
		s.drop(h)
	}
}

// drop removes a job without a word to the log.
func (s *Shard) drop(h uint32) {
	segment := s.segment
	s.segment = 0
	s.remove(0, h, nil)
	s.segment = segment
}

func (s *Shard) replayQueue(p Pause, name []byte) error {
	if p > PauseIn|PauseOut {
		return corrupt("pause %d", p)
	}
	q := s.lookup(name)
	if q == nil && p == 0 {
		return nil
	}
	q, err := s.intern(name)
	if err != nil {
		return err
	}
	s.awaken(q, s.wheel.cur)
	q.pause = p
	s.rehomeQueue(q, s.segment)
	return nil
}

func (s *Shard) replayFlush(low, high uint16) {
	in := func(hash uint16) bool { return low <= hash && hash <= high }
	for h := uint32(1); h < s.slots.limit(); h++ {
		if s.slots.slabs[(h-1)/slabSlots] == nil || !s.slots.has(h) {
			continue
		}
		if id := &s.slots.get(h).id; in(id.Hash()) {
			s.drop(h)
		}
	}
	for _, q := range s.queues {
		if q != nil && q.pause != 0 && in(Hash16([]byte(q.name))) {
			q.pause = 0
			s.rehomeQueue(q, 0)
		}
	}
}

// Trust says what may be concluded from a log after it was read.
type Trust struct {
	// Complete: nothing that was answered is missing. Then a job that is at
	// most once and was not delivered, as far as the log says, was not.
	Complete bool
	// QueueAll queues at once what was queued, also jobs that other nodes hold
	// and may have queued or delivered meanwhile.
	QueueAll bool
	// Peers: there may be other nodes, and what a consumer of this one had may have been
	// acknowledged at one of them meanwhile. So it is not queued before they could say so.
	Peers bool
}

// Settled counts what became of the jobs of a log.
type Settled struct {
	Jobs, Queued, Expired int
	Doubtful              int // at-most-once jobs that may have been delivered: never queued again
}

// Settle ends the replay: it visits up to n positions from pos on (0 to begin
// with), puts jobs in their queues and drops those whose TTL is over. It
// returns the position to go on from, -1 when the shard is ready for use.
//
// A job that was queued is queued again, if this node alone holds it or it is at
// most once: then nobody else queues it. Another that others hold too waits for its retry clock, as if it had been delivered when
// it was queued: they are asked before it is queued again.
func (s *Shard) Settle(now, pos int64, n int, trust Trust, fx *Effects, sum *Settled) (next int64) {
	next = s.walk(pos, n, func(h uint32) { s.settleJob(now, h, trust, fx, sum) })
	if next < 0 {
		s.loading = false
	}
	return next
}

func (s *Shard) settleJob(now int64, h uint32, trust Trust, fx *Effects, sum *Settled) {
	j := s.slots.get(h)
	if j.etime <= now {
		sum.Expired++
		s.drop(h)
		return
	}
	lone := s.others(h).Empty()
	if lone && j.state == Acked { // nobody is to be told
		s.drop(h)
		return
	}
	sum.Jobs++
	s.lift(h)
	queued := j.state == Queued
	if j.state == WaitRepl {
		queued = j.qtime == 0
	}
	if queued || j.state == WaitRepl || j.state == Dead && j.retry == 0 {
		j.state = Active
	}
	if c := s.slots.copies(h); c != nil {
		s.settleCopies(now, h, j, c, lone)
	}
	delivered := j.flags&flagDelivered != 0
	switch {
	case j.state == Active && j.retry == 0 && (delivered || !trust.Complete):
		j.flags, j.qtime = j.flags|flagSpent|flagDelivered, 0
		s.spent.Load(h)
		if !delivered {
			sum.Doubtful++
			s.note(h, true, fx)
		}
	case j.state == Dead, j.returns() && dead(s.generation(h)):
		s.lay(h)
		s.lie(now, h)
		return
	case j.state != Active:
	case lone && delivered && !queued && trust.Peers && j.qtime < now+rejoin:
		j.qtime = now + rejoin
	case queued && (lone || trust.QueueAll || j.retry == 0):
		s.lay(h)
		s.link(now, h, j)
		sum.Queued++
		return
	}
	s.lay(h)
}

// rejoin is how long a node that starts waits for its peers before it queues
// what they may have too, milliseconds.
const rejoin = 3000

// settleCopies makes a job ready that other nodes hold too, or shall.
func (s *Shard) settleCopies(now int64, h uint32, j *slot, c *copies, lone bool) {
	switch {
	case j.state == Acked:
		s.setConfirmed(h, SetOf(Self))
		c.ptime = now + collectFirst + s.jitter()
		return
	case c.flags&flagMoved != 0:
		c.ptime = now + movedKept
	case c.flags&flagOrigin != 0:
		s.setConfirmed(h, SetOf(Self))
		c.ptime = now + rejoin/2 + s.jitter()
	}
	if t := s.slots.terms(h); t != nil && t.generation > 0 && !lone {
		s.tells[h], t.told = SetOf(Self), 0
		t.tellAt = now + rejoin/2 + s.jitter()
	}
	if lone || j.retry == 0 || j.state == Dead {
		return
	}
	c.asked = askNobody
	if j.qtime == 0 {
		j.qtime = now + int64(j.retry)*1000
	}
	if j.qtime < now+rejoin {
		j.qtime = max(j.qtime, now+rejoin+s.jitter()) // no lease ends early
	}
}

// Add adds what became of other jobs.
func (t *Settled) Add(o Settled) {
	t.Jobs, t.Queued, t.Expired, t.Doubtful = t.Jobs+o.Jobs, t.Queued+o.Queued, t.Expired+o.Expired, t.Doubtful+o.Doubtful
}
