package store

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// relog makes node n of a mesh anew from the log that records are.
func relog(n *meshNode, trust Trust, records ...[]byte) {
	n.start()
	for _, rec := range records {
		require.NoError(n.t, n.s.Replay(rec, 1))
	}
	n.s.Attach(1, 1)
	var sum Settled
	for pos := int64(0); pos >= 0; {
		pos = n.s.Settle(n.m.now, pos, 100, trust, &n.fx, &sum)
	}
	n.m.views()
	n.post()
	n.check()
}

// image returns records of all that a node knows.
func image(n *meshNode) (records [][]byte) {
	n.s.Attach(1, 1)
	var fx Effects
	n.s.Rewrite(0, 1e6, 2, 1<<30, &fx)
	from := 0
	for _, end := range fx.Journal.Ends {
		records = append(records, append([]byte(nil), fx.Journal.Buf[from:end]...))
		from = end
	}
	n.s.Detach()
	return records
}

// An acknowledged job of a log that knows no holders (an older version's) has
// nobody to be told: it is gone, and no message or command stumbles over it.
func TestReviewAckedWithoutHolders(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	sp := m.spec("q", "b", 2, 2, 300)
	job := &Job{ID: sp.ID, Queue: "q", State: Acked, Repl: 2, Retry: 300, Created: t0 * 1e6, Expires: t0 + 1e6}
	relog(n, Trust{Complete: true}, AppendJob([]byte{recPut, 0}, job))
	n.ack(sp.ID)
	n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgSetAck, ID: sp.ID}, &n.fx) })
	n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgGotAck, Flags: FlagKnown, ID: sp.ID}, &n.fx) })
	m.pass(10_000)
	require.Zero(t, m.jobs())
}

// The duty to spread a job goes on after a restart, also if nobody was there to
// take a copy before it.
func TestReviewDutyOfTheLoneSurvivesRestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[0]
	m.nodes[1].alive, m.nodes[2].alive = false, false
	m.views()
	id, waits := n.put(m.spec("q", "b", 3, 1, 300))
	require.False(t, waits)
	relog(n, Trust{Complete: true}, image(n)...)
	require.Equal(t, "queued", m.states(id)[0], "it need not wait for anybody")
	m.nodes[1].alive, m.nodes[2].alive = true, true
	m.views()
	m.pass(6000)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
}

// An at-most-once job that other nodes were told of, was queued here and never
// delivered, is queued again after a clean restart (bug B4 of the reference).
func TestReviewQueuedOnceSurvivesRestart(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	sp := m.spec("q", "once", 1, 1, 0)
	sp.External = true
	id, _ := m.nodes[0].put(sp)
	m.pass(5)
	require.Equal(t, []string{"", "queued"}, m.states(id))
	n := m.nodes[1]
	relog(n, Trust{Complete: true}, image(n)...)
	m.pass(10_000)
	require.Equal(t, []string{"once"}, n.take("q", 1))
}

// Who was asked to take a copy by a leaving node hears of its acknowledgement.
func TestReviewDrainTellsWhoWasAsked(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "b", 1, 1, 5))
	n.s.view.Leaving = true
	m.views()
	n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	require.Equal(t, []string{"b"}, n.take("q", 1)) // before the answer
	n.ack(id)
	m.pass(20_000)
	require.Empty(t, m.nodes[1].take("q", 1), "it was acknowledged, and no message was lost")
	require.Zero(t, m.jobs())
}

// A leaving node keeps what a consumer has, also if nobody else holds it.
func TestReviewDrainKeepsLoneLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "b", 1, 1, 60))
	require.Len(t, n.take("q", 1), 1)
	n.s.view.Leaving = true
	m.views()
	n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	m.pass(100)
	require.Equal(t, []string{"active", ""}, m.states(id))
	n.ack(id)
	require.Zero(t, m.jobs())
}

// A job that was being handed over when it was given away, and that comes back, is
// handed over again.
func TestReviewDrainAfterRefusal(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[0]
	id, _ := n.put(m.spec("q", "once", 1, 1, 0))
	n.s.view.Leaving = true
	m.views()
	m.part([]int{0}, []int{1, 2})
	n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	n.do(func(s *Shard) {
		_ = s.Receive(m.now, 2, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}, &n.fx)
		_ = s.Receive(m.now, 2, &Message{Kind: MsgRefused, ID: id, Turn: 1}, &n.fx)
	})
	require.Equal(t, "queued", m.states(id)[0])
	m.heal()
	for range 10 {
		m.pass(2500)
		n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
	}
	require.Equal(t, "", m.states(id)[0])
	require.Equal(t, 1, m.count(id, "queued"))
}

// A lease that WORKING made is one after a restart, too.
func TestReviewWorkingIsLogged(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[1]
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
	m.pass(5)
	image := image(n)
	n.s.Attach(1, 1)
	n.do(func(s *Shard) {
		_, err := s.Working(m.now, &id, &n.fx)
		require.NoError(t, err)
		image = append(image, append([]byte(nil), n.fx.Journal.Buf...))
	})
	relog(n, Trust{Complete: true}, image...)
	h := n.s.index.find(&id)
	require.True(t, n.s.slots.copies(h).leased(n.s.slots.get(h), m.now))
}

// What a consumer of a node has is not queued there because another node hands
// it over.
func TestReviewEnqueueRespectsLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	n := m.nodes[1]
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 10))
	m.pass(5)
	n.do(func(s *Shard) { require.True(t, s.Enqueue(m.now, &id, &n.fx)) })
	require.Equal(t, []string{"b"}, n.take("q", 1))
	n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgEnqueue, ID: id}, &n.fx) })
	require.Empty(t, n.take("q", 1))
}

// No node can have made a job whose id is all zeros, which stands for no job.
func TestReviewZeroID(t *testing.T) {
	t.Parallel()
	job := &Job{Queue: "", State: Active, Repl: 1, Created: 1, Expires: t0}
	_, err := DecodeJob(AppendJob(nil, job))
	require.ErrorIs(t, err, ErrCorrupt)
	roll := &listRoll{{1}, {2}}
	msg := appendMessage(nil, 0, &Message{Kind: MsgReplJob, Holders: SetOf(0, 1), Job: job}, roll)
	_, err = DecodeMessage(MsgReplJob, msg, roll)
	require.ErrorIs(t, err, ErrCorrupt)
}

