package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// mesh is some nodes of one shard each, with a network between them and one
// clock. Messages take a millisecond and come in order, or not at all.
type mesh struct {
	t     *testing.T
	nodes []*meshNode
	now   int64
	mail  []letter
	cut   map[[2]int]bool // whose messages do not reach whom
	sent  map[Kind]int
	rnd   *rand.Rand
}

type meshNode struct {
	*rig
	m     *mesh
	num   int
	id    NodeID
	alive bool
	added map[ID]error // of Adders
}

type letter struct {
	at       int64
	from, to int
	kind     Kind
	data     []byte
}

// meshRoll numbers the nodes of a mesh as one of them does: itself 0.
type meshRoll struct {
	m    *mesh
	self int
}

func (r meshRoll) Number(id NodeID) (uint16, bool) {
	n := int(id[19])
	switch {
	case n == r.self:
		return Self, true
	case n < r.self:
		return uint16(n + 1), true
	}
	return uint16(n), true
}

func (r meshRoll) ID(number uint16) NodeID { return r.m.nodes[r.node(number)].id }

func (r meshRoll) node(number uint16) int {
	switch n := int(number); {
	case n == Self:
		return r.self
	case n <= r.self:
		return n - 1
	default:
		return n
	}
}

func newMesh(t *testing.T, n int) *mesh {
	m := &mesh{t: t, now: t0, cut: map[[2]int]bool{}, sent: map[Kind]int{}, rnd: rand.New(rand.NewPCG(7, 7))}
	for i := range n {
		node := &meshNode{m: m, num: i, id: NodeID{0: byte(0x10 + 37*i), 19: byte(i)}, alive: true, added: map[ID]error{}}
		m.nodes = append(m.nodes, node)
		node.start()
	}
	m.views()
	return m
}

// start makes the node one without jobs.
func (n *meshNode) start() {
	s := NewShard(n.m.now, Limits{Roll: meshRoll{n.m, n.num}, Seed: uint64(n.num + 1)})
	n.rig = &rig{t: n.m.t, s: s, now: n.m.now, rnd: n.m.rnd, sparse: true}
}

// views tells everybody who is there.
func (m *mesh) views() {
	for _, n := range m.nodes {
		v := &View{Leaving: n.s.view.Leaving}
		for _, o := range m.nodes {
			if num, _ := (meshRoll{m, n.num}).Number(o.id); o != n {
				v.Known = v.Known.With(num)
				if o.alive && !o.s.view.Leaving {
					v.Reachable, v.Linked = v.Reachable.With(num), v.Linked.With(num)
				}
			}
		}
		n.s.SetView(v)
	}
}

// part cuts what two groups of nodes say to each other.
func (m *mesh) part(a, b []int) {
	for _, x := range a {
		for _, y := range b {
			m.cut[[2]int{x, y}], m.cut[[2]int{y, x}] = true, true
		}
	}
}

func (m *mesh) heal() { clear(m.cut) }

// post takes what a change of a node has to say.
func (n *meshNode) post() {
	from := 0
	for _, mail := range n.fx.Outbox.Mail {
		data := append([]byte(nil), n.fx.Outbox.Buf[from:mail.End]...)
		from = mail.End
		mail.To.Each(func(num uint16) bool {
			to := meshRoll{n.m, n.num}.node(num)
			n.m.sent[mail.Kind]++
			if !n.m.cut[[2]int{n.num, to}] {
				n.m.mail = append(n.m.mail, letter{n.m.now + 1, n.num, to, mail.Kind, data})
			}
			return true
		})
	}
	n.fx.Outbox.Reset()
	n.fx.Journal.Reset()
	for _, a := range n.fx.Added {
		n.added[a.Adder.(adder).id] = a.Err
	}
	n.fx.Added, n.fx.Wakes = nil, nil
}

type adder struct{ id ID }

func (adder) Added(error) {}

// do changes a node and lets the others hear of it.
func (n *meshNode) do(change func(s *Shard)) {
	n.rig.now = n.m.now
	change(n.s)
	n.post()
	n.check()
}

