package store

import "encoding/binary"

// Kind says what a message is about. The numbers are the protocol's.
type Kind uint8

const (
	MsgReplJob   Kind = 10 + iota // hold a copy of this job
	MsgGotJob                     // I do; or: I took the at-most-once job you gave me
	MsgEnqueue                    // put the job into your queue, after Left
	MsgWillQueue                  // I am about to queue this job: does anybody have it?
	MsgQueued                     // Who has it in its queue
	MsgLeased                     // a consumer of Who has it, for another Left
	MsgWorking                    // the same, because the consumer said so
	MsgSetAck                     // the job is acknowledged; these are its holders
	MsgGotAck                     // I know now; FlagKnown says that I hold the job
	MsgDelJob                     // forget the job
	MsgDropped                    // I hold no copy of the job any more; these do
	MsgNeedJobs                   // consumers of this queue wait here: give me up to Count jobs
	MsgYourJob                    // have this job
	MsgRefused                    // I cannot take the job you gave me; FlagKnown says that I have a copy of it
	MsgPause                      // pause this queue as Count says
	MsgHolders                    // these nodes may hold the job, too
	MsgFate                       // the job died, or lives again, or has another priority
	MsgGotFate                    // I know now, and this is what I know; without FlagKnown: I do not know the job
	MsgPurge                      // delete the jobs of this queue that were created up to Left, of the classes in Count
	endOfKinds
)

var kindNames = [...]string{
	"REPLJOB", "GOTJOB", "ENQUEUE", "WILLQUEUE", "QUEUED", "LEASED", "WORKING", "SETACK", "GOTACK", "DELJOB",
	"DROPPED", "NEEDJOBS", "YOURJOB", "REFUSED", "PAUSE", "HOLDERS", "FATE", "GOTFATE", "PURGE",
}

// Known reports whether this program knows the kind.
func (k Kind) Known() bool { return k >= MsgReplJob && k < endOfKinds }

func (k Kind) String() string {
	if !k.Known() {
		return "UNKNOWN"
	}
	return kindNames[k-MsgReplJob]
}

// Flags of a message.
const (
	FlagKnown   = 1 << iota // of GOTACK, REFUSED and GOTFATE: the sender holds the job
	FlagForced              // of QUEUED: a client wanted it, a lease ends
	FlagWaiting             // of NEEDJOBS: a consumer is blocked
	FlagHeld                // of LEASED and WORKING: no consumer has it, it waits after a failure
	FlagEnding              // the sender's process is about to end; of REPLJOB and YOURJOB: say in any case whether it was taken; of SETACK: keep it if the job is unknown
)

// Message is what nodes say to each other about a job or a queue. Which fields
// count depends on the kind. Job and Queue alias the bytes it was decoded from.
type Message struct {
	Kind    Kind
	Flags   uint8
	ID      ID
	Who     uint16 // the node that the message is about
	Number  uint32 // of what is said of Who, or was heard last; what is newer is higher, see copies
	Turn    uint8  // of YOURJOB and its answers: which giving it was
	Left    int64  // milliseconds from now
	Nacks   uint16
	Extra   uint16
	Holders Set
	Job     *Job   // of REPLJOB and YOURJOB; Expires and NextQueue are from now
	Queue   []byte // of NEEDJOBS and PAUSE
	Count   uint32
	Terms   *Terms // of a job that has any; nil as well if the sender knows of none
}

// The parts of a message; a byte in front says which are there:
//
//	parts 1 | flags 1 | turn 1 | id 24 | state: who 20, left 8 | number 4 | counts: nacks 2, extra 2 |
//	holders: n 2, ids | queue: count 4, length 2, name |
//	job: created 8, expires 8, next queue 8, delay 4, retry 4, repl 2, queue length 2, body length 4, queue, body |
//	terms: see appendTerms
//
// Nodes of a version that knows no terms are sent none. What follows is left to later versions, and ignored.
const (
	partState = 1 << iota
	partNumber
	partCounts
	partHolders
	partQueue
	partJob
	partTerms
)

// LongName is how many bytes the name of a queue may have by default. Clients may
// be allowed longer ones; of those that peers name less is remembered.
const LongName = 1024

const (
	messageFix = 3 + 24
	jobFix     = 3*8 + 2*4 + 2 + 2 + 4
)