// However many holders others claim: what is journalled can be read back.
func TestReviewNoRecordTooManyHolders(t *testing.T) {
	t.Parallel()
	roll := &listRoll{{1}}
	s := NewShard(t0, Limits{Roll: roll})
	s.Attach(1, 1)
	r := &rig{t: t, s: s, now: t0, rnd: rand.New(rand.NewPCG(1, 1))}
	id := r.add(r.spec("q", "b"))
	for i := range 3 {
		var claimed Set
		for k := range mostNodes / 2 {
			var node NodeID
			binary.BigEndian.PutUint32(node[:], uint32(1<<24+i*mostNodes+k))
			*roll = append(*roll, node)
			claimed = claimed.With(uint16(len(*roll) - 1))
		}
		require.NoError(t, s.Receive(t0, 1, &Message{Kind: MsgHolders, ID: id, Holders: claimed}, &r.fx))
	}
	fresh := NewShard(t0, Limits{Roll: roll})
	from := 0
	for _, end := range r.fx.Journal.Ends {
		require.NoError(t, fresh.Replay(r.fx.Journal.Buf[from:end], 1))
		from = end
	}
}

// A statement that is older than what is known of the same node changes nothing,
// whatever it says.
func TestReviewOldHearsay(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 20))
	m.pass(5)
	n := m.nodes[1]
	h := n.s.index.find(&id)
	c := n.s.slots.copies(h)
	say := func(from uint16, k Kind, number uint8, left int64) {
		n.do(func(s *Shard) {
			_ = s.Receive(m.now, from, &Message{Kind: k, ID: id, Who: 1, Number: number, Left: left}, &n.fx)
		})
	}
	say(1, MsgLeased, 9, 3000) // node 0 itself
	require.Equal(t, saidLeased, c.said)
	say(2, MsgQueued, 8, 20_000) // it was queued before
	require.Equal(t, saidLeased, c.said)
	require.LessOrEqual(t, c.until, m.now+3000)
}

// What a node says of itself is newer than what it said before, although it heard
// of other nodes meanwhile: those who hear it second hand believe it.
func TestReviewOwnNumbersGrow(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(5)
	for range 20 { // node 2 hears from node 0 that it has the job queued
		m.nodes[0].do(func(s *Shard) {
			_ = s.Receive(m.now, 2, &Message{Kind: MsgWillQueue, ID: id}, &m.nodes[0].fx)
		})
	}
	m.pass(5)
	m.part([]int{0}, []int{2})
	m.nodes[0].do(func(s *Shard) { s.Dequeue(m.now, &id, &m.nodes[0].fx) })
	say := func(s *Shard) { // and node 0 of another queue
		_ = s.Receive(m.now, 2, &Message{Kind: MsgQueued, Flags: FlagForced, ID: id, Who: 2, Number: 1, Left: 10_000}, &m.nodes[0].fx)
	}
	m.nodes[0].do(say)
	m.nodes[0].do(func(s *Shard) { _, _ = s.Working(m.now, &id, &m.nodes[0].fx) })
	m.pass(5)
	n := m.nodes[1]
	n.do(func(s *Shard) { _ = s.Receive(m.now, 2, &Message{Kind: MsgWillQueue, ID: id}, &n.fx) })
	m.pass(5)
	c := m.nodes[2].s.slots.copies(m.nodes[2].s.index.find(&id))
	who, _ := m.nodes[2].s.limits.Roll.Number(m.nodes[0].id)
	require.Equal(t, who, c.who)
	require.Equal(t, saidLeased, c.said, "node 2 is told that a consumer of node 0 has the job")
}

// Rewrite keeps to its room, however many nodes hold the jobs.
func TestReviewRewriteKeepsToItsRoom(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 40)
	n := m.nodes[0]
	var all Set
	for i := range uint16(40) {
		all = all.With(i)
	}
	for range 20 {
		id, _ := n.put(m.spec("q", "b", 1, 1, 300))
		n.do(func(s *Shard) { _ = s.Receive(m.now, 1, &Message{Kind: MsgHolders, ID: id, Holders: all}, &n.fx) })
	}
	n.s.Attach(1, 1)
	const room = 4000
	var fx Effects
	for pos := int64(0); pos >= 0; {
		pos, _ = n.s.Rewrite(pos, 1000, 1, room, &fx)
		require.LessOrEqual(t, len(fx.Journal.Buf), room)
		fx.Journal.Reset()
	}
}

// An at-most-once job that a node only keeps for another one (it was asked to,
// and not told to queue it) is not queued by a command, so that it cannot come
// twice; can be evicted; and can be given to this node.
func TestReviewCopyOfAtMostOnce(t *testing.T) {
	t.Parallel()
	setup := func() (m *mesh, id ID) {
		m = newMesh(t, 3)
		n := m.nodes[0]
		id, _ = n.put(m.spec("q", "once", 1, 1, 0))
		n.s.view.Leaving = true
		m.views()
		m.cut[[2]int{1, 0}], m.cut[[2]int{2, 0}] = true, true
		for range 10 { // both are asked in the end, and their answers are lost
			n.do(func(s *Shard) { s.Drain(m.now, 0, 100, &n.fx) })
			m.pass(2500)
		}
		require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
		return m, id
	}
	m, id := setup()
	m.nodes[1].do(func(s *Shard) { require.False(t, s.Enqueue(m.now, &id, &m.nodes[1].fx), "ENQUEUE") })
	m.nodes[1].do(func(s *Shard) { require.False(t, s.Nack(m.now, &id, &m.nodes[1].fx), "NACK") })
	m.nodes[1].do(func(s *Shard) { require.Equal(t, 1, s.Evict(m.now, 10, &m.nodes[1].fx)) })
	m.heal()
	m.pass(1)
	m.nodes[0].do(func(s *Shard) { s.Drain(m.now, 0, 100, &m.nodes[0].fx) })
	m.pass(3000)
	m.nodes[0].do(func(s *Shard) { s.Drain(m.now, 0, 100, &m.nodes[0].fx) })
	m.pass(100)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
	var giver, taker *meshNode
	for i, st := range m.states(id) {
		if st == "queued" {
			giver, taker = m.nodes[i], m.nodes[3-i]
		}
	}
	require.NotZero(t, giver.num)
	copied := m.states(id)[taker.num]
	require.Empty(t, taker.take("q", 1))
	m.pass(100)
	require.Equal(t, []string{"once"}, taker.take("q", 1), "from %d to %d, where it was %q", giver.num, taker.num, copied)
	require.Empty(t, giver.take("q", 1))

	m, id = setup() // a restart knows it too
	n := m.nodes[1]
	relog(n, Trust{Complete: true}, image(n)...)
	n.do(func(s *Shard) { require.False(t, s.Enqueue(m.now, &id, &n.fx)) })
}