func (n *meshNode) receive(l letter) {
	n.do(func(s *Shard) {
		msg, err := DecodeMessage(l.kind, l.data, s.limits.Roll)
		require.NoError(n.t, err)
		num, _ := s.limits.Roll.Number(n.m.nodes[l.from].id)
		_ = s.Receive(n.m.now, num, msg, &n.fx)
	})
}

// pass lets time pass.
func (m *mesh) pass(ms int64) {
	for end := m.now + ms; ; {
		next := end + 1
		if len(m.mail) > 0 {
			next = min(next, m.mail[0].at)
		}
		for _, n := range m.nodes {
			if at, ok := n.s.Next(); ok && n.alive {
				next = min(next, max(at, m.now))
			}
		}
		if next > end {
			m.now = end
			return
		}
		m.now = max(m.now, next)
		for len(m.mail) > 0 && m.mail[0].at <= m.now {
			l := m.mail[0]
			m.mail = m.mail[1:]
			if m.nodes[l.to].alive && !m.cut[[2]int{l.from, l.to}] {
				m.nodes[l.to].receive(l)
			}
		}
		for _, n := range m.nodes {
			if n.alive {
				n.do(func(s *Shard) {
					for s.Tick(m.now, 100, &n.fx) {
					}
				})
			}
		}
	}
}

// spec is a job for r nodes, answered when it is on s.
func (m *mesh) spec(queue, body string, r, s, retry int) *Spec {
	sp := m.nodes[0].spec(queue, body)
	sp.Repl, sp.Sync, sp.Retry = uint16(r), uint16(s), uint32(retry)
	sp.ID = m.nodes[0].newID(queue, retry == 0)
	return sp
}

func (n *meshNode) newID(queue string, once bool) ID { return n.rig.id(queue, once) }

// put adds a job and reports whether the producer was answered at once.
func (n *meshNode) put(sp *Spec) (id ID, waits bool) {
	copy(sp.ID[idNode:idTTL], n.id[:4])
	sp.Adder = adder{sp.ID}
	n.do(func(s *Shard) {
		var err error
		waits, err = s.Add(n.m.now, sp, &n.fx)
		require.NoError(n.t, err)
	})
	return sp.ID, waits
}

func (n *meshNode) take(queue string, count int) (bodies []string) {
	n.do(func(*Shard) { bodies = n.fetch(queue, count) })
	return bodies
}

func (n *meshNode) ack(id ID) (ok bool) {
	n.do(func(s *Shard) { ok = s.Ack(n.m.now, &id, &n.fx) })
	return ok
}

// states returns the state of a job on each node, "" where it is not known.
func (m *mesh) states(id ID) (all []string) {
	for _, n := range m.nodes {
		st := ""
		if j, ok := n.s.Get(&id); ok {
			st = j.State.String()
		}
		if !n.alive {
			st = "dead"
		}
		all = append(all, st)
	}
	return all
}

func (m *mesh) count(id ID, state string) (n int) {
	for _, st := range m.states(id) {
		if st == state {
			n++
		}
	}
	return n
}

func (m *mesh) jobs() (n int) {
	for _, node := range m.nodes {
		if node.alive {
			n += node.s.Jobs()
		}
	}
	return n
}

func TestSynchronousReplication(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	id, waits := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
	require.True(t, waits)
	require.Equal(t, "wait-repl", m.states(id)[0])
	m.pass(2)
	require.NoError(t, m.nodes[0].added[id])
	require.Contains(t, m.nodes[0].added, id)
	require.Equal(t, "queued", m.states(id)[0])
	require.Equal(t, 2, m.count(id, "active"))
	require.Equal(t, 2, m.sent[MsgReplJob])
	require.Equal(t, 2, m.sent[MsgGotJob])

	require.Equal(t, []string{"b"}, m.nodes[0].take("q", 1))
	clear(m.sent)
	require.True(t, m.nodes[0].ack(id))
	m.pass(10)
	require.Zero(t, m.jobs())
	require.Equal(t, map[Kind]int{MsgSetAck: 2, MsgGotAck: 2, MsgDelJob: 2}, m.sent, "an ACK costs 3(R-1), and no broadcast")
}

