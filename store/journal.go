package store

import (
	"encoding/binary"
	"fmt"
)

// Journal is what a change wants to be remembered: records, one after the
// other in Buf, the i-th ending at Ends[i]. Whoever owns the Effects takes them
// and calls Reset.
type Journal struct {
	Buf  []byte
	Ends []int
	// Awaited says that the answer to the change must not be given before the
	// records are safe. The delivery of an at-least-once job alone is not
	// awaited: should it be forgotten, the job is delivered again.
	Awaited bool
}

// journalKeep is how many bytes of memory an empty journal keeps.
const journalKeep = 64 << 10

// Reset empties the journal.
func (j *Journal) Reset() {
	if cap(j.Buf) > journalKeep {
		j.Buf = nil
	}
	j.Buf, j.Ends, j.Awaited = j.Buf[:0], j.Ends[:0], false
}

func (j *Journal) end() { j.Ends = append(j.Ends, len(j.Buf)) }

// The first byte of a record, and what follows it. Every record is absolute:
// it says what is, not what changed, so that to read one twice does no harm.
const (
	recPut   = 1 // flags 1 | job (AppendJob): replaces what is known of it
	recState = 2 // flags 1 | id 24 | state 1 | next queue 8 | nacks 2 | extra 2: leaves the rest alone
	recDel   = 3 // id 24
	recQueue = 4 // pause 1 | name: the settings of a queue
	recFlush = 5 // low 2 | high 2: all jobs and settings of queues with a hash16 from low to high are gone
	// The same as put and state for a job that other nodes hold too, or shall.
	recPutSet   = 6 // flags 1 | sync 2 | holders: n 2, ids 20 each | job
	recStateSet = 7 // as state | sync 2 | holders
	// The same for a job that has terms; n may be 0.
	recPutTerms   = 8 // flags 1 | sync 2 | holders | terms (appendTerms) | job
	recStateTerms = 9 // as state | sync 2 | holders | terms
)

// keptFlags are the flags of a slot that a record keeps; those above are of a
// job with other holders.
const (
	keptFlags = flagDelivered | flagQueuedOnce
	keptLease = 1 << 4 // a consumer of this node has the job
	keptMoved = 1 << 5 // see flagMoved
	keptDuty  = 1 << 6 // see flagOrigin
)

// kept returns the flags that a record of a job keeps.
func (s *Shard) kept(h uint32) byte {
	j, c := s.slots.get(h), s.slots.copies(h)
	b := j.flags & keptFlags
	if c == nil {
		return b
	}
	if c.said == saidLeased && c.who == Self && j.state == Active {
		b |= keptLease
	}
	if c.flags&flagMoved != 0 {
		b |= keptMoved
	}
	if c.flags&flagOrigin != 0 {
		b |= keptDuty
	}
	return b
}

const (
	stateSize = 2 + 24 + 1 + 8 + 2 + 2
	delSize   = 1 + 24
	putFix    = 2 + encodingHeader
	queueHead = 2
	flushSize = 1 + 2 + 2
)

// PutSize returns the bytes of the record that adding a job journals.
func (spec *Spec) PutSize() int {
	return putFix + len(spec.Queue) + len(spec.Body) + setSize(spec.Repl) + spec.Terms.size()
}

// PutSize returns the bytes of the record that taking the job of a message
// journals: its sender and this node become holders.
func (m *Message) PutSize() int {
	return putFix + len(m.Job.Queue) + len(m.Job.Body) + setSize(uint16(m.Holders.Len()+2)) + m.Terms.size()
}

// setSize is what the holders of a job take in its record, nearly: it shall not
// change with them.
func setSize(repl uint16) int {
	if repl <= 1 {
		return 0
	}
	return 2 + 2 + len(NodeID{})*int(min(repl, setSizeNodes))
}

const setSizeNodes = 8

// MinPutSize is the least that PutSize returns.
const MinPutSize = putFix

// StateSize bounds the records of a change that adds no job, for each job that
// it concerns, but for reasons.
const StateSize = stateSize + 4 + setSizeNodes*20 + termsFix

// putSize is what the record of a job is counted as: it changes only as the job
// comes by terms, or another reason.
func (s *Shard) putSize(h uint32) int64 {
	j := s.slots.get(h)
	size := putFix + int64(len(s.queues[j.queue].name)) + int64(j.bodyLen) + int64(setSize(j.repl))
	if t := s.slots.terms(h); t != nil {
		size += termsRoom + int64(t.reasonLen)
	}
	return size
}