// A node that refuses a copy for long (its queue is paused, its memory is short)
// does not keep the job from having its copies elsewhere.
func TestReviewDutyLooksElsewhere(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	for _, n := range m.nodes[1:3] {
		n.do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn, false, &n.fx)) })
	}
	for range 10 {
		id, _ := m.nodes[0].put(m.spec("q", "b", 2, 1, 300))
		m.pass(60_000)
		require.Equal(t, "active", m.states(id)[3])
	}
}

// The acknowledgement of a job that is not known yet is kept while there is no
// room for the job.
func TestReviewDummyOutlivesRefusal(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n := m.nodes[2]
	m.part([]int{2}, []int{0, 1})
	id, _ := m.nodes[0].put(m.spec("other", "b", 1, 1, 300))
	n.ack(id)
	n.s.limits.Queues = noQuota{}
	job := m.nodes[0].get(id)
	n.do(func(s *Shard) {
		require.Error(t, s.Receive(m.now, 1, &Message{Kind: MsgReplJob, ID: id, Holders: SetOf(0, 1), Job: &job}, &n.fx))
	})
	_, ok := n.s.Dummy(&id)
	require.True(t, ok)
}

type noQuota struct{}

func (noQuota) Take() bool { return false }
func (noQuota) Give()      {}

// sound holds what must be true of the jobs of a shard that has peers.
func sound(t testing.TB, s *Shard, now int64) {
	t.Helper()
	wides, adders := 0, 0
	for h := uint32(1); h < s.slots.limit(); h++ {
		if s.slots.slabs[(h-1)/slabSlots] == nil || !s.slots.has(h) {
			continue
		}
		j, c := s.slots.get(h), s.slots.copies(h)
		say := fmt.Sprintf("%s %+v %+v", j.id, *j, c)
		if s.adders[h] != nil {
			adders++
			require.Equal(t, WaitRepl, j.state, say)
		}
		if _, ok := s.wide[h]; ok {
			wides++
			require.NotNil(t, c, say)
			require.NotZero(t, c.flags&flagWide, say)
		}
		require.True(t, s.holders(h).Has(Self) || c.flags&flagExternal != 0, say)
		if j.state == Active && j.retry > 0 {
			require.NotZero(t, j.qtime, say)
		}
		if j.retry == 0 && j.state == Active && j.qtime != 0 {
			require.Zero(t, j.flags&flagDelivered, say)
		}
		if j.retry > 0 {
			require.Zero(t, j.flags&flagSpent, say)
		} else if j.state == Active {
			require.Equal(t, j.flags&flagDelivered != 0, j.flags&flagSpent != 0, say)
		}
		switch {
		case c == nil:
			require.NotEqual(t, Acked, j.state, say)
			require.NotEqual(t, WaitRepl, j.state, say)
			continue
		case j.state == Acked:
			require.Zero(t, c.flags&(flagOrigin|flagMoved|flagDrain), say)
			require.NotZero(t, c.ptime, say)
			require.Zero(t, j.bodyLen, say)
			require.False(t, s.others(h).Empty(), say)
		case j.state == WaitRepl:
			require.NotZero(t, c.flags&flagOrigin, say)
		}
		if c.flags&(flagDrain|flagMoved) != 0 {
			require.NotZero(t, c.ptime, say)
		}
		if c.flags&flagOrigin != 0 {
			require.True(t, c.ptime != 0 || s.owing, say)
		}
		if c.flags&flagMoved != 0 {
			require.Zero(t, j.retry, say)
			require.Equal(t, Active, j.state, say)
			require.NotZero(t, j.flags&flagDelivered, say)
		}
	}
	require.Equal(t, len(s.adders), adders, "adders of jobs that are gone")
	require.Equal(t, len(s.wide), wides, "wide sets of jobs that are gone")
	wheelSound(t, s)
	for _, n := range s.live.bytes {
		require.GreaterOrEqual(t, n, int64(0))
	}
}

// wheelSound holds that each job is on the wheel, in no later place than its
// deadline.
func wheelSound(t testing.TB, s *Shard) {
	t.Helper()
	w, timers := &s.wheel, 0
	for b := range numBuckets {
		at := w.cur
		if b != dueBucket {
			level := b >> wheelBits
			shift := level * wheelBits
			at = w.cur>>(shift+wheelBits)<<(shift+wheelBits) | int64(b&wheelMask)<<shift
			require.Equal(t, w.head[b] != 0, w.set[level]>>(b&wheelMask)&1 != 0)
		}
		for h := w.head[b]; h != 0; h = s.slots.get(h).next {
			timers++
			require.LessOrEqual(t, at, max(w.cur, s.slots.deadline(h)), "a deadline changed on the wheel: %+v", *s.slots.get(h))
		}
	}
	require.Equal(t, s.slots.live, timers)
}