func TestOneMoreNode(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	m.nodes[1].alive = false // and nobody knows yet
	for range 20 {
		id, waits := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
		require.True(t, waits)
		m.pass(80)
		require.Contains(t, m.nodes[0].added, id)
	}
}

func TestDutyGoesOn(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.nodes[2].alive = false
	m.views()
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 2, 300))
	m.pass(2)
	require.Contains(t, m.nodes[0].added, id)
	m.pass(60_000)
	require.Equal(t, []string{"queued", "active", "dead"}, m.states(id))
	require.Less(t, m.sent[MsgReplJob], 5, "nobody is asked in vain")
	m.nodes[2].alive = true
	m.views()
	m.pass(5000)
	require.Equal(t, []string{"queued", "active", "active"}, m.states(id))
	clear(m.sent)
	m.pass(100_000)
	require.Empty(t, m.sent, "the duty is done")
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.part([]int{0}, []int{2})
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 5))
	m.pass(500)
	require.Equal(t, "active", m.states(id)[1])
	m.nodes[0].do(func(s *Shard) {
		n, silent, ok := s.GiveUp(m.now, &id, &m.nodes[0].fx)
		require.True(t, ok)
		require.Equal(t, 2, n)
		require.Equal(t, SetOf(2), silent)
	})
	m.pass(10)
	require.Equal(t, []string{"acked", "acked", ""}, m.states(id), "who missed it is told when it is back")
	m.heal()
	m.pass(5000)
	require.Zero(t, m.jobs())
}

// Bug B5 of the reference.
func TestAckWhileItSpreads(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	m.part([]int{0}, []int{1, 2})
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 5))
	m.nodes[0].ack(id)
	require.NoError(t, m.nodes[0].added[id])
	require.Contains(t, m.nodes[0].added, id)
	m.heal()
	m.pass(5000)
	require.Zero(t, m.jobs())
}

func TestExternal(t *testing.T) {
	t.Parallel()
	for _, retry := range []int{0, 5} { // bug B2: RETRY 0 is not lost
		for _, delay := range []uint32{0, 3} {
			m := newMesh(t, 4)
			sp := m.spec("q", "b", 1, 1, retry)
			sp.External, sp.Delay = true, delay
			id, waits := m.nodes[0].put(sp)
			require.True(t, waits)
			m.pass(2)
			require.Contains(t, m.nodes[0].added, id)
			m.pass(2)
			require.Equal(t, "", m.states(id)[0])
			if delay > 0 {
				require.Zero(t, m.count(id, "queued"))
				m.pass(3000)
			}
			require.Equal(t, 1, m.count(id, "queued"), "retry %d, delay %d: %v", retry, delay, m.states(id))
		}
	}
}

// A consumer has its whole RETRY, whatever the copies think; then the job comes
// again, once.
func TestLeaseIsRespected(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(25_000) // it waits in the queue, and its copies do not queue it
	require.Equal(t, 1, m.count(id, "queued"))
	require.Equal(t, 2, m.count(id, "active"))
	m.pass(4000)
	require.Len(t, m.nodes[0].take("q", 1), 1)
	m.pass(9900)
	require.Equal(t, 3, m.count(id, "active"), m.states(id))
	m.pass(200)
	require.Equal(t, 1, m.count(id, "queued"))
	require.Equal(t, "queued", m.states(id)[0], "by who delivered it")
	m.pass(30_000)
	require.Equal(t, 1, m.count(id, "queued"))
}

func TestQueuerDies(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(10)
	m.nodes[0].alive = false
	m.pass(11_000)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
	for _, n := range m.nodes[1:] {
		if j, ok := n.s.Get(&id); ok && j.State == Queued {
			require.EqualValues(t, 1, j.Extra)
		}
	}
}

// The three cases of leases without bound, or lost.

