package store

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/tidwall/btree"
)

// Errors of Add and of the methods that name a queue.
var (
	ErrPaused        = errors.New("store: queue is paused in input")
	ErrMaxLen        = errors.New("store: queue is longer than MAXLEN")
	ErrTooManyQueues = errors.New("store: too many queues")
	ErrFull          = errors.New("store: shard cannot address more jobs")
)

// Errors of Working.
var (
	ErrNoJob   = errors.New("store: job is not known")
	ErrTooLate = errors.New("store: half of the job's TTL has elapsed")
)

// Quota is a count shared by the shards of a node: Take reports whether one
// more may be had. It is called under a shard's lock.
type Quota interface {
	Take() bool
	Give()
}

// Limits bound a shard.
type Limits struct {
	Queues  Quota  // of queue names; nil: no limit
	Dummies Quota  // of acknowledgements of unknown jobs; nil: no limit
	Roll    Roll   // numbers the nodes; nil: there is only this one
	Seed    uint64 // of the random choices
}

// Effects is what a change asks its caller to do: to append the journal to the
// log before it releases the shard, and to wake the waiters afterwards. The
// caller owns it and may reuse it.
type Effects struct {
	Journal Journal
	Outbox  Outbox
	Wakes   []Waiter // waiters that were served or dismissed: wake them
	Added   []Added  // tell them
}

// Spec describes a job to be added. The store copies Queue and Body.
type Spec struct {
	ID     ID
	Queue  []byte
	Body   []byte
	Delay  uint32 // seconds until it is first queued
	Retry  uint32 // seconds from a delivery to the next; 0: at most once
	TTL    uint32 // seconds it lives, > Delay
	Repl   uint16 // nodes that shall hold it
	Sync   uint16 // nodes that hold it before the producer is answered, up to Repl
	MaxLen int    // refuse if that many are queued already; 0: no limit
	Terms  *Terms // nil: those of a job that has none

	External bool  // this node shall be none of them
	Adder    Adder // told when Sync nodes hold it, if Add says that it waits; may be nil
}

// Job is a view of a job. Its memory is the store's and is valid only during
// the call that handed it out.
type Job struct {
	ID        ID
	Queue     string
	Body      []byte
	State     State
	Repl      uint16
	Nacks     uint16
	Extra     uint16 // deliveries beyond the first, as far as known
	Delay     uint32 // seconds
	Retry     uint32 // seconds
	Created   int64  // nanoseconds since the epoch
	Expires   int64  // milliseconds since the epoch
	NextQueue int64  // milliseconds; when it goes (back) to its queue, 0: never
	Turn      uint8  // the number of its latest delivery here, modulo 16
	Terms     *Terms // nil: it has none
	Holders   Set    // nodes that may hold it
	Confirmed Set    // nodes that said so while it waits, that know of its acknowledgement
}

// Shard owns the jobs of the queues that hash to it. Not safe for concurrent
// use.
type Shard struct {
	limits     Limits
	slots      slots
	index      *index
	arena      arena
	wheel      wheel
	names      map[string]*queue
	queues     []*queue
	freeQueues []uint32
	liveQueues int
	sweepAt    int
	spent      *btree.BTreeG[uint32] // jobs that may be evicted, oldest first
	lastCtime  int64
	newest     int64  // of the creations of jobs that came from other nodes
	used       int64  // bytes accounted
	job        Job    // the view that is handed out,
	jobTerms   Terms  // and its terms
	counts     Counts // of all queues; of Jobs all but the active ones

	view      *View // of the other nodes
	seed      uint64
	wide      map[uint32]wide
	tells     map[uint32]Set   // holders that know of a death or a return, of jobs whose holders are told
	adders    map[uint32]Adder // of jobs that wait for their copies
	dummies   map[ID]*dummy
	dummyNext int64             // when the first of them is to be looked at, or before
	owing     bool              // there are jobs that wait for Rouse
	unwilling Set               // nodes that took no job of this one while its process is about to end
	waited    *queue            // the first of those with waiters
	hungry    map[string]hunger // nodes that wait for jobs, by queue

	since   uint32 // first segment of the log
	segment uint32 // where changes are journalled; 0: nowhere
	live    tally  // bytes of live records by segment
	loading bool   // between the first Replay and the end of Settle: queued jobs are in no tree yet
}