// world is nodes with clocks and logs of their own, and links that are late, cut
// and overtaken: what waits for the log comes later than what does not.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	m       *mesh // numbers the nodes
	now     int64
	nodes   []*worldNode
	mail    []*worldMail
	cut     map[[2]int]bool
	epoch   map[[2]int]int      // of a link; what was sent in another is lost
	lanes   map[[2]int][2]int64 // when the latest free and marked message of a link comes
	jobs    map[ID]*worldJob
	gone    map[int]bool // forgotten by all others
	history map[ID][]string
}

type worldJob struct {
	once, accepted, acked, deleted, excused bool
	sync, lost                              int
	delivered                               int
}

type worldNode struct {
	*rig
	w        *world
	num      int
	skew     int64
	alive    bool
	life     int // how often it was started
	logged   bool
	log      []worldRecord
	leaving  bool
	low      bool
	consumed []worldSeen // what clients shall see once it is safe
	waits    map[ID]bool
}

type worldRecord struct {
	at  int64 // when it is safe
	rec []byte
}

type worldSeen struct {
	at int64
	do func()
}

type worldMail struct {
	at       int64
	from, to int
	epoch    int
	kind     Kind
	data     []byte
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	w := &world{t: t, now: t0, cut: map[[2]int]bool{}, epoch: map[[2]int]int{}, lanes: map[[2]int][2]int64{}, jobs: map[ID]*worldJob{}, gone: map[int]bool{}, history: map[ID][]string{}}
	w.rnd = rand.New(rand.NewPCG(seed, 77))
	w.m = &mesh{}
	for i := range n {
		w.m.nodes = append(w.m.nodes, &meshNode{num: i, id: NodeID{0: byte(0x10 + 37*i), 19: byte(i)}})
		wn := &worldNode{w: w, num: i, skew: w.rnd.Int64N(600_000) - 300_000, logged: w.rnd.IntN(4) > 0}
		w.nodes = append(w.nodes, wn)
		wn.start(nil)
	}
	w.views()
	return w
}

func (n *worldNode) clock() int64 { return n.w.now + n.skew }

// start begins a life of a node, with what is left of its log.
func (n *worldNode) start(trust *Trust) {
	n.life++
	n.alive, n.leaving, n.low, n.consumed, n.waits = true, false, false, nil, map[ID]bool{}
	s := NewShard(n.clock(), Limits{Roll: meshRoll{n.w.m, n.num}, Seed: n.w.rnd.Uint64()})
	n.rig = &rig{t: n.w.t, s: s, now: n.clock(), rnd: n.w.rnd, sparse: true}
	if trust != nil {
		for _, r := range n.log {
			require.NoError(n.t, s.Replay(r.rec, 1))
		}
	}
	if n.logged {
		s.Attach(1, 1)
	}
	if trust != nil {
		var sum Settled
		for pos := int64(0); pos >= 0; {
			pos = s.Settle(n.clock(), pos, 50, *trust, &n.fx, &sum)
		}
		n.post()
	}
	n.rig.sparse = false
	n.check()
	n.rig.sparse = true
	sound(n.t, s, n.clock())
}

// kill ends a life. Of the log what is not safe may be lost, or not.
func (n *worldNode) kill() {
	n.alive = false
	last := len(n.log)
	for last > 0 && n.log[last-1].at > n.w.now {
		last--
	}
	n.log = n.log[:last+n.w.rnd.IntN(len(n.log)-last+1)]
	for _, o := range n.w.nodes {
		n.w.epoch[[2]int{n.num, o.num}]++
		n.w.epoch[[2]int{o.num, n.num}]++
	}
	n.w.mail = deleteMail(n.w.mail, func(l *worldMail) bool { return l.from == n.num || l.to == n.num })
}

func deleteMail(mail []*worldMail, lost func(*worldMail) bool) []*worldMail {
	kept := mail[:0]
	for _, l := range mail {
		if !lost(l) {
			kept = append(kept, l)
		}
	}
	return kept
}

// views tells the nodes who is there.
func (w *world) views() {
	for _, n := range w.nodes {
		if !n.alive {
			continue
		}
		v := &View{Leaving: n.leaving}
		for _, o := range w.nodes {
			if o == n || w.gone[o.num] || w.gone[n.num] {
				continue
			}
			num, _ := (meshRoll{w.m, n.num}).Number(w.m.nodes[o.num].id)
			v.Known = v.Known.With(num)
			if o.alive && !o.leaving && !w.cut[[2]int{n.num, o.num}] && !w.cut[[2]int{o.num, n.num}] {
				v.Reachable = v.Reachable.With(num)
				if w.rnd.IntN(20) > 0 {
					v.Linked = v.Linked.With(num)
				}
			}
		}
		n.s.SetView(v)
		n.s.Rouse(w.m.now, 0, 1<<20)
	}
}

// do changes a node; what clients see of it they see when it is safe.
func (n *worldNode) do(change func(s *Shard)) (safe int64) {
	n.rig.now = n.clock()
	change(n.s)
	safe = n.post()
	if n.check(); n.checks%40 == 0 {
		sound(n.t, n.s, n.clock())
	}
	return safe
}

func (n *worldNode) seen(at int64, do func()) {
	if at <= n.w.now {
		do()
		return
	}
	n.consumed = append(n.consumed, worldSeen{at, do})
}