// First: what two holders heard of a lease they tell each other; without its
// node it ends all the same.
func TestHeardLeaseEnds(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	id, _ := m.nodes[0].put(m.spec("q", "b", 4, 4, 20))
	m.pass(5)
	m.nodes[0].take("q", 1)
	m.pass(19_800) // the copies have asked, and know of the lease
	m.nodes[0].alive = false
	m.pass(25_000)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// A holder that cannot hear the deliverer hears of the lease from another.
func TestLeaseIsPassedOn(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(6000)
	m.nodes[0].take("q", 1) // until 16,000
	m.pass(1000)
	m.nodes[0].do(func(s *Shard) { // the other one knows of it
		s.sayLeased(m.now, s.index.find(&id), SetOf(1), MsgLeased, &m.nodes[0].fx)
	})
	m.part([]int{0}, []int{2})
	m.pass(7500)
	require.Zero(t, m.count(id, "queued"), m.states(id))
}

// Second: a queue that is paused makes no lease: nobody waits for it longer than
// the RETRY of the copies.
func TestPauseIsNoLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(5)
	m.nodes[0].take("q", 1)
	m.nodes[0].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseIn, false, &m.nodes[0].fx)) })
	m.pass(9000)
	require.Zero(t, m.count(id, "queued"))
	m.pass(3000) // the lease is over; node 0 cannot queue the job, the others can
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// Third: a deliverer that forgot the lease does not answer for it.
func TestForgottenLease(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 10))
	m.pass(5)
	m.nodes[0].take("q", 1)
	m.nodes[0].start()
	m.views()
	m.pass(11_500)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

// QUEUED of a node that is gone is passed on for one RETRY, no longer.
func TestQueuedIsPassedOnForOneRetry(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id, _ := m.nodes[0].put(m.spec("q", "b", 5, 5, 10))
	m.pass(10_200) // the copies were told just now
	m.nodes[0].alive = false
	m.pass(12_000)
	require.Equal(t, 1, m.count(id, "queued"), m.states(id))
}

func TestWorkingAndNack(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 4))
	m.pass(5)
	for range 8 { // bug B16 apart, nobody queues it meanwhile
		m.nodes[1].do(func(s *Shard) {
			_, err := s.Working(m.now, &id, &m.nodes[1].fx)
			require.NoError(t, err)
		})
		m.pass(1000)
		require.Zero(t, m.count(id, "queued"), m.states(id))
	}
	m.nodes[2].do(func(s *Shard) { require.True(t, s.Nack(m.now, &id, &m.nodes[2].fx)) })
	m.pass(10)
	require.Equal(t, []string{"active", "active", "queued"}, m.states(id))
	for _, n := range m.nodes {
		j, _ := n.s.Get(&id)
		require.EqualValues(t, 1, j.Nacks)
	}
}

// Acknowledged by a node that does not know the job: its maker is asked first.
func TestDummyAck(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 300))
	m.pass(5)
	stranger := 0
	for i, st := range m.states(id) {
		if st == "" {
			stranger = i
		}
	}
	clear(m.sent)
	require.False(t, m.nodes[stranger].ack(id))
	m.pass(20)
	require.Zero(t, m.jobs())
	require.Equal(t, map[Kind]int{MsgSetAck: 2, MsgGotAck: 2, MsgDelJob: 1}, m.sent)

	gone, _ := m.nodes[0].put(m.spec("q", "b", 1, 1, 300))
	m.nodes[0].start()
	m.views()
	m.nodes[2].ack(gone)
	m.pass(20)
	require.Zero(t, m.jobs(), "nobody knows it, and all were asked")
}

// An acknowledgement reaches a holder that was away, whoever it came from.
func TestAckReachesAllHolders(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 5)
	id, _ := m.nodes[0].put(m.spec("q", "b", 4, 4, 300))
	m.pass(5)
	m.nodes[0].alive = false
	other := 1
	for ; m.states(id)[other] != "active"; other++ {
	}
	m.nodes[other].ack(id)
	m.pass(2000)
	require.Equal(t, 3, m.count(id, "acked"))
	m.nodes[0].alive = true
	m.pass(10_000)
	require.Zero(t, m.jobs())
}

