package sim

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

// Cost is what something takes, of the protocol of jobs: pings and gossip are not
// counted.
type Cost struct {
	What     string
	Messages float64
	Bytes    float64       // frames included
	Took     time.Duration // simulated; 0: it does not matter
}

// ScaleReport is what jobs cost in a cluster of so many nodes.
type ScaleReport struct {
	Nodes int
	Costs []Cost
}

// String returns a table.
func (r *ScaleReport) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%d nodes\tmessages\tbytes\tms\n", r.Nodes)
	for _, c := range r.Costs {
		fmt.Fprintf(w, "%s\t%.2f\t%.0f\t%d\n", c.What, c.Messages, c.Bytes, c.Took.Milliseconds())
	}
	_ = w.Flush() // a strings.Builder takes everything
	return b.String()
}

const (
	scaleJobs  = 100
	scaleBody  = 128 // bytes
	scaleRetry = 10  // seconds, of jobs that stay in their queues
)

// Scale measures what jobs cost in a cluster of so many nodes in which nothing is
// wrong, and a message takes one or two milliseconds.
func Scale(nodes int) (r *ScaleReport, failure *Failure) {
	s := newSim(Options{Seed: uint64(nodes), Nodes: nodes, Time: time.Hour})
	s.swarm = swarm{latency: 2, outbox: 64 << 20, queues: 1, segment: 64 << 10, retry: 30}
	s.plan, s.watch = nil, false
	m := &measure{s: s, r: &ScaleReport{Nodes: nodes}}
	s.guarded(m.all)
	return m.r, s.failure
}

// measure does one thing after the other in a cluster.
type measure struct {
	s *sim
	r *ScaleReport
}

func (m *measure) all() {
	s := m.s
	for range s.o.Nodes {
		s.join()
	}
	s.gossip()
	s.pass(5 * second)
	m.jobs()
	m.queued()
	m.idle()
	m.federation()
	m.newcomer()
}

// count notes what was sent while something was done, per so many.
func (m *measure) count(what string, per float64, do func() (took int64)) {
	n := &m.s.net
	messages, bytes := n.messages, n.bytes
	took := do()
	m.r.Costs = append(m.r.Costs, Cost{
		What: what, Messages: float64(n.messages-messages) / per, Bytes: float64(n.bytes-bytes) / per, Took: time.Duration(took) * time.Millisecond,
	})
}

// add has a node add a job, and returns its id and when it was answered.
func (m *measure) add(p *proc, queue string, repl int, retry uint32) (id store.ID, answered *int64) {
	s := m.s
	at := int64(0)
	a := &told{func() { at = s.now }}
	spec := &store.Spec{Queue: []byte(queue), Body: make([]byte, scaleBody), Retry: retry, TTL: 3600, Repl: uint16(repl), Sync: uint16(repl), Adder: a}
	id, waits, err := p.node.Add(spec, false, &node.Mark{})
	if err != nil {
		s.fail("scale", nil, "a job is refused: %v", err)
	}
	if !waits {
		at = s.now
	}
	p.schedule()
	return id, &at
}

// told is told that a job is added.
type told struct{ do func() }

// Added implements store.Adder.
func (t *told) Added(error) { t.do() }

// jobs are added, fetched and acknowledged at the same node.
func (m *measure) jobs() {
	s := m.s
	ids, at := make([]store.ID, scaleJobs), make([]*proc, scaleJobs)
	took := int64(0)
	m.count("ADDJOB, REPLICATE 3", scaleJobs, func() int64 {
		for i := range ids {
			at[i] = s.procs[i%len(s.procs)]
			began := s.now
			id, answered := m.add(at[i], fmt.Sprint("own", at[i].num), 3, 60)
			s.pass(s.now + 10)
			ids[i] = id
			took += *answered - began
		}
		return took / scaleJobs
	})
	m.count("its GETJOB and ACKJOB", scaleJobs, func() int64 {
		for i, p := range at {
			_, err := p.node.Fetch([][]byte{fmt.Append(nil, "own", p.num)}, 1, &node.Mark{}, func(*store.Job) bool { return true })
			if ok, _ := p.node.Ack(&ids[i], &node.Mark{}); !ok || err != nil {
				s.fail("scale", nil, "a job is gone: %v", err)
			}
			p.schedule()
			s.pass(s.now + 10)
		}
		return 0
	})
}