// post journals and sends what a change left. It returns when that is safe.
func (n *worldNode) post() (safe int64) {
	w := n.w
	safe = w.now
	if n.logged {
		if len(n.log) > 0 {
			safe = max(safe, n.log[len(n.log)-1].at)
		}
		if len(n.fx.Journal.Ends) > 0 {
			safe = max(safe, w.now+w.rnd.Int64N(12))
		}
		from := 0
		for _, end := range n.fx.Journal.Ends {
			n.log = append(n.log, worldRecord{safe, append([]byte(nil), n.fx.Journal.Buf[from:end]...)})
			from = end
		}
	}
	n.fx.Journal.Reset()
	from := 0
	for _, mail := range n.fx.Outbox.Mail {
		data := append([]byte(nil), n.fx.Outbox.Buf[from:mail.End]...)
		from = mail.End
		mail.To.Each(func(num uint16) bool {
			link := [2]int{n.num, meshRoll{w.m, n.num}.node(num)}
			require.NotEqual(n.t, n.num, link[1])
			if w.cut[link] || w.gone[link[0]] || w.gone[link[1]] {
				return true
			}
			lane := w.lanes[link]
			at := w.now + 1 + w.rnd.Int64N(4)
			if w.rnd.IntN(50) == 0 {
				at += w.rnd.Int64N(700)
			}
			if mail.Safe {
				at = max(at+safe-w.now, lane[0], lane[1])
				lane[1] = at
			} else {
				at = max(at, lane[0])
				lane[0] = at
			}
			w.lanes[link] = lane
			w.mail = append(w.mail, &worldMail{at: at, from: n.num, to: link[1], epoch: w.epoch[link], kind: mail.Kind, data: data})
			return true
		})
	}
	n.fx.Outbox.Reset()
	for _, a := range n.fx.Added {
		id := a.Adder.(adder).id
		delete(n.waits, id)
		if a.Err == nil {
			n.seen(safe, func() { w.jobs[id].accepted = true })
		}
	}
	n.fx.Added, n.fx.Wakes = nil, nil
	return safe
}

// note remembers what became of a job, for whoever looks into a failure.
func (w *world) note(id ID, format string, a ...any) {
	w.history[id] = append(w.history[id], fmt.Sprintf("%d ", w.now-t0)+fmt.Sprintf(format, a...))
}

func (w *world) receive(l *worldMail) {
	n := w.nodes[l.to]
	n.do(func(s *Shard) {
		msg, err := DecodeMessage(l.kind, l.data, s.limits.Roll)
		require.NoError(w.t, err)
		num, _ := s.limits.Roll.Number(w.m.nodes[l.from].id)
		if w.history[msg.ID] != nil || l.kind == MsgReplJob || l.kind == MsgYourJob {
			w.note(msg.ID, "%d->%d %s flags %d left %d turn %d", l.from, l.to, l.kind, msg.Flags, msg.Left, msg.Turn)
		}
		if (n.leaving || n.low) && (l.kind == MsgReplJob || l.kind == MsgYourJob) {
			if l.kind == MsgYourJob {
				s.Refuse(n.clock(), num, msg, &n.fx)
			}
			return
		}
		_ = s.Receive(n.clock(), num, msg, &n.fx)
	})
}

// pass lets time pass.
func (w *world) pass(ms int64) {
	for end := w.now + ms; ; {
		next := end + 1
		for _, l := range w.mail {
			next = min(next, l.at)
		}
		for _, n := range w.nodes {
			if !n.alive {
				continue
			}
			if at, ok := n.s.Next(); ok {
				next = min(next, max(at-n.skew, w.now))
			}
			for _, c := range n.consumed {
				next = min(next, c.at)
			}
		}
		if next > end {
			w.now = end
			return
		}
		w.now = max(w.now, next)
		for _, n := range w.nodes {
			for n.alive && len(n.consumed) > 0 && n.consumed[0].at <= w.now {
				do := n.consumed[0].do
				n.consumed = n.consumed[1:]
				do()
			}
		}
		for i := 0; i < len(w.mail); {
			l := w.mail[i]
			if l.at > w.now {
				i++
				continue
			}
			w.mail = append(w.mail[:i], w.mail[i+1:]...)
			link := [2]int{l.from, l.to}
			if w.nodes[l.to].alive && !w.cut[link] && w.epoch[link] == l.epoch && !w.gone[l.from] && !w.gone[l.to] {
				w.receive(l)
			}
		}
		for _, n := range w.nodes {
			if n.alive {
				n.do(func(s *Shard) {
					for rounds := 0; s.Tick(n.clock(), 100, &n.fx); rounds++ {
						require.Less(w.t, rounds, 1000, "the wheel does not come to rest")
					}
				})
			}
		}
	}
}

// holds reports whether a node has a job, in memory or in its log.
func (n *worldNode) holds(id ID) bool {
	if n.alive || !n.logged {
		return n.s.index.find(&id) != 0
	}
	held := false
	for _, r := range n.log {
		switch r.rec[0] {
		case recPut, recPutSet:
			if p, err := ParseRecord(r.rec); err == nil && p.ID == id {
				held = true
			}
		case recDel:
			if ID(r.rec[1:delSize]) == id {
				held = false
			}
		}
	}
	return held
}

// forgetMemory counts the jobs that a node loses.
func (n *worldNode) forgetMemory() {
	for id, j := range n.w.jobs {
		if !n.holds(id) {
			continue
		}
		j.lost++
		left := false
		for _, o := range n.w.nodes {
			left = left || o != n && o.holds(id)
		}
		if j.lost >= j.sync || !left {
			j.excused = true
		}
		n.w.note(id, "%d lost its memory, excused %t", n.num, j.excused)
	}
	n.log = nil
}

func (n *worldNode) add(body string) {
	w := n.w
	q := fmt.Sprint("q", w.rnd.IntN(2))
	spec := n.spec(q, body)
	spec.Retry, spec.Repl = uint32(1+w.rnd.IntN(6)), uint16(1+w.rnd.IntN(3))
	if w.rnd.IntN(4) == 0 {
		spec.Retry, spec.Repl = 0, 1
	}
	spec.Sync = uint16(1 + w.rnd.IntN(int(spec.Repl)))
	if w.rnd.IntN(5) == 0 {
		spec.Delay = uint32(1 + w.rnd.IntN(5))
	}
	spec.External = n.leaving || n.low || w.rnd.IntN(10) == 0
	spec.ID = n.rig.id(q, spec.Retry == 0)
	copy(spec.ID[idNode:idTTL], w.m.nodes[n.num].id[:4])
	spec.Adder = adder{spec.ID}
	w.jobs[spec.ID] = &worldJob{once: spec.Retry == 0, sync: int(spec.Sync)}
	w.note(spec.ID, "added at %d: repl %d sync %d retry %d delay %d external %t", n.num, spec.Repl, spec.Sync, spec.Retry, spec.Delay, spec.External)
	var waits bool
	var err error
	safe := n.do(func(s *Shard) { waits, err = s.Add(n.clock(), spec, &n.fx) })
	if waits {
		n.waits[spec.ID] = true
	} else if err == nil {
		n.seen(safe, func() { w.jobs[spec.ID].accepted = true })
	}
}