// Bug B1: the importer is a holder, and its acknowledgement reaches the origin.
func TestImporterIsAHolder(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	for i := range 10 {
		m.nodes[0].put(m.spec("q", fmt.Sprint(i), 1, 1, 5))
	}
	require.Empty(t, m.nodes[1].take("q", 1))
	m.pass(5)
	got := m.nodes[1].take("q", 10)
	require.Equal(t, []string{"0"}, got)
	var id ID
	m.nodes[1].s.ScanJobs(0, 1000, func(j *Job) bool { id = j.ID; return false })
	require.True(t, m.nodes[1].ack(id))
	m.pass(10)
	require.Equal(t, []string{"", "", ""}, m.states(id))
	m.pass(20_000)
	require.Equal(t, []string{"", "", ""}, m.states(id), "never again")
}

// Bug B6: what was acknowledged is not brought back.
func TestYourJobDoesNotRevive(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 300))
	m.pass(5)
	m.part([]int{0}, []int{1, 2})
	m.nodes[1].ack(id)
	m.pass(20)
	require.Equal(t, []string{"queued", "acked", "acked"}, m.states(id))
	m.heal()
	require.Empty(t, m.nodes[1].take("q", 1))
	m.pass(5000)
	require.Empty(t, m.nodes[1].take("q", 1))
	require.Zero(t, m.jobs())
}

// A job that is at most once moves whole, and never comes twice.
func TestMoveOfAtMostOnce(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	id, _ := m.nodes[0].put(m.spec("q", "once", 1, 1, 0))
	require.Empty(t, m.nodes[1].take("q", 1))
	m.pass(5)
	require.Equal(t, []string{"", "queued"}, m.states(id))
	require.Equal(t, []string{"once"}, m.nodes[1].take("q", 1))

	// Refused, it goes back.
	id, _ = m.nodes[0].put(m.spec("p", "once", 1, 1, 0))
	require.Empty(t, m.nodes[1].take("p", 1))
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("p"), PauseIn, false, &m.nodes[1].fx)) })
	m.pass(5)
	require.Equal(t, []string{"queued", ""}, m.states(id))

	// On the way, it may be lost, but is not delivered here.
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("p"), 0, false, &m.nodes[1].fx)) })
	m.pass(5000)
	m.nodes[1].take("p", 1)
	m.pass(1)
	m.part([]int{0}, []int{1})
	m.pass(10_000)
	require.Empty(t, m.nodes[0].take("p", 1))
}

// Bug B17: a paused queue asks nobody.
func TestPausedQueueImportsNothing(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 2)
	m.nodes[0].put(m.spec("q", "b", 1, 1, 300))
	m.nodes[1].do(func(s *Shard) { require.NoError(t, s.SetPause(m.now, []byte("q"), PauseOut, false, &m.nodes[1].fx)) })
	require.Empty(t, m.nodes[1].take("q", 1))
	require.Zero(t, m.sent[MsgNeedJobs])
}

func TestDrainLosesNoCopy(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	var ids []ID
	for i := range 40 {
		retry, r := 300, 1+i%3
		if i%5 == 0 {
			retry, r = 0, 1
		}
		sp := m.spec("q", fmt.Sprint(i), r, r, retry)
		if i%7 == 0 {
			sp.Delay = 30
		}
		id, _ := m.nodes[0].put(sp)
		ids = append(ids, id)
	}
	m.pass(50)
	m.nodes[0].s.SetView(&View{Leaving: true})
	m.views()
	for range 5 {
		m.nodes[0].do(func(s *Shard) { s.Drain(m.now, 0, 1000, &m.nodes[0].fx) })
		m.pass(20)
	}
	require.Zero(t, m.nodes[0].s.Jobs())
	for i, id := range ids {
		want := 1 + i%3
		if i%5 == 0 {
			want = 1
		}
		require.Equal(t, want, m.count(id, "active")+m.count(id, "queued"), "%d %v", i, m.states(id))
		queued := 1
		if i%7 == 0 {
			queued = 0
		}
		require.Equal(t, queued, m.count(id, "queued"), "%d", i)
	}
	m.pass(31_000)
	for _, id := range ids {
		require.Equal(t, 1, m.count(id, "queued"))
	}
}