// recordSize is what the record that put journals of a job takes.
func (s *Shard) recordSize(h uint32) int64 {
	j := s.slots.get(h)
	size := putFix + len(s.queues[j.queue].name) + int(j.bodyLen)
	if s.slots.copies(h) != nil {
		size += 2 + 2 + len(NodeID{})*min(s.holders(h).Len(), mostNodes)
	}
	if t := s.slots.terms(h); t != nil {
		size += termsRoom + int(t.reasonLen)
	}
	return int64(size)
}

// Attach says that changes are journalled from now on, to segment or later of
// a log whose records begin with segment since; both are at least 1, and
// segment only grows. What was journalled before since counts as not journalled.
func (s *Shard) Attach(since, segment uint32) {
	if since != s.since {
		s.since, s.live = since, tally{}
	}
	s.segment = segment
}

// Detach says that changes are journalled no more.
func (s *Shard) Detach() { s.segment = 0 }

// journalled reports whether what was last journalled in segment home is in
// the log.
func (s *Shard) journalled(home uint32) bool { return home != 0 && home >= s.since }

// put journals all of a job.
func (s *Shard) put(h uint32, fx *Effects) {
	c := s.slots.copies(h)
	if s.segment == 0 || c != nil && c.flags&flagExternal != 0 {
		return
	}
	s.rehome(h)
	jn := &fx.Journal
	t := s.slots.terms(h)
	switch {
	case t != nil:
		jn.Buf = s.appendHolders(append(jn.Buf, recPutTerms, s.kept(h)), h, c)
		jn.Buf = s.journalTerms(jn.Buf, t)
	case c != nil:
		jn.Buf = s.appendHolders(append(jn.Buf, recPutSet, s.kept(h)), h, c)
	default:
		jn.Buf = append(jn.Buf, recPut, s.kept(h))
	}
	jn.Buf = AppendJob(jn.Buf, s.look(h))
	jn.end()
	jn.Awaited = true
}

// rehome notes that the record of a job is in the present segment.
func (s *Shard) rehome(h uint32) {
	size := s.putSize(h)
	if home := s.slots.home(h); s.journalled(home) {
		s.live.add(home, -size)
	}
	s.slots.setHome(h, s.segment)
	s.live.add(s.segment, size)
}

// journalTerms appends terms, and notes that the log has them.
func (s *Shard) journalTerms(dst []byte, t *terms) []byte {
	v := t.view(&s.arena)
	t.flags &^= termsNews
	return appendTerms(dst, &v)
}

// appendHolders appends the holders of a job; c is nil if there is but this node.
func (s *Shard) appendHolders(dst []byte, h uint32, c *copies) []byte {
	if c == nil {
		return append(dst, 0, 0, 0, 0)
	}
	dst = binary.LittleEndian.AppendUint16(dst, c.sync)
	return appendSet(dst, s.holders(h), s.limits.Roll)
}

// noteSet is note for a job whose holders are new.
func (s *Shard) noteSet(h uint32, awaited bool, fx *Effects) {
	if s.note(h, awaited, fx); s.segment == 0 || !s.journalled(s.slots.home(h)) {
		return
	}
	jn := &fx.Journal
	jn.Buf[len(jn.Buf)-stateSize] = recStateSet
	jn.Buf = s.appendHolders(jn.Buf, h, s.slots.copies(h))
	jn.Ends[len(jn.Ends)-1] = len(jn.Buf)
}

// noteTerms is note for a job whose terms are new, too.
func (s *Shard) noteTerms(h uint32, awaited bool, fx *Effects) {
	if s.note(h, awaited, fx); s.segment == 0 || !s.journalled(s.slots.home(h)) {
		return
	}
	jn, t := &fx.Journal, s.slots.terms(h)
	jn.Buf[len(jn.Buf)-stateSize] = recStateTerms
	jn.Buf = s.appendHolders(jn.Buf, h, s.slots.copies(h))
	if t.flags&termsNews != 0 {
		jn.Buf = s.journalTerms(jn.Buf, t)
	} else {
		jn.Buf = appendTerms(jn.Buf, s.silentTerms(h))
	}
	jn.Ends[len(jn.Ends)-1] = len(jn.Buf)
}

// note journals what is new about a job. One that the log does not have yet
// will be put there by Rewrite, as it is then.
func (s *Shard) note(h uint32, awaited bool, fx *Effects) {
	if s.segment == 0 || !s.journalled(s.slots.home(h)) {
		return
	}
	j := s.slots.get(h)
	b := append(fx.Journal.Buf, recState, s.kept(h))
	b = append(b, j.id[:]...)
	b = append(b, byte(j.state))
	b = binary.LittleEndian.AppendUint64(b, uint64(j.qtime))
	b = binary.LittleEndian.AppendUint16(b, j.nacks)
	fx.Journal.Buf = binary.LittleEndian.AppendUint16(b, j.extra)
	fx.Journal.end()
	fx.Journal.Awaited = fx.Journal.Awaited || awaited
}