// NewShard returns an empty shard whose time starts at now (milliseconds).
func NewShard(now int64, limits Limits) *Shard {
	s := &Shard{limits: limits, since: 1, view: &View{}, seed: limits.Seed}
	s.reset(now)
	return s
}

func (s *Shard) reset(now int64) {
	s.counts.Jobs = [numJobClasses]int{}
	s.slots, s.arena = slots{}, arena{}
	s.index = newIndex(&s.slots)
	s.wheel = wheel{slots: &s.slots, cur: now}
	s.names = map[string]*queue{}
	s.queues, s.freeQueues, s.liveQueues, s.sweepAt = nil, nil, 0, 0
	s.spent = s.newOrder()
	s.used = 0
	s.live, s.loading = tally{}, false
	s.tells = map[uint32]Set{}
	s.wide, s.adders, s.dummies = nil, map[uint32]Adder{}, map[ID]*dummy{}
	s.dummyNext, s.waited, s.owing = mostTime, nil, false
	s.unwilling = Set{}
	s.hungry = map[string]hunger{}
}

// SetView says what is known of the other nodes from now on.
func (s *Shard) SetView(v *View) { s.view = v }

// Accounting: what a job and a queue cost beyond their bytes. The index is
// five eighths full on average, a tree's leaf three quarters.
const (
	jobCost   = slotSize + 13 + 6
	queueFix  = 400
	delayRoom = 4
)

func queueCost(name int) int64 { return queueFix + int64(name) }

func (j *slot) chunk() int {
	if j.flags&flagDelay != 0 {
		return int(j.bodyLen) + delayRoom
	}
	return int(j.bodyLen)
}

// Used returns the bytes accounted to the shard's jobs and queues.
func (s *Shard) Used() int64 { return s.used }

// Jobs returns how many jobs the shard knows, whatever their state, with the
// acknowledgements of unknown ones.
func (s *Shard) Jobs() int { return s.slots.live + len(s.dummies) }

// Queues returns how many queues are live.
func (s *Shard) Queues() int { return s.liveQueues }

// Next returns when Tick has something to do at the earliest, in milliseconds.
func (s *Shard) Next() (int64, bool) {
	at, ok := s.wheel.next()
	if len(s.dummies) > 0 && (!ok || s.dummyNext < at) {
		return s.dummyNext, true
	}
	return at, ok
}

// Add registers a job and queues it, or sets its timer if it has a DELAY. If
// other nodes shall hold it too, it asks them; it reports whether it waits for
// them, in which case the Adder will be told. It refuses with ErrMaxLen,
// ErrPaused, ErrTooManyQueues or ErrFull.
func (s *Shard) Add(now int64, spec *Spec, fx *Effects) (waits bool, err error) {
	q := s.lookup(spec.Queue)
	if q != nil {
		if spec.MaxLen > 0 && q.live && q.jobs.Len() >= spec.MaxLen {
			return false, ErrMaxLen
		}
		if q.pause&PauseIn != 0 {
			return false, ErrPaused
		}
	}
	if s.full() {
		return false, ErrFull
	}
	if q == nil {
		if q, err = s.intern(spec.Queue); err != nil {
			return false, err
		}
	}
	h, j := s.slots.alloc()
	s.fill(now, j, q, spec)
	if spec.Terms != nil {
		s.setTerms(h, spec.Terms)
	}
	if spec.Repl > 1 || spec.External {
		waits = !s.spread(now, h, j, spec, fx)
	}
	s.enter(h, j, q)
	if j.qtime == 0 && !waits {
		s.link(now, h, j)
	}
	s.put(h, fx)
	if !waits {
		s.serve(now, q, fx)
	}
	return waits, nil
}

// full reports whether the shard can address no more jobs.
func (s *Shard) full() bool { return s.arena.full() || s.slots.limit() > bucketTag-slabSlots }

// enter makes a new job known, as yet unqueued.
func (s *Shard) enter(h uint32, j *slot, q *queue) {
	s.index.insert(h)
	q.refs++
	s.used += jobCost + int64(chunkSize(j.chunk()))
	s.lay(h)
}