// Bug B9: a node that is forgotten holds up no acknowledgement.
func TestForget(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 300))
	m.pass(5)
	m.nodes[2].alive = false
	m.nodes[0].ack(id)
	m.pass(100)
	require.Equal(t, []string{"acked", "acked", "dead"}, m.states(id))
	for _, n := range m.nodes[:2] {
		n.do(func(s *Shard) {
			num, _ := s.limits.Roll.Number(m.nodes[2].id)
			require.EqualValues(t, -1, s.Forget(m.now, num, 0, 1000, &n.fx))
		})
	}
	m.pass(10_000)
	require.Zero(t, m.jobs())
}

func TestFastAckEverywhere(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 4)
	id, _ := m.nodes[0].put(m.spec("q", "b", 3, 3, 300))
	m.pass(5)
	stranger := 0
	for i, st := range m.states(id) {
		if st == "" {
			stranger = i
		}
	}
	n := m.nodes[stranger]
	n.do(func(s *Shard) { require.False(t, s.FastAck(m.now, &id, &n.fx)) })
	m.pass(5)
	require.Zero(t, m.jobs())
}

// Nodes, partitions, deaths and everything else at random: what was accepted
// comes out, what was acknowledged does not come back once all is well, and in
// the end nothing is left.
func TestMeshAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runMesh(t, seed)
		})
	}
}

func runMesh(t *testing.T, seed uint64) {
	m := newMesh(t, 5)
	m.rnd = rand.New(rand.NewPCG(seed, 1))
	for _, n := range m.nodes {
		n.rig.rnd = m.rnd
	}
	accepted, delivered, acked := map[ID]bool{}, map[ID]int{}, map[ID]bool{}
	once := map[ID]bool{}
	for step := range 3000 {
		n := m.nodes[m.rnd.IntN(5)]
		switch k := m.rnd.IntN(100); {
		case k < 30:
			retry, r := 1+m.rnd.IntN(5), 1+m.rnd.IntN(3)
			if m.rnd.IntN(5) == 0 {
				retry, r = 0, 1
			}
			sp := m.spec("q", fmt.Sprint(step), r, 1+m.rnd.IntN(r), retry)
			id, waits := n.put(sp)
			once[id] = retry == 0
			accepted[id] = accepted[id] || !waits
		case k < 60:
			n.do(func(s *Shard) {
				_, _ = s.Fetch(m.now, []byte("q"), 1, &n.fx, func(j *Job) bool {
					delivered[j.ID]++
					if once[j.ID] {
						require.Equal(t, 1, delivered[j.ID], "at most once")
					}
					return true
				})
			})
		case k < 75:
			for id := range delivered {
				if m.rnd.IntN(3) == 0 {
					n.ack(id)
					acked[id] = true
					break
				}
			}
		case k < 78:
			a := m.rnd.Perm(5)
			c := 1 + m.rnd.IntN(3)
			m.part(a[:c], a[c:])
		case k < 79:
			m.cut[[2]int{m.rnd.IntN(5), m.rnd.IntN(5)}] = true
		case k < 85:
			m.heal()
		default:
			m.pass(int64(m.rnd.IntN(800)))
		}
	}
	for _, n := range m.nodes {
		for id, err := range n.added {
			require.NoError(t, err)
			accepted[id] = true
		}
	}
	m.heal()
	for round := 0; m.jobs() > 0; round++ {
		require.Less(t, round, 3000, "%d jobs stay", m.jobs())
		for _, n := range m.nodes {
			var got []ID
			n.do(func(s *Shard) {
				_, _ = s.Fetch(m.now, []byte("q"), 10, &n.fx, func(j *Job) bool {
					got = append(got, j.ID)
					delivered[j.ID]++
					return true
				})
			})
			for _, id := range got {
				n.ack(id)
				acked[id] = true
			}
		}
		for id := range delivered {
			if once[id] && !acked[id] {
				for _, n := range m.nodes {
					n.ack(id)
				}
				acked[id] = true
			}
		}
		m.pass(500)
		if round > 400 {
			for _, n := range m.nodes { // an at-most-once job that was lost on its way stays until its TTL
				n.do(func(s *Shard) { s.Evict(m.now, 1000, &n.fx) })
			}
		}
	}
	for id := range accepted {
		if accepted[id] && !once[id] && !acked[id] {
			require.NotZero(t, delivered[id], "lost")
		}
	}
}