func (n *worldNode) fetch(count int) (ids []ID) {
	w := n.w
	q := fmt.Sprint("q", w.rnd.IntN(2))
	back := w.rnd.IntN(12) == 0
	type lease struct {
		at   int64
		turn uint8
	}
	var leases []lease
	safe := n.do(func(s *Shard) {
		_, err := s.Fetch(n.clock(), []byte(q), count, &n.fx, func(j *Job) bool {
			ids, leases = append(ids, j.ID), append(leases, lease{j.NextQueue, j.Turn})
			return true
		})
		require.NoError(n.t, err)
	})
	for i, id := range ids {
		if back { // it never reached its consumer
			n.do(func(s *Shard) { s.Return(n.clock(), &id, leases[i].at, leases[i].turn, &n.fx) })
			w.note(id, "returned at %d", n.num)
			continue
		}
		j := w.jobs[id]
		w.note(id, "fetched at %d, safe in %d", n.num, safe-w.now)
		if !j.once {
			j.delivered++
			continue
		}
		n.seen(safe, func() {
			if j.delivered++; j.delivered > 1 {
				w.fail(id, "at most once, and delivered again")
			}
		})
	}
	if back {
		return nil
	}
	return ids
}

func (w *world) fail(id ID, what string) {
	for _, line := range w.history[id] {
		w.t.Log(line)
	}
	for _, n := range w.nodes {
		if h := n.s.index.find(&id); h != 0 {
			w.t.Logf("node %d alive %t: %+v %+v", n.num, n.alive, *n.s.slots.get(h), n.s.slots.copies(h))
		}
	}
	require.Fail(w.t, what, id.String())
}

func (w *world) known() (ids []ID) {
	for _, n := range w.nodes {
		if n.alive {
			n.s.ScanJobs(int64(w.rnd.IntN(20)), 50, func(j *Job) bool { ids = append(ids, j.ID); return true })
		}
	}
	return ids
}

func (w *world) step(step int) {
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	if !n.alive {
		if w.rnd.IntN(4) == 0 {
			n.revive()
		}
		w.pass(int64(w.rnd.IntN(100)))
		return
	}
	var id ID
	if ids := w.known(); len(ids) > 0 {
		id = ids[w.rnd.IntN(len(ids))]
	}
	j := w.jobs[id]
	if j == nil {
		j = &worldJob{once: true}
	}
	now := n.clock()
	switch k := w.rnd.IntN(130); {
	case k < 22:
		n.add(fmt.Sprint(step))
	case k < 45:
		n.fetch(1 + w.rnd.IntN(2))
	case k < 57:
		if j.delivered > 0 {
			n.do(func(s *Shard) { s.Ack(now, &id, &n.fx) })
			j.acked = true
			w.note(id, "acked at %d", n.num)
		}
	case k < 59:
		if j.delivered > 0 && w.rnd.IntN(2) == 0 {
			j.deleted = true
			w.note(id, "fastacked at %d", n.num)
			n.do(func(s *Shard) { s.FastAck(now, &id, &n.fx) })
		}
	case k < 60:
		j.deleted = true
		w.note(id, "deleted at %d", n.num)
		n.do(func(s *Shard) { s.Delete(now, &id, &n.fx) })
	case k < 64:
		w.note(id, "working at %d", n.num)
		n.do(func(s *Shard) { _, _ = s.Working(now, &id, &n.fx) })
	case k < 68:
		w.note(id, "nack at %d", n.num)
		n.do(func(s *Shard) { s.Nack(now, &id, &n.fx) })
	case k < 71:
		if !j.once {
			w.note(id, "dequeue at %d", n.num)
			n.do(func(s *Shard) { s.Dequeue(now, &id, &n.fx) })
		}
	case k < 75:
		w.note(id, "enqueue at %d", n.num)
		n.do(func(s *Shard) { s.Enqueue(now, &id, &n.fx) })
	case k < 78:
		p := Pause(0)
		if w.rnd.IntN(3) == 0 {
			p = Pause(w.rnd.IntN(4))
		}
		n.do(func(s *Shard) {
			_ = s.SetPause(now, []byte(fmt.Sprint("q", w.rnd.IntN(2))), p, w.rnd.IntN(2) == 0, &n.fx)
		})
	case k < 82:
		n.do(func(s *Shard) { s.GiveUp(now, &id, &n.fx) })
		w.note(id, "given up at %d", n.num)
		delete(n.waits, id)
	case k < 84:
		n.kill()
		if w.rnd.IntN(3) == 0 {
			n.revive()
		}
	case k < 86:
		n.low = !n.low
	case k < 88:
		n.leaving = !n.leaving
		w.views()
	case k < 94:
		for _, o := range w.nodes {
			if o.alive && o.leaving {
				pos := int64(0)
				for pos >= 0 {
					o.do(func(s *Shard) { pos, _ = s.Drain(o.clock(), pos, 20, &o.fx) })
				}
			}
		}
	case k < 96:
		a := w.rnd.Perm(len(w.nodes))
		c := 1 + w.rnd.IntN(len(w.nodes)-1)
		for _, x := range a[:c] {
			for _, y := range a[c:] {
				w.sever(x, y)
				w.sever(y, x)
			}
		}
	case k < 97:
		w.sever(w.rnd.IntN(len(w.nodes)), w.rnd.IntN(len(w.nodes)))
	case k < 102:
		clear(w.cut)
	case k < 104:
		w.views()
	case k < 105:
		if len(w.gone) == 0 && w.rnd.IntN(3) == 0 {
			w.forget(n)
		} else {
			clear(w.gone)
			w.views()
		}
	case k < 107:
		n.do(func(s *Shard) { s.WantForWaiters(now, &n.fx) })
	default:
		w.pass(int64(w.rnd.IntN(700)))
	}
}