// fill writes a new job into its slot, as yet unqueued.
func (s *Shard) fill(now int64, j *slot, q *queue, spec *Spec) {
	s.lastCtime = max(s.lastCtime+1, now*1e6)
	*j = slot{
		id: spec.ID, ctime: s.lastCtime, etime: now + int64(spec.TTL)*1000,
		queue: q.num, bodyLen: uint32(len(spec.Body)), retry: spec.Retry,
		repl: spec.Repl, state: Active,
	}
	if spec.Delay > 0 {
		j.qtime = now + int64(spec.Delay)*1000
		j.flags |= flagDelay
	}
	s.keepBody(j, spec.Delay, spec.Body)
}

// keepBody copies what a slot's chunk holds.
func (s *Shard) keepBody(j *slot, delay uint32, body []byte) {
	var mem []byte
	j.body, mem = s.arena.alloc(j.chunk())
	if delay > 0 {
		binary.LittleEndian.PutUint32(mem, delay)
		mem = mem[delayRoom:]
	}
	copy(mem, body)
}

// look fills the shard's Job from a slot.
func (s *Shard) look(h uint32) *Job {
	j := s.slots.get(h)
	mem := s.arena.get(j.body, j.chunk())
	s.job = Job{
		ID: j.id, Queue: s.queues[j.queue].name, Body: mem, State: j.state, Repl: j.repl,
		Nacks: j.nacks, Extra: j.extra, Retry: j.retry,
		Created: j.ctime, Expires: j.etime, NextQueue: j.qtime, Turn: j.flags >> turnShift,
		Holders: s.holders(h),
	}
	if t := s.slots.terms(h); t != nil {
		s.jobTerms = t.view(&s.arena)
		s.job.Terms = &s.jobTerms
	}
	if j.state == WaitRepl || j.state == Acked {
		s.job.Confirmed = s.confirmed(h)
	}
	if j.flags&flagDelay != 0 {
		s.job.Delay = binary.LittleEndian.Uint32(mem)
		s.job.Body = mem[delayRoom:]
	}
	return &s.job
}

// leaveOrder takes a job out of its place among the queued or the dead.
func (s *Shard) leaveOrder(h uint32, j *slot, q *queue) {
	switch j.state {
	case Queued:
		q.jobs.Delete(h)
	case Dead:
		q.dead.Delete(h)
	}
}

// remove unregisters a job and frees its memory.
func (s *Shard) remove(now int64, h uint32, fx *Effects) {
	s.forgo(h, fx)
	j := s.slots.get(h)
	if j.state == WaitRepl && fx != nil {
		s.added(h, ErrRemoved, fx)
		s.tell(now, s.others(h), MsgDelJob, &j.id, fx)
	}
	s.dropCopies(h)
	q := s.queues[j.queue]
	if !s.loading {
		s.leaveOrder(h, j, q)
	}
	if j.flags&flagSpent != 0 {
		s.spent.Delete(h)
	}
	s.lift(h)
	s.dropTerms(h)
	s.index.remove(&j.id)
	s.used -= jobCost + int64(chunkSize(j.chunk()))
	s.arena.release(j.body)
	s.slots.release(h)
	q.refs--
	s.forget(q)
}

// Flush drops every job and queue of the shard, whose queues have the hashes
// low to high. Waiters are dismissed: claimed and woken without a job.
func (s *Shard) Flush(now int64, low, high uint16, fx *Effects) {
	for _, q := range s.queues {
		if q == nil {
			continue
		}
		for q.waiters.first != nil {
			t := q.waiters.first
			s.leave(q, t)
			if t.waiter.Claim() {
				fx.Wakes = append(fx.Wakes, t.waiter)
			}
		}
		if s.limits.Queues != nil {
			s.limits.Queues.Give()
		}
	}
	for _, h := range slices.Sorted(maps.Keys(s.adders)) {
		s.tell(now, s.others(h), MsgDelJob, &s.slots.get(h).id, fx)
		s.added(h, ErrRemoved, fx)
	}
	for id := range s.dummies {
		s.dropDummy(&id)
	}
	s.reset(now)
	s.flushed(low, high, fx)
}