// queued jobs wait for three times their RETRY.
func (m *measure) queued() {
	s := m.s
	for range 50 {
		m.add(s.procs[0], "stays", 3, scaleRetry)
	}
	s.pass(s.now + second)
	m.count("a job in its queue, for its RETRY", 50*3, func() int64 {
		s.pass(s.now + 3*scaleRetry*second)
		return 0
	})
	m.flush()
}

// idle is a consumer that waits where no job comes.
func (m *measure) idle() {
	s := m.s
	m.count("a consumer that waits for nothing, its first minute", 1, func() int64 {
		m.wait(s.procs[1], "nothing", func(int64) {})
		s.pass(s.now + minute)
		return 0
	})
	m.flush()
}

// federation brings jobs to where the consumers are.
func (m *measure) federation() {
	s := m.s
	from, to := s.procs[2], s.procs[len(s.procs)-1]
	m.count("a job for a consumer elsewhere, who came first", 1, func() int64 {
		got := int64(0)
		m.wait(to, "there", func(at int64) { got = at })
		s.pass(s.now + 2*second)
		began := s.now
		m.add(from, "there", 1, 60)
		s.pass(s.now + 5*second)
		return m.since(began, got)
	})
	m.flush()
	m.count("a job for a consumer elsewhere, who comes later", 1, func() int64 {
		got := int64(0)
		m.add(from, "later", 1, 60)
		s.pass(s.now + 2*second)
		began := s.now
		m.wait(to, "later", func(at int64) { got = at })
		s.pass(s.now + 5*second)
		return m.since(began, got)
	})
	m.flush()
	m.count("each of 1000 jobs for consumers elsewhere", 1000, func() int64 {
		for range 1000 {
			m.add(from, "many", 1, 60)
		}
		s.pass(s.now + 2*second)
		began, left, last := s.now, 1000, int64(0)
		for ; left > 0 && s.now < began+10*minute; s.pass(s.now + 1) {
			got, _ := to.node.Fetch([][]byte{[]byte("many")}, 100, &node.Mark{}, func(j *store.Job) bool { return true })
			if left -= got; got > 0 {
				last = s.now
			}
			to.schedule()
		}
		return m.since(began, last)
	})
	m.flush()
}

// newcomer is a node that joins while jobs are queued.
func (m *measure) newcomer() {
	s := m.s
	for range 50 {
		m.add(s.procs[0], "stays", 3, scaleRetry)
	}
	s.pass(s.now + second)
	m.count("a node that joins", 1, func() int64 {
		began := s.now
		p := s.join()
		for p.node.Reachable() < len(s.procs)-1 || !s.allLinked(p) {
			if s.pass(s.now + 1); s.now > began+10*minute {
				s.fail("scale", nil, "a node that joins is not linked")
			}
		}
		return s.now - began
	})
}

// allLinked reports whether all nodes have a link to a new one, and it to them.
func (s *sim) allLinked(p *proc) bool {
	for _, o := range s.procs {
		if o != p && (!o.link.State(p.id).Up || !p.link.State(o.id).Up) {
			return false
		}
	}
	return true
}

func (m *measure) since(began, at int64) int64 {
	if at == 0 {
		m.s.fail("scale", nil, "a job does not come")
	}
	return at - began
}

// wait blocks a consumer.
func (m *measure) wait(p *proc, queue string, got func(at int64)) {
	w := &patient{s: m.s, got: got}
	if _, err := p.node.Block([][]byte{[]byte(queue)}, w); err != nil {
		m.s.fail("scale", nil, "a consumer is refused: %v", err)
	}
	p.schedule()
}

// patient is a consumer that waits as long as it takes.
type patient struct {
	s       *sim
	claimed bool
	got     func(at int64)
}

// Claim implements store.Waiter.
func (w *patient) Claim() bool {
	won := !w.claimed
	w.claimed = true
	return won
}

// Deliver implements store.Waiter.
func (w *patient) Deliver(*store.Job) { w.got(w.s.now) }

// Await implements node.Waiter.
func (w *patient) Await(node.Mark) {}

// Wake implements store.Waiter.
func (w *patient) Wake() {}

// flush makes all nodes forget everything.
func (m *measure) flush() {
	for _, p := range m.s.procs {
		if err := p.node.Flush(&node.Mark{}); err != nil {
			m.s.fail("scale", nil, "node %d: %v", p.num, err)
		}
	}
	m.s.pass(m.s.now + second)
}