// partsOf says which parts a message of a kind has.
func partsOf(k Kind) byte {
	switch k {
	case MsgReplJob, MsgYourJob:
		return partNumber | partHolders | partJob | partCounts
	case MsgEnqueue:
		return partState | partNumber
	case MsgWillQueue:
		return partNumber
	case MsgQueued:
		return partState | partNumber | partCounts
	case MsgLeased, MsgWorking:
		return partState | partNumber | partHolders
	case MsgSetAck, MsgHolders, MsgDropped:
		return partHolders
	case MsgNeedJobs, MsgPause:
		return partQueue
	case MsgFate, MsgGotFate:
		return partCounts | partHolders
	case MsgPurge:
		return partState | partQueue
	}
	return 0
}

// appendMessage appends the encoding of m. A job's times are made relative to
// now.
func appendMessage(dst []byte, now int64, m *Message, roll Roll) []byte {
	le := binary.LittleEndian
	parts := partsOf(m.Kind)
	if m.Flags&FlagHeld != 0 {
		parts |= partCounts
	}
	if m.Terms != nil {
		parts |= partTerms
	}
	dst = append(dst, parts, m.Flags, m.Turn)
	dst = append(dst, m.ID[:]...)
	if parts&partState != 0 {
		who := roll.ID(m.Who)
		dst = le.AppendUint64(append(dst, who[:]...), uint64(m.Left))
	}
	if parts&partNumber != 0 {
		dst = le.AppendUint32(dst, m.Number)
	}
	if parts&partCounts != 0 {
		dst = le.AppendUint16(dst, m.Nacks)
		dst = le.AppendUint16(dst, m.Extra)
	}
	if parts&partHolders != 0 {
		dst = appendSet(dst, m.Holders, roll)
	}
	if parts&partQueue != 0 {
		dst = le.AppendUint32(dst, m.Count)
		dst = le.AppendUint16(dst, uint16(len(m.Queue)))
		dst = append(dst, m.Queue...)
	}
	if parts&partJob != 0 {
		dst = appendJobPart(dst, now, m.Job)
	}
	if parts&partTerms != 0 {
		dst = appendTerms(dst, m.Terms)
	}
	return dst
}

func appendJobPart(dst []byte, now int64, j *Job) []byte {
	le := binary.LittleEndian
	next := int64(0)
	if j.NextQueue != 0 {
		next = max(1, j.NextQueue-now)
	}
	dst = le.AppendUint64(dst, uint64(j.Created))
	dst = le.AppendUint64(dst, uint64(max(1, j.Expires-now)))
	dst = le.AppendUint64(dst, uint64(next))
	dst = le.AppendUint32(dst, j.Delay)
	dst = le.AppendUint32(dst, j.Retry)
	dst = le.AppendUint16(dst, j.Repl)
	dst = le.AppendUint16(dst, uint16(len(j.Queue)))
	dst = le.AppendUint32(dst, uint32(len(j.Body)))
	dst = append(dst, j.Queue...)
	return append(dst, j.Body...)
}

