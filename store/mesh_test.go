package store

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// mesh is some nodes of one shard each, with a network between them and one
// clock. Messages take a millisecond, or what a way takes longer, and come in
// order, or not at all.
type mesh struct {
	t     *testing.T
	nodes []*meshNode
	now   int64
	mail  []letter
	cut   map[[2]int]bool // whose messages do not reach whom
	slow  map[[2]int]int64
	old   map[int]bool // nodes of a version that knows no terms
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
		v := &View{Leaving: n.s.view.Leaving, Ending: n.s.view.Ending}
		for _, o := range m.nodes {
			if num, _ := (meshRoll{m, n.num}).Number(o.id); o != n {
				v.Known = v.Known.With(num)
				if !m.old[o.num] {
					v.Terms = v.Terms.With(num)
				}
				if o.alive && !o.s.view.Leaving {
					v.Reachable, v.Linked = v.Reachable.With(num), v.Linked.With(num)
				}
			}
		}
		n.s.SetView(v)
		n.s.Rouse(m.now, 0, 1<<20, Set{})
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
				l := letter{n.m.now + 1 + n.m.slow[[2]int{n.num, to}], n.num, to, mail.Kind, data}
				at, _ := slices.BinarySearchFunc(n.m.mail, l.at+1, func(l letter, at int64) int { return cmp.Compare(l.at, at) })
				n.m.mail = slices.Insert(n.m.mail, at, l)
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
		if n.m.old[n.num] {
			require.LessOrEqual(n.t, l.kind, MsgHolders, "a node of an earlier version does not know %v", l.kind)
			require.Nil(n.t, msg.Terms, "nor what %v says", l.kind)
		}
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
