package sim

import (
	"slices"
	"syscall"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/server/node"
)

// nemesis makes faults, and ends them.
type nemesis struct {
	s       *sim
	round   int    // faults of another round than this one were healed
	amnesia int64  // when a disk last lost something that was not synced
	quiet   int64  // since when, or from when on, no fault has to do with new jobs; never while there is one
	waits   func() // strikes when an ADDJOB is answered next; nil: nothing does
}

func (n *nemesis) init(s *sim) {
	n.s = s
	n.rest(0)
}

// rest notes that there is no fault any more. The network is one by itself in
// some runs.
func (n *nemesis) rest(after int64) {
	n.quiet = n.s.now + after
	if n.s.swarm.wild > 0 {
		n.quiet = never
	}
}

// aftermath is how long after the last fault was healed new jobs may be affected:
// the links are whole by then, and nobody is taken for dead.
const aftermath = 15 * second

// spared reports whether no fault can have to do with a job.
func (n *nemesis) spared(j *job) bool { return j.added >= n.quiet }

// later ends a fault, if it was not healed before.
func (n *nemesis) later(ms int64, do func()) {
	round := n.round
	n.s.in(ms, func() {
		if n.round == round {
			do()
		}
	})
}

// strike makes a fault, at once or, of every other step, when an ADDJOB is answered
// next: what was answered too early is lost then.
func (n *nemesis) strike(step *Step, do func()) {
	if step.Arg&1 == 0 {
		do()
		return
	}
	n.waits = do
}

// answered is told that an ADDJOB is answered.
func (n *nemesis) answered() {
	if n.waits != nil {
		n.s.in(0, n.waits)
		n.waits = nil
	}
}

// revive returns what starts a process again.
func (n *nemesis) revive(p *proc) func() {
	life := p.life
	return func() {
		if !p.alive && p.life == life {
			n.restart(p)
		}
	}
}

// restart begins another life of a process.
func (n *nemesis) restart(p *proc) {
	s := n.s
	s.net.deaf(p)
	p.skew += s.swarm.jump(s.rng)
	p.skew = max(-s.swarm.jumps, min(p.skew, s.swarm.jumps))
	p.start()
}

func (n *nemesis) do(step *Step, p *proc) {
	s := n.s
	switch step.Op {
	case opHeal:
		n.heal()
		return
	case opRestart: // no fault: nobody is to notice
		if n.settled() {
			n.stop(p, step.For, p.start)
		}
		return
	}
	n.quiet = never
	switch step.Op {
	case opKill:
		n.kill(p, step.For)
	case opStop:
		n.stop(p, step.For, func() { n.restart(p) })
	case opPower:
		n.strike(step, func() { n.power(p, step.For) })
	case opBlackout:
		n.strike(step, func() {
			for _, p := range s.procs {
				n.power(p, step.For)
			}
		})
	case opWipe:
		n.wipe(p, step.For)
	case opFreeze:
		n.freeze(p, step.For)
	case opHalves, opOneWay, opReset, opClog:
		n.part(step)
	case opSlowDisk:
		p.slow = 1 + int64(step.Arg%(2*second))
		n.later(step.For, func() { p.slow = 0 })
	case opFullDisk:
		disk := p.disk
		disk.SetCapacity(disk.Used() + int64(step.Arg%uint64(p.segment)))
		n.later(step.For, func() { p.disk.SetCapacity(0) })
	case opBadDisk:
		n.spoil(p, step)
	case opMemory:
		if p.alive {
			p.memory = 1 + p.node.Used()*int64(100+step.Arg%50)/100
			p.node.SetMaxMemory(p.memory)
			n.later(step.For, func() { n.plenty(p) })
		}
	case opLeave:
		n.leave(p, true)
		n.later(step.For, func() { n.leave(p, false) })
	case opForget:
		n.forget(p, step.For)
	case opJoin:
		if len(s.procs) < s.o.Nodes+2 {
			s.join()
		}
	default:
		p.on(p.life, func() { n.admin(p, step) })
	}
}