func (w *world) sever(x, y int) {
	w.cut[[2]int{x, y}] = true
	w.epoch[[2]int{x, y}]++
}

// forget makes a node no member any more, for a while.
func (w *world) forget(n *worldNode) {
	w.gone[n.num] = true
	w.views()
	for _, o := range w.nodes {
		if o == n || !o.alive {
			continue
		}
		num, _ := o.s.limits.Roll.Number(w.m.nodes[n.num].id)
		for pos := int64(0); pos >= 0; {
			o.do(func(s *Shard) { pos = s.Forget(o.clock(), num, pos, 10, &o.fx) })
		}
	}
}

// revive starts a node that was killed: with its log, whole or not trusted, or
// with nothing.
func (n *worldNode) revive() {
	w := n.w
	n.skew += w.rnd.Int64N(3000) - 1500
	if !n.logged || w.rnd.IntN(12) == 0 {
		n.forgetMemory()
		n.start(nil)
	} else {
		n.start(&Trust{Complete: w.rnd.IntN(3) > 0, QueueAll: w.rnd.IntN(10) == 0})
	}
	w.views()
}

func runWorld(t *testing.T, seed uint64, size, steps int) {
	w := newWorld(t, seed, size)
	for step := range steps {
		w.step(step)
	}
	clear(w.cut)
	clear(w.gone)
	w.pass(3000) // what is on its way arrives
	for _, n := range w.nodes {
		if !n.alive {
			n.revive()
		}
		n.leaving, n.low = false, false
		for _, q := range []string{"q0", "q1"} {
			n.do(func(s *Shard) { require.NoError(t, s.SetPause(n.clock(), []byte(q), 0, false, &n.fx)) })
		}
	}
	left := func() (sum int) {
		for _, n := range w.nodes {
			sum += n.s.Jobs()
		}
		return sum
	}
	for round := 0; left() > 0; round++ {
		w.views()
		if round == 2500 {
			for _, n := range w.nodes {
				n.s.ScanJobs(0, 1e6, func(j *Job) bool {
					w.fail(j.ID, fmt.Sprintf("%d jobs stay", left()))
					return false
				})
			}
			require.Fail(t, "acknowledgements stay")
		}
		for _, n := range w.nodes {
			for _, id := range n.fetch(10) {
				n.do(func(s *Shard) { s.Ack(n.clock(), &id, &n.fx) })
				w.jobs[id].acked = true
				w.note(id, "acked at %d in the end", n.num)
			}
			if round > 1000 { // more copies may be wanted than there are nodes
				for id := range w.jobs {
					if h := n.s.index.find(&id); h != 0 && n.s.slots.get(h).state == WaitRepl {
						n.do(func(s *Shard) { s.GiveUp(n.clock(), &id, &n.fx) })
					}
				}
				n.do(func(s *Shard) { s.Evict(n.clock(), 1000, &n.fx) })
			}
		}
		w.pass(400)
	}
	accepted, once := 0, 0
	for id, j := range w.jobs {
		if !j.accepted {
			continue
		}
		if accepted++; j.once {
			once += min(1, j.delivered)
		}
		if !j.once && !j.acked && !j.deleted && !j.excused {
			w.fail(id, "lost")
		}
	}
	for _, n := range w.nodes {
		n.rig.sparse = false
		n.check()
		sound(t, n.s, n.clock())
		require.Empty(t, n.s.adders)
		require.Empty(t, n.s.wide)
	}
	require.Greater(t, accepted, steps/40)
	require.NotZero(t, once)
}

var worldFrom = flag.Uint64("world.from", 0, "first seed of TestReviewWorld")

var worldSeeds = flag.Uint64("world.seeds", 6, "seeds of TestReviewWorld")

// Whatever happens to nodes, links, logs and clocks: no accepted job is lost that
// is at least once, none comes twice that is at most once, and nothing stays.
func TestReviewWorld(t *testing.T) {
	t.Parallel()
	for k := range *worldSeeds {
		seed := *worldFrom + k
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runWorld(t, seed, 3+int(seed%3), 2500)
		})
	}
}

// The same with more nodes than the small sets have room for.
func TestReviewWideWorld(t *testing.T) {
	t.Parallel()
	runWorld(t, 3, 70, 300)
}