// A consumer that has waited for long gets a job that comes up at another node at
// once, not when its node next asks.
func TestHungryNodeIsFed(t *testing.T) {
	t.Parallel()
	m := newMesh(t, 3)
	n, w := m.nodes[1], &blocked{}
	n.do(func(s *Shard) {
		_, err := s.Block(m.now, []byte("q"), w, &n.fx)
		require.NoError(t, err)
	})
	for range 1000 {
		m.pass(100)
		n.do(func(s *Shard) { s.WantForWaiters(m.now, &n.fx) })
	}
	require.False(t, w.claimed)
	id, _ := m.nodes[0].put(m.spec("q", "b", 2, 2, 300))
	m.pass(5)
	require.Equal(t, id, w.id)
	id, _ = m.nodes[2].put(m.spec("q", "c", 1, 1, 300))
	m.pass(1000)
	require.Equal(t, "queued", m.states(id)[1], "it had asked there, too")
}

// What a job costs in messages, at 3 nodes and at 100: no more than with the
// reference, whose figures are in the comments.
func TestMessagesPerJob(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{3, 100} {
		m := newMesh(t, nodes)
		const jobs = 200
		for i := range jobs {
			n := m.nodes[m.rnd.IntN(nodes)]
			id, _ := n.put(m.spec("q", fmt.Sprint(i), 3, 2, 30))
			m.pass(3)
			require.Len(t, n.take("q", 1), 1)
			require.True(t, n.ack(id))
			m.pass(5)
		}
		require.Zero(t, m.jobs())
		want := map[Kind]int{
			MsgReplJob: 2 * jobs, MsgGotJob: 2 * jobs, // 2(R-1)
			MsgSetAck: 2 * jobs, MsgGotAck: 2 * jobs, MsgDelJob: 2 * jobs, // 3(R-1), and no broadcast
		}
		require.Equal(t, want, m.sent, "%d nodes", nodes)

		// A job that waits in a queue: one round of questions each RETRY. The
		// reference: WILLQUEUE of the first copy that asks and QUEUED.
		clear(m.sent)
		m.nodes[0].put(m.spec("q", "waits", 3, 3, 30))
		m.pass(10)
		clear(m.sent)
		m.pass(300_000)
		require.LessOrEqual(t, m.sent[MsgWillQueue], 11*2)
		require.LessOrEqual(t, m.sent[MsgQueued], 11*2)
		require.Len(t, m.sent, 2, "%d nodes: %v", nodes, m.sent)
		t.Log(nodes, "nodes, 300 s in the queue, RETRY 30:", m.sent)
	}
}

// A consumer that waits at a node without jobs asks with back-off: the reference
// sends N-1 NEEDJOBS at 0, 4, 12, 28 s and every 30 s from then on.
func TestMessagesOfAnIdleConsumer(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{3, 100} {
		m := newMesh(t, nodes)
		n := m.nodes[1]
		n.do(func(s *Shard) {
			_, err := s.Block(m.now, []byte("q"), &blocked{}, &n.fx)
			require.NoError(t, err)
		})
		for range 3000 {
			m.pass(100)
			n.do(func(s *Shard) { s.WantForWaiters(m.now, &n.fx) })
		}
		require.LessOrEqual(t, m.sent[MsgNeedJobs], 13*(nodes-1), "in 300 s")
	}
}