// heal ends all faults.
func (n *nemesis) heal() {
	s := n.s
	n.round++
	n.waits = nil
	n.rest(aftermath)
	clear(s.net.lag)
	for _, a := range s.procs {
		for _, b := range s.procs {
			if _, ok := s.net.cuts[[2]int{a.num, b.num}]; ok {
				s.net.mend(a.num, b.num)
			}
		}
	}
	for _, p := range s.procs {
		p.slow = 0
		p.disk.SetCapacity(0)
		p.disk.OnOp(nil)
		p.faulty = false
		n.meet(p)
		n.leave(p, false)
		n.thaw(p)
		if !p.alive {
			n.restart(p)
		}
		n.plenty(p)
	}
	s.net.dirty = true
}

func (n *nemesis) kill(p *proc, down int64) {
	if !p.alive {
		return
	}
	s := n.s
	var held []*job
	if !p.logged {
		held = s.clients.before(p)
	}
	s.net.crash(p)
	n.end(p, p.disk.Kill(), held, down)
}

// settled reports whether all processes are at work and linked to all others, who have
// heard of that: then the next may be restarted.
func (n *nemesis) settled() bool {
	for _, p := range n.s.procs {
		if !p.alive || p.frozen || p.retired || !p.link.whole() {
			return false
		}
	}
	return !n.s.net.dirty
}

const (
	stopMost   = 10 * second // until a process that shall stop does, whatever others have taken over
	stopPause  = 20          // milliseconds between two looks at that
	clientsOut = 50          // milliseconds until its clients are gone
)

// stop ends a process in good order, and begins another life of it after a time.
func (n *nemesis) stop(p *proc, down int64, again func()) {
	if !p.alive || p.retired {
		return
	}
	s := n.s
	p.retired, s.net.dirty = true, true
	for _, w := range p.waiters {
		w.leave()
	}
	until := s.now + stopMost
	var look func()
	look = func() {
		left, whole := p.node.HandOverSome()
		if s.now < until && (!whole || left > 0 || !p.link.idle()) {
			p.in(stopPause, look)
			return
		}
		n.close(p, down, again)
	}
	p.in(clientsOut, func() {
		p.node.Retire()
		look()
	})
}

// close is the end of a process that stops.
func (n *nemesis) close(p *proc, down int64, again func()) {
	s := n.s
	var held []*job
	if !p.logged {
		held = slices.DeleteFunc(s.clients.before(p), func(j *job) bool { return s.clients.copies(j, p) >= j.sync-j.lost })
	}
	s.net.crash(p)
	if err := p.node.Close(); err != nil && !p.broken && !p.faulty {
		s.fail("close", nil, "node %d does not stop: %v", p.num, err)
	}
	p.end(p.disk.Kill())
	p.missing = append(p.missing, held...)
	life := p.life
	s.in(down, func() {
		if !p.alive && p.life == life {
			again()
		}
	})
}

// power takes the power from a machine. What was not synced may be on its disk,
// or not.
func (n *nemesis) power(p *proc, down int64) {
	if !p.alive {
		return
	}
	s := n.s
	var held []*job
	if !p.safe() {
		held = s.clients.before(p)
		n.amnesia = s.now
	}
	n.end(p, p.disk.CrashRandom(s.rng), held, down)
	s.net.hush(p)
}

// safe reports whether what a node has said is on its disk is there for good.
func (p *proc) safe() bool { return p.logged && p.policy == aof.Always }

// end ends a life of a process and begins another after a time, with what is on
// the disk. What of held it does not know then is lost.
func (n *nemesis) end(p *proc, disk *memfs.FS, held []*job, down int64) {
	p.end(disk)
	p.missing = append(p.missing, held...)
	n.s.in(down, n.revive(p))
}

// wipe ends a process and takes its disk.
func (n *nemesis) wipe(p *proc, down int64) {
	if !p.alive {
		return
	}
	s := n.s
	held := s.clients.before(p)
	s.net.crash(p)
	n.end(p, memfs.New(), held, down)
}