// DecodeMessage reads a message of a known kind. Errors wrap ErrCorrupt and say
// what no node could have sent.
func DecodeMessage(k Kind, src []byte, roll Roll) (*Message, error) {
	if len(src) < messageFix {
		return nil, corrupt("%s of %d bytes", k, len(src))
	}
	le := binary.LittleEndian
	m := &Message{Kind: k, Flags: src[1], Turn: src[2], ID: ID(src[3:])}
	parts := src[0]
	if want := partsOf(k); parts&want != want {
		return nil, corrupt("%s without the parts %#x", k, want&^parts)
	}
	src = src[messageFix:]
	if parts&partState != 0 {
		if len(src) < 28 {
			return nil, corrupt("%s is cut short", k)
		}
		who, ok := roll.Number(NodeID(src))
		if !ok {
			return nil, corrupt("%s names a node too many", k)
		}
		m.Who, m.Left = who, int64(le.Uint64(src[20:]))
		if src = src[28:]; !possible(m.Left) {
			return nil, corrupt("%s for %d ms", k, m.Left)
		}
	}
	if parts&partNumber != 0 {
		if len(src) < 4 {
			return nil, corrupt("%s is cut short", k)
		}
		m.Number, src = le.Uint32(src), src[4:]
	}
	if parts&partCounts != 0 {
		if len(src) < 4 {
			return nil, corrupt("%s is cut short", k)
		}
		m.Nacks, m.Extra = le.Uint16(src), le.Uint16(src[2:])
		src = src[4:]
	}
	var err error
	if parts&partHolders != 0 {
		if m.Holders, src, err = cutSet(src, roll); err != nil {
			return nil, err
		}
	}
	if parts&partQueue != 0 {
		if len(src) < 6 || len(src)-6 < int(le.Uint16(src[4:])) {
			return nil, corrupt("%s is cut short", k)
		}
		n := int(le.Uint16(src[4:]))
		m.Count, m.Queue, src = le.Uint32(src), src[6:6+n], src[6+n:]
		if n > LongName { // who waits is not remembered, and has to ask again
			m.Flags &^= FlagWaiting
		}
	}
	if parts&partJob != 0 {
		if m.Job, src, err = cutJobPart(src, m); err != nil {
			return nil, err
		}
	}
	if parts&partTerms != 0 {
		if m.Terms, _, err = cutTerms(src); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func cutJobPart(src []byte, m *Message) (job *Job, rest []byte, err error) {
	if len(src) < jobFix {
		return nil, nil, corrupt("the job of a %s is cut short", m.Kind)
	}
	le := binary.LittleEndian
	j := &Job{ID: m.ID, State: Active, Nacks: m.Nacks, Extra: m.Extra}
	for i, t := range [...]*int64{&j.Created, &j.Expires, &j.NextQueue} {
		*t = int64(le.Uint64(src[8*i:]))
	}
	j.Delay, j.Retry, j.Repl = le.Uint32(src[24:]), le.Uint32(src[28:]), le.Uint16(src[32:])
	queue, body := uint64(le.Uint16(src[34:])), uint64(le.Uint32(src[36:]))
	if src = src[jobFix:]; queue+body > uint64(len(src)) {
		return nil, nil, corrupt("queue of %d and body of %d bytes in %d", queue, body, len(src))
	}
	name := src[:queue]
	j.Queue, j.Body = string(name), src[queue:queue+body]
	return j, src[queue+body:], j.validate(name)
}

// Outbox is what a change has to say to other nodes: encoded messages, one after
// the other in Buf. Whoever owns the Effects takes them, under the shard's lock,
// and calls Reset.
type Outbox struct {
	Buf  []byte
	Mail []Mail
}

// Mail is a message to be sent.
type Mail struct {
	To   Set
	Kind Kind
	End  int // of its bytes in Buf
	// Safe says that it must not be sent before what the change journalled is
	// safe: others forget or give up something because of it.
	Safe bool
}

// Reset empties the outbox.
func (o *Outbox) Reset() {
	if cap(o.Buf) > journalKeep {
		o.Buf = nil
	}
	clear(o.Mail)
	o.Buf, o.Mail = o.Buf[:0], o.Mail[:0]
}

// send sends m to all in to but this node. Nodes that know no terms are told what
// they can read.
func (s *Shard) send(now int64, to Set, safe bool, m *Message, fx *Effects) {
	to = to.Without(Self)
	if m.Terms != nil || m.Kind > MsgHolders {
		old := to.Minus(s.view.Terms)
		to = to.Minus(old)
		if m.Kind <= MsgHolders {
			plain := *m
			plain.Terms = nil
			s.post(now, old, safe, &plain, fx)
		}
	}
	s.post(now, to, safe, m, fx)
}

func (s *Shard) post(now int64, to Set, safe bool, m *Message, fx *Effects) {
	if to.Empty() {
		return
	}
	fx.Outbox.Buf = appendMessage(fx.Outbox.Buf, now, m, s.limits.Roll)
	fx.Outbox.Mail = append(fx.Outbox.Mail, Mail{to, m.Kind, len(fx.Outbox.Buf), safe})
}

// safeKind says of which messages the receiver's memory depends on the sender's:
// they wait for the log.
func safeKind(k Kind) bool {
	switch k {
	case MsgGotJob, MsgGotAck, MsgSetAck, MsgDelJob, MsgDropped:
		return true
	}
	return false
}

// tell sends a message about a job that has no more than its kind and id to say.
func (s *Shard) tell(now int64, to Set, k Kind, id *ID, fx *Effects) {
	s.send(now, to, safeKind(k), &Message{Kind: k, ID: *id}, fx)
}
