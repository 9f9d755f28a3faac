package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

// proc is a process with a node, or the place of one that died: its disk.
type proc struct {
	s    *sim
	num  int
	id   store.NodeID
	disk *memfs.FS
	node *node.Node
	link *links

	life    int   // how often it was started
	alive   bool  // there is a process
	frozen  bool  // it is stopped, and will go on
	since   int64 // when alive or frozen last changed
	broken  bool  // its log has failed: it is about to end
	leaving bool
	retired bool      // it is about to end in good order
	waiters []*waiter // clients that wait for jobs, and some that did
	waiting []func()  // what a frozen process will find to do
	turnAt  int64     // when it is scheduled to look at its timers
	rest    int64     // not before that
	faulty  bool      // its disk is made to fail
	missing []*job    // what it held when it was to lose it

	logged  bool // it has a log
	policy  aof.Policy
	segment int64
	lag     int64 // what a write or sync takes, milliseconds
	slow    int64 // and while the disk is slow
	memory  int64 // the bound of its memory; 0: none

	base  int64 // its clock when it was started,
	born  int64 // and the simulation's
	drift int64 // by which it is fast, millionths
	skew  int64 // by which it is ahead when it is started
}

// never is later than all that is simulated.
const never = 1 << 62

// setUp draws what stays the same for all lives of a process.
func (p *proc) setUp() {
	s := p.s
	p.disk = memfs.New()
	p.logged, p.policy = s.swarm.log(s.rng)
	p.segment = s.swarm.segment
	p.lag = s.rng.Int64N(s.swarm.lag + 1)
	p.skew = s.swarm.jump(s.rng)
	if s.swarm.drift > 0 {
		p.drift = s.rng.Int64N(2*s.swarm.drift+1) - s.swarm.drift
	}
}

// clock is the time of the node's own clock: as it was when the process was
// started, and what a quartz has counted since.
func (p *proc) clock() int64 {
	t := p.s.now - p.born
	return p.base + t + t*p.drift/1_000_000
}

// when returns when the process's clock shows a time.
func (p *proc) when(clock int64) int64 {
	if clock >= never {
		return never
	}
	t := clock - p.base
	return p.born + t - t*p.drift/1_000_000
}

// start begins a life of the process, with what its disk has.
func (p *proc) start() {
	s := p.s
	p.life++
	p.alive, p.frozen, p.broken, p.retired, p.since = true, false, false, false, s.now
	p.waiters = nil
	p.waiting, p.turnAt, p.rest, p.slow = nil, never, 0, 0
	p.born, p.base = s.now, epoch+s.now+p.skew
	life := p.life
	n, err := node.New(node.Options{
		ID: hex.EncodeToString(p.id[:]), Shards: shards, MaxMemory: p.memory, Now: p.clock, Rand: s.rng.Uint64, Manual: true,
		OnFail: func(error) {
			if p.life == life {
				p.broken = true
			}
		},
		Bus: &node.Bus{
			Name:    "sim",
			Address: func() (string, int, int) { return "", 0, 0 },
			Timeout: func() time.Duration { return silence * time.Millisecond },
			Links: func(o replication.Options) node.Links {
				p.link = newLinks(p, o)
				return p.link
			},
		},
	})
	if err != nil {
		s.fail("start", nil, "node %d: %v", p.num, err)
	}
	p.node = n
	if p.logged && !p.load() {
		return
	}
	s.clients.recount(p)
	n.SetLeaving(p.leaving)
	n.SetPeers(s.net.peersOf(p))
	p.link.dial()
	p.hold()
	p.after()
}

// load reads the log, and reports whether the process goes on.
func (p *proc) load() bool {
	_, err := p.node.OpenLog(context.Background(), p.logOptions())
	if err == nil && !p.broken {
		return true
	}
	var full *aof.FullError
	if !p.faulty && !errors.As(err, &full) {
		p.s.fail("recovery", nil, "node %d does not start: %v", p.num, err)
	}
	p.die()
	return false
}

func (p *proc) logOptions() node.LogOptions {
	return node.LogOptions{FS: p.disk, Dir: "log", Policy: p.policy, SegmentSize: p.segment, Peers: true}
}

// hold lets the goroutines of a process do their part now and then.
func (p *proc) hold() {
	if p.logged {
		p.in(second/2+p.s.rng.Int64N(second/2), func() {
			p.node.TurnLog()
			p.hold()
		})
	}
}

// in has the process do something after a time, unless it has died by then.
func (p *proc) in(ms int64, do func()) {
	life := p.life
	p.s.in(ms, func() { p.on(life, do) })
}

// on has a life of the process do something. A frozen one does it later.
func (p *proc) on(life int, do func()) {
	switch {
	case !p.alive || p.life != life:
	case p.frozen:
		p.waiting = append(p.waiting, do)
	default:
		do()
		if p.alive && p.life == life {
			p.after()
		}
	}
}

// after looks at a process that has done something.
func (p *proc) after() {
	s := p.s
	if s.failure != nil {
		panic(stop{})
	}
	if p.broken {
		p.die()
		return
	}
	if s.watch {
		s.checks++
		if err := p.node.Verify(s.checks%fullCheck == 0); err != nil {
			s.fail("invariant", nil, "node %d: %v", p.num, err)
		}
	}
	p.schedule()
}

// schedule plans the next look at the timers.
func (p *proc) schedule() {
	due := p.node.Due()
	if due >= never {
		return
	}
	at := max(p.when(due), p.s.now, p.rest)
	if due > p.clock() {
		at = max(at, p.s.now+1)
	}
	if at >= p.turnAt {
		return
	}
	p.turnAt = at
	life := p.life
	p.s.agenda.add(at, func() {
		if p.turnAt == at {
			p.on(life, p.turn)
		}
	})
}

func (p *proc) turn() {
	p.turnAt = never
	wait := p.node.Turn()
	if p.node.Due() <= p.clock() { // the log has no room for what is due
		p.rest = p.s.now + max(1, wait.Milliseconds())
	}
}

// die ends a process whose log has failed. A supervisor starts it again.
func (p *proc) die() {
	p.s.nemesis.kill(p, 1+p.s.rng.Int64N(3*second))
}

// end ends a life of a process, which leaves a disk.
func (p *proc) end(disk *memfs.FS) {
	p.disk.Kill()
	p.disk = disk
	p.alive, p.frozen, p.since = false, false, p.s.now
	p.waiting, p.faulty = nil, false
	p.s.hash.add(uint64(p.s.now), uint64(p.num), 1)
}

// settle calls then when all that a mark asks for is on disk; never if the
// process ends before.
func (p *proc) settle(m node.Mark, then func()) {
	if m == (node.Mark{}) {
		then()
		return
	}
	p.in(p.latency(), func() {
		if m.Wait() == nil {
			then()
		}
	})
}

// latency is how long a write or sync takes now.
func (p *proc) latency() int64 {
	if p.slow > 0 {
		return p.slow/2 + p.s.rng.Int64N(p.slow)
	}
	return p.s.rng.Int64N(p.lag + 1)
}

// holds reports whether the node of a process that is alive holds a job.
func (p *proc) holds(id *store.ID) bool {
	return p.alive && p.node.Get(id, func(*store.Job) {})
}