func (n *nemesis) freeze(p *proc, ms int64) {
	if !p.alive || p.frozen {
		return
	}
	p.frozen, p.since = true, n.s.now
	n.s.net.hush(p)
	n.later(ms, func() { n.thaw(p) })
}

// thaw lets a process go on.
func (n *nemesis) thaw(p *proc) {
	if !p.alive || !p.frozen {
		return
	}
	p.frozen, p.since = false, n.s.now
	n.s.net.dirty = true
	life, waiting := p.life, p.waiting
	p.waiting = nil
	for _, do := range waiting {
		p.on(life, do)
	}
}

// part does harm to the network.
func (n *nemesis) part(step *Step) {
	s := n.s
	count := len(s.procs)
	a, b := step.Node%count, int(step.Arg%uint64(count))
	switch step.Op {
	case opHalves:
		sides := step.Arg | 1
		var ways [][2]int
		for i := range count {
			for j := range count {
				if sides>>i&1 != sides>>j&1 {
					ways = append(ways, [2]int{i, j})
				}
			}
		}
		for _, w := range ways {
			s.net.cut(w[0], w[1])
		}
		n.later(step.For, func() {
			for _, w := range ways {
				s.net.mend(w[0], w[1])
			}
		})
	case opOneWay:
		s.net.cut(a, b)
		n.later(step.For, func() { s.net.mend(a, b) })
	case opReset:
		for _, l := range s.net.between(a, b) {
			l.drop()
		}
	case opClog:
		s.net.lag[[2]int{a, b}] = 100 + int64(mix(step.Arg, 60)%(3*second))
		n.later(step.For, func() { delete(s.net.lag, [2]int{a, b}) })
	}
}

// spoil makes an operation of a disk fail, soon.
func (n *nemesis) spoil(p *proc, step *Step) {
	left := int(step.Arg % 200)
	p.faulty = true
	p.disk.OnOp(func(memfs.Op) error {
		left--
		if left < 0 {
			return syscall.EIO
		}
		return nil
	})
}

func (n *nemesis) plenty(p *proc) {
	p.memory = 0
	if p.alive {
		p.node.SetMaxMemory(0)
	}
}

func (n *nemesis) leave(p *proc, on bool) {
	if p.leaving == on {
		return
	}
	p.leaving = on
	n.s.net.dirty = true
	p.on(p.life, func() { p.node.SetLeaving(on) })
}

// forget takes a node out of the cluster, for a time.
func (n *nemesis) forget(p *proc, ms int64) {
	s := n.s
	if s.net.gone[p.num] {
		return
	}
	for _, j := range s.clients.before(p) {
		s.clients.loses(p, j)
	}
	s.net.gone[p.num] = true
	s.net.dirty = true
	n.later(ms, func() { n.meet(p) })
}

func (n *nemesis) meet(p *proc) {
	if n.s.net.gone[p.num] {
		delete(n.s.net.gone, p.num)
		n.s.net.dirty = true
	}
}

// admin does what an operator may do.
func (n *nemesis) admin(p *proc, step *Step) {
	s := n.s
	var mark node.Mark
	switch step.Op {
	case opFlush:
		held := s.clients.before(p)
		if err := p.node.Flush(&mark); err == nil || len(held) > 0 {
			for _, j := range held {
				s.clients.loses(p, j)
			}
		}
		p.settle(mark, func() {})
	case opRewrite:
		_ = p.node.Rewrite(func(error) {}) // a node without a log refuses
	case opLog:
		n.switchLog(p)
	}
}

// switchLog switches the log of a node on or off.
func (n *nemesis) switchLog(p *proc) {
	s := n.s
	if p.logged {
		p.logged = false
		if err := p.node.StopLog(); err != nil && !p.broken && !p.faulty && !isFull(err) {
			s.fail("log", nil, "node %d cannot switch its log off: %v", p.num, err)
		}
		return
	}
	var outcome error
	if err := p.node.StartLog(p.logOptions(), func(err error) { outcome = err }); err != nil || outcome != nil {
		if outcome != nil {
			_ = p.node.StopLog() // it was not whole
		}
		return
	}
	p.logged = true
	p.hold()
}