// messageShard is a shard with jobs in all states, and their ids.
func messageShard(t testing.TB) (*rig, []ID) {
	roll := &listRoll{{0x10}, {0x35, 19: 1}, {0x5a, 19: 2}, {0x7f, 19: 3}}
	r := &rig{t: t, s: NewShard(t0, Limits{Roll: roll, Seed: 5}), now: t0, rnd: rand.New(rand.NewPCG(1, 1))}
	r.s.SetView(&View{Known: SetOf(1, 2, 3), Reachable: SetOf(1, 2, 3), Linked: SetOf(1, 2, 3)})
	r.s.Attach(1, 1)
	var ids []ID
	add := func(retry uint32, repl, sync uint16, external bool, delay uint32) ID {
		spec := r.spec("q", "body")
		spec.Retry, spec.Repl, spec.Sync, spec.External, spec.Delay = retry, repl, sync, external, delay
		spec.ID = r.id("q", retry == 0)
		if repl > 1 || external {
			spec.Adder = adder{spec.ID}
		}
		require.NoError(t, second(r.s.Add(r.now, spec, &r.fx)))
		ids = append(ids, spec.ID)
		return spec.ID
	}
	say := func(from uint16, m *Message) { _ = r.s.Receive(r.now, from, m, &r.fx) }
	add(300, 1, 1, false, 0)
	add(300, 1, 1, false, 0)
	r.fetch("q", 2) // leased, without other holders
	shared := add(300, 2, 2, false, 0)
	say(1, &Message{Kind: MsgGotJob, ID: shared})
	say(2, &Message{Kind: MsgGotJob, ID: shared})
	r.fetch("q", 1) // leased
	add(0, 1, 1, false, 0)
	r.fetch("q", 1)          // delivered, at most once
	add(300, 3, 3, false, 0) // waits
	add(0, 1, 1, true, 0)
	add(300, 2, 2, true, 9)
	add(0, 1, 1, false, 50)
	add(300, 3, 1, false, 50)
	acked := add(300, 2, 1, false, 0)
	r.s.Ack(r.now, &acked, &r.fx)
	add(0, 1, 1, false, 0)
	say(1, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}) // moved
	add(300, 1, 1, false, 0)
	say(2, &Message{Kind: MsgNeedJobs, Queue: []byte("q"), Count: 1}) // given
	for _, retry := range []uint32{0, 300} {
		job := &Job{ID: r.id("q", retry == 0), Queue: "q", Body: []byte("x"), Repl: 2, Retry: retry, Created: 1, Expires: 1e6}
		say(3, &Message{Kind: MsgReplJob, ID: job.ID, Holders: SetOf(0, 3), Job: job}) // a copy
		ids = append(ids, job.ID)
		job = &Job{ID: r.id("q", retry == 0), Queue: "q", Body: []byte("x"), Repl: 2, Retry: retry, Created: 1, Expires: 1e6}
		say(3, &Message{Kind: MsgYourJob, Turn: 1, ID: job.ID, Holders: SetOf(0, 3), Job: job}) // imported
		ids = append(ids, job.ID)
	}
	dummy := r.id("q", false)
	r.s.Ack(r.now, &dummy, &r.fx)
	ids = append(ids, dummy, r.id("q", false), r.id("q", true))
	add(300, 1, 1, false, 0)
	add(0, 1, 1, false, 0)
	add(300, 3, 1, false, 0)
	r.check()
	sound(t, r.s, r.now)
	return r, ids
}

// FuzzMessage: no message, whatever it says of whichever job, makes a shard panic
// or breaks what it must keep; and what can be read says the same when it is
// written and read again.
func FuzzMessage(f *testing.F) {
	_, ids := messageShard(f)
	roll := &listRoll{{0x10}, {0x35, 19: 1}, {0x5a, 19: 2}, {0x7f, 19: 3}}
	for k := MsgReplJob; k < endOfKinds; k++ {
		job := &Job{ID: ids[0], Queue: "q", Body: []byte("body"), Repl: 2, Retry: 300, Created: 1, Expires: t0 + 5000, NextQueue: t0 + 9}
		m := &Message{Kind: k, ID: ids[0], Who: 1, Left: 500, Holders: SetOf(0, 1, 3), Queue: []byte("q"), Count: 3, Turn: 1, Job: job}
		for which := range ids {
			f.Add(uint8(k), uint8(1), uint8(which), uint16(0), appendMessage(nil, t0, m, roll))
		}
	}
	f.Fuzz(func(t *testing.T, kind, from, which uint8, wait uint16, data []byte) {
		r, ids := messageShard(t)
		k, sender := MsgReplJob+Kind(kind%uint8(endOfKinds-MsgReplJob)), 1+uint16(from%3)
		data = append([]byte(nil), data...)
		if n := int(which); n < len(ids) && len(data) >= messageFix {
			copy(data[3:], ids[n][:]) // of a job that is known, and of the same again
		}
		roll := r.s.limits.Roll
		m, err := DecodeMessage(k, data, roll)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		again, err := DecodeMessage(k, appendMessage(nil, 0, m, roll), roll)
		require.NoError(t, err)
		parts := partsOf(k)
		require.Equal(t, m.ID, again.ID)
		require.Equal(t, m.Flags, again.Flags)
		require.Equal(t, m.Turn, again.Turn)
		if parts&partState != 0 {
			require.Equal(t, [3]int64{int64(m.Who), int64(m.Number), m.Left}, [3]int64{int64(again.Who), int64(again.Number), again.Left})
		}
		if parts&partHolders != 0 {
			require.Equal(t, m.Holders, again.Holders)
		}
		if parts&partQueue != 0 {
			require.Equal(t, m.Count, again.Count)
			require.Equal(t, string(m.Queue), string(again.Queue))
		}
		if parts&partJob != 0 {
			was := *m.Job
			was.Expires = max(1, was.Expires)
			require.Equal(t, was.ID, again.Job.ID)
			require.Equal(t, string(was.Body), string(again.Job.Body))
			require.Equal(t, [3]int64{was.Created, was.Expires, was.NextQueue}, [3]int64{again.Job.Created, again.Job.Expires, again.Job.NextQueue})
		}
		for range 2 {
			_ = r.s.Receive(r.now, sender, m, &r.fx)
			r.settled(t)
		}
		for _, ms := range [...]int64{int64(wait), 700, 700, 60_000, 400_000, 2e6} {
			r.now += ms
			for rounds := 0; r.s.Tick(r.now, 50, &r.fx); rounds++ {
				require.Less(t, rounds, 10_000, "the wheel does not come to rest")
			}
			r.settled(t)
		}
		for id := range ids {
			r.s.Ack(r.now, &ids[id], &r.fx)
		}
		r.settled(t)
		fresh := &rig{t: t, s: NewShard(r.now, Limits{Roll: roll}), now: r.now}
		from0 := 0
		for _, end := range r.fx.Journal.Ends {
			require.NoError(t, fresh.s.Replay(r.fx.Journal.Buf[from0:end], 1), "what was journalled can be read")
			from0 = end
		}
		var sum Settled
		for pos := int64(0); pos >= 0; {
			pos = fresh.s.Settle(fresh.now, pos, 7, Trust{Complete: true}, &fresh.fx, &sum)
		}
		fresh.check()
		sound(t, fresh.s, fresh.now)
	})
}

// settled checks a shard that messages were thrown at, and empties its outbox.
func (r *rig) settled(t testing.TB) {
	t.Helper()
	for r.s.Tick(r.now, 50, &r.fx) { // a TTL of nothing
	}
	r.fx.Outbox.Reset()
	r.check()
	sound(t, r.s, r.now)
}