// forgo journals that a job is gone.
func (s *Shard) forgo(h uint32, fx *Effects) {
	home := s.slots.home(h)
	if !s.journalled(home) {
		return
	}
	j := s.slots.get(h)
	s.live.add(home, -s.putSize(h))
	if s.segment == 0 {
		return
	}
	fx.Journal.Buf = append(append(fx.Journal.Buf, recDel), j.id[:]...)
	fx.Journal.end()
	fx.Journal.Awaited = true
}

// putQueue journals the settings of a queue.
func (s *Shard) putQueue(q *queue, fx *Effects) {
	if s.segment == 0 {
		return
	}
	s.rehomeQueue(q, s.segment)
	fx.Journal.Buf = append(append(fx.Journal.Buf, recQueue, byte(q.pause)), q.name...)
	fx.Journal.end()
	fx.Journal.Awaited = true
}

// rehomeQueue notes that the record of a queue is in segment home. A queue
// without settings needs none.
func (s *Shard) rehomeQueue(q *queue, home uint32) {
	size := int64(queueHead + len(q.name))
	if s.journalled(q.home) {
		s.live.add(q.home, -size)
	}
	if q.home = 0; q.pause != 0 {
		q.home = home
		s.live.add(home, size)
	}
}

// flushed journals that the shard, which has the hashes low to high, is empty.
func (s *Shard) flushed(low, high uint16, fx *Effects) {
	s.live = tally{}
	if s.segment == 0 {
		return
	}
	b := append(fx.Journal.Buf, recFlush)
	b = binary.LittleEndian.AppendUint16(b, low)
	fx.Journal.Buf = binary.LittleEndian.AppendUint16(b, high)
	fx.Journal.end()
	fx.Journal.Awaited = true
}

// Live calls yield for each segment with live records: those that are the
// newest self-contained one of a job or queue. bytes are without frames.
func (s *Shard) Live(yield func(segment uint32, bytes int64)) {
	for i, n := range s.live.bytes {
		if n > 0 {
			yield(s.live.base+uint32(i), n)
		}
	}
}

// tally counts live bytes by segment.
type tally struct {
	base  uint32 // segment of bytes[0]
	bytes []int64
}

// add adds n bytes to a segment; one that is older than the tally knows only
// after nothing was live there.
func (t *tally) add(segment uint32, n int64) {
	if len(t.bytes) == 0 {
		t.base = segment
	}
	for segment < t.base {
		t.bytes = append([]int64{0}, t.bytes...)
		t.base--
	}
	for int(segment-t.base) >= len(t.bytes) {
		t.bytes = append(t.bytes, 0)
	}
	t.bytes[segment-t.base] += n
	for len(t.bytes) > 1 && t.bytes[0] == 0 {
		t.bytes = t.bytes[1:]
		t.base++
	}
}

// Rewrite journals anew the jobs and queues whose records are in segments
// before below, or that the log does not have yet, so that those segments are
// needed no more. It visits up to n positions from pos on (0 to begin with) and
// stops before its records exceed room bytes. It returns the position to go on
// from, -1 at the end; need is 0, or the bytes of a record that is larger than
// room by itself.
func (s *Shard) Rewrite(pos int64, n int, below uint32, room int, fx *Effects) (next int64, need int) {
	start := len(fx.Journal.Buf)
	fits := func(size int64) bool {
		if int64(len(fx.Journal.Buf)-start)+size <= int64(room) {
			return true
		}
		if size > int64(room) {
			need = int(size)
		}
		return false
	}
	for ; n > 0 && pos < queuePositions; n-- {
		if pos >= int64(s.slots.limit())-1 {
			pos = queuePositions
			break
		}
		if s.slots.slabs[pos/slabSlots] == nil {
			pos = (pos/slabSlots + 1) * slabSlots
			continue
		}
		if h := uint32(pos + 1); s.slots.home(h) < below && s.slots.has(h) {
			if !fits(s.recordSize(h)) {
				return pos, need
			}
			s.put(h, fx)
		}
		pos++
	}
	for ; n > 0 && pos-queuePositions < int64(len(s.queues)); n-- {
		if q := s.queues[pos-queuePositions]; q != nil && q.pause != 0 && q.home < below {
			if !fits(int64(queueHead + len(q.name))) {
				return pos, need
			}
			s.putQueue(q, fx)
		}
		pos++
	}
	if pos-queuePositions >= int64(len(s.queues)) {
		return -1, 0
	}
	return pos, 0
}

// queuePositions is where a Rewrite's positions of queues begin.
const queuePositions = 1 << 40

func corrupt(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, a...)...)
}
