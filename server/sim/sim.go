package sim

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/disqo/disqo/store"
)

// Options say what to simulate. The zero value of each field means its default.
type Options struct {
	Seed  uint64
	Nodes int           // default 5 in every second seed, else 2 to 7
	Time  time.Duration // of load and faults, default 10 minutes
	Only  []int         // the steps of the plan that are done, ascending; nil: all
	Job   int           // write the history of this job, counted from 1, to Trace
	Trace io.Writer     // nil: no history
}

const (
	defaultNodes = 5
	defaultTime  = 10 * time.Minute

	// Times of all sorts are milliseconds from here on.
	second = 1000
	minute = 60 * second

	// epoch is when simulated time begins by the clocks of nodes.
	epoch = 1_700_000_000_000

	fullCheck  = 1000 // events between two looks at everything
	mostAtOnce = 1e6  // events of each node at the same millisecond: there is no end to them
	shards     = 4    // of a node
)

// Failure is what went wrong.
type Failure struct {
	Kind string // what was promised, in a word
	Text string
	At   time.Duration // since the beginning
	Job  int           // which job it is about, counted from 1; 0: none
}

// Error returns the failure in a line.
func (f *Failure) Error() string { return fmt.Sprintf("%s after %v: %s", f.Kind, f.At, f.Text) }

// Result is what a simulation came to.
type Result struct {
	Seed       uint64
	Nodes      int
	Simulated  time.Duration // until there was no job any more, or it failed
	Hash       uint64        // of all that happened; the same for the same options
	Events     int
	Steps      int
	Added      int // ADDJOBs answered with an id
	Refused    int // answered with an error that means that the job was not added
	Unknown    int // not answered, or answered with NOREPL
	Delivered  int // jobs that clients got
	Duplicates int // of those, which were not the first of their job
	Acked      int // jobs acknowledged
	Drain      time.Duration
	Failure    *Failure // nil if all went well
}

// Run simulates a cluster.
func Run(o Options) *Result {
	s := newSim(o)
	s.guarded(s.live)
	s.result.Failure = s.failure
	s.result.Hash = s.hash.sum
	return &s.result
}

// sim is a cluster and its clients.
type sim struct {
	o      Options
	swarm  swarm
	plan   []Step
	rng    *rand.Rand // of the network, the disks and the nodes
	now    int64
	crowd  int // events at this time
	agenda agenda
	hash   trace

	procs   []*proc
	net     network
	clients clients
	nemesis nemesis

	watch   bool // invariants are checked
	checks  int
	failure *Failure
	result  Result
}

// span is the time of load and faults.
func (o *Options) span() time.Duration {
	if o.Time == 0 {
		return defaultTime
	}
	return o.Time
}

func newSim(o Options) *sim {
	if o.Nodes == 0 {
		if o.Nodes = defaultNodes; mix(o.Seed)%2 == 0 {
			o.Nodes = 2 + int(mix(o.Seed, 1)%6)
		}
	}
	o.Time = o.span()
	s := &sim{o: o, rng: rand.New(rand.NewPCG(o.Seed, 1)), watch: true}
	s.swarm = drawSwarm(rand.New(rand.NewPCG(o.Seed, 2)))
	s.plan = makePlan(rand.New(rand.NewPCG(o.Seed, 3)), &s.swarm, o.Nodes, o.Time.Milliseconds())
	s.net.init(s)
	s.clients.init(s)
	s.nemesis.init(s)
	s.result = Result{Seed: o.Seed, Nodes: o.Nodes, Steps: len(s.plan)}
	return s
}

// stop is what ends a simulation from within.
type stop struct{}

// guarded runs a simulation to its end. A panic of the code under test is a
// failure like others.
func (s *sim) guarded(do func()) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil, stop:
		default:
			s.failure = &Failure{Kind: "panic", Text: fmt.Sprint(r, "\n", stack()), At: s.elapsed()}
		}
	}()
	do()
}

func (s *sim) elapsed() time.Duration { return time.Duration(s.now) * time.Millisecond }

// fail ends the simulation.
func (s *sim) fail(kind string, j *job, format string, a ...any) {
	s.failLater(kind, format, a...)
	if j != nil {
		s.failure.Job = j.number
	}
	panic(stop{})
}

// failLater ends the simulation after the present event, in which locks are held.
func (s *sim) failLater(kind, format string, a ...any) {
	s.failure = &Failure{Kind: kind, Text: fmt.Sprintf(format, a...), At: s.elapsed()}
	s.result.Simulated = s.elapsed()
}

// live is a whole simulation.
func (s *sim) live() {
	for range s.o.Nodes {
		s.join()
	}
	s.gossip()
	s.bury()
	next := 0
	only := s.o.Only
	for i, step := range s.plan {
		if s.o.Only != nil {
			if next == len(only) {
				break
			}
			if only[next] != i {
				continue
			}
			next++
		}
		s.pass(step.At)
		s.do(&step)
	}
	s.pass(s.o.Time.Milliseconds())
	s.nemesis.heal()
	s.rest()
	s.drain()
	s.result.Simulated = s.elapsed()
	s.verdict()
	s.idle()
}

// pass lets time pass until at.
func (s *sim) pass(at int64) {
	for {
		e, ok := s.agenda.before(at)
		if !ok {
			break
		}
		if s.result.Events++; e.at > s.now {
			s.now, s.crowd = e.at, 0
		}
		if s.crowd++; s.crowd > mostAtOnce*s.o.Nodes {
			s.fail("endless", nil, "%d events at the same time", s.crowd)
		}
		e.do()
	}
	s.now = max(s.now, at)
}

// in does something after a time.
func (s *sim) in(ms int64, do func()) { s.agenda.add(s.now+max(0, ms), do) }

// join adds a process to the cluster.
func (s *sim) join() *proc {
	p := &proc{s: s, num: len(s.procs)}
	for i := range p.id {
		p.id[i] = byte(s.rng.Uint32())
	}
	s.procs = append(s.procs, p)
	p.setUp()
	p.start()
	s.net.dirty = true
	return p
}

// find returns the process of a node.
func (s *sim) find(id store.NodeID) *proc {
	for _, p := range s.procs {
		if p.id == id {
			return p
		}
	}
	return nil
}
