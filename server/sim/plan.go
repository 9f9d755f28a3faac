package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/disqo/disqo/aof"
)

// Op is what a step does.
type Op uint8

const (
	opAdd Op = iota
	opGet
	opPause
	opEnqueue
	opDequeue
	opDelete
	opLook
	opBury
	opKick
	opPromote
	opPurge
	opRestart
	opFlush
	opRewrite
	opLog
	opHeal // all faults end
	opKill
	opPower
	opBlackout
	opStop
	opWipe
	opFreeze
	opHalves
	opOneWay
	opReset
	opClog
	opSlowDisk
	opFullDisk
	opBadDisk
	opMemory
	opLeave
	opForget
	opJoin
	numOps
)

var opNames = [numOps]string{
	"ADDJOB", "GETJOB", "PAUSE", "ENQUEUE", "DEQUEUE", "DELJOB", "SHOW", "BURY", "KICK", "PROMOTE", "QPURGE", "restart", "FLUSH", "BGREWRITEAOF", "APPENDONLY", "heal",
	"kill", "power loss", "power loss of all", "stop", "wipe", "freeze", "halves", "one way", "reset link", "clog", "slow disk", "full disk", "bad disk",
	"short memory", "leave", "forget", "join",
}

// faults are the ops that hurt, and how often each is drawn in comparison.
var faults = map[Op]int{
	opKill: 4, opPower: 3, opBlackout: 1, opStop: 2, opWipe: 1, opFreeze: 3, opHalves: 4, opOneWay: 3, opReset: 3, opClog: 3,
	opSlowDisk: 3, opFullDisk: 1, opBadDisk: 1, opMemory: 1, opLeave: 2, opForget: 1, opJoin: 1, opFlush: 1, opLog: 1, opRewrite: 2,
}

// Step is one thing that clients or fate do.
type Step struct {
	At   int64 // milliseconds since the beginning
	Op   Op
	Node int
	For  int64  // how long, milliseconds
	Arg  uint64 // what the details are drawn from
}

// String returns the step in a line.
func (s Step) String() string {
	return fmt.Sprintf("%9.3f s  %-14s node %d  %6d ms  %016x", float64(s.At)/second, opNames[s.Op], s.Node, s.For, s.Arg)
}

// swarm is how a run differs from others.
type swarm struct {
	latency int64 // most that a message takes, milliseconds
	loss    int   // of a thousand messages, that TCP sends again
	wild    int   // of a thousand, that no TCP would handle so
	outbox  int64 // bytes that may be on the way to a peer
	lag     int64 // most that a disk takes, milliseconds
	segment int64 // bytes
	drift   int64 // most that a clock is fast or slow, millionths
	jumps   int64 // most that a clock is off when a process is started, milliseconds
	logs    int   // 0: none, 1: always, 2: of all sorts

	queues  int
	adds    int // a minute
	gets    int
	once    int // per cent of the jobs that are at most once
	delays  int // that have a delay
	ttls    int // that live for a short time only
	asyncs  int
	terms   int // that have a priority, a limit of tries or a back-off
	retry   int // most, seconds
	copies  int // most
	body    int // most bytes of one
	sloppy  int // per cent of deliveries that are not acknowledged in time
	faults  []Op
	weights []int
	pace    int64 // milliseconds between faults
	storm   int64 // how long faults go on, milliseconds
	calm    int64 // and how long they rest then
}

func drawSwarm(r *rand.Rand) swarm {
	some := func(percent int, draw func() int64) int64 {
		if r.IntN(100) < percent {
			return draw()
		}
		return 0
	}
	upTo := func(n int64) func() int64 { return func() int64 { return 1 + r.Int64N(n) } }
	w := swarm{
		latency: 1 + r.Int64N(10), loss: int(some(50, upTo(20))), wild: int(some(25, upTo(20))), outbox: 64 << (10 + r.IntN(6)),
		lag: r.Int64N(10), segment: 16 << (10 + r.IntN(4)), drift: some(50, upTo(500)), jumps: some(50, upTo(5*second)), logs: r.IntN(3),
		queues: 1 + r.IntN(5), adds: 60 + r.IntN(400), once: int(some(70, upTo(50))), delays: int(some(60, upTo(30))), ttls: int(some(60, upTo(20))),
		asyncs: int(some(50, upTo(20))), retry: 1 + r.IntN(20), copies: 1 + r.IntN(4), body: 1 << (4 + r.IntN(8)), sloppy: r.IntN(40),
		pace: 500 + r.Int64N(10*second), storm: 10*second + r.Int64N(80*second), calm: 40*second + r.Int64N(60*second),
	}
	w.terms = int(some(70, upTo(80)))
	w.gets = w.adds/2 + r.IntN(w.adds)
	for op := range numOps { // in their order
		if weight := faults[op]; weight > 0 && r.IntN(2) == 0 {
			w.faults = append(w.faults, op)
			w.weights = append(w.weights, weight*(1+r.IntN(4)))
		}
	}
	return w
}

// log draws whether a node has a log, and of which sort.
func (w *swarm) log(r *rand.Rand) (logged bool, policy aof.Policy) {
	switch w.logs {
	case 0:
		return false, aof.No
	case 1:
		return true, aof.Always
	}
	return r.IntN(4) > 0, []aof.Policy{aof.Always, aof.EverySec, aof.No}[r.IntN(3)]
}

// jump draws by how much the clock of a process that is started is ahead.
func (w *swarm) jump(r *rand.Rand) int64 {
	if w.jumps == 0 {
		return 0
	}
	return r.Int64N(2*w.jumps+1) - w.jumps
}

// fault draws one.
func (w *swarm) fault(r *rand.Rand) Op {
	sum := 0
	for _, weight := range w.weights {
		sum += weight
	}
	at := r.IntN(sum)
	for i, weight := range w.weights {
		if at -= weight; at < 0 {
			return w.faults[i]
		}
	}
	return opHeal // there is always one
}

// makePlan draws what happens within so many milliseconds.
func makePlan(r *rand.Rand, w *swarm, nodes int, long int64) (plan []Step) {
	step := func(at int64, op Op, most int64) {
		plan = append(plan, Step{At: at, Op: op, Node: r.IntN(nodes), For: 1 + r.Int64N(most), Arg: r.Uint64()})
	}
	every := func(perMinute int, op Op, most int64) {
		for at := int64(0); ; {
			at += 1 + int64(r.ExpFloat64()*minute/float64(perMinute))
			if at >= long {
				return
			}
			step(at, op, most)
		}
	}
	every(w.adds, opAdd, 10*second)
	every(w.gets, opGet, 5*second)
	every(4, opPause, 10*second)
	every(3, opEnqueue, 1)
	every(2, opDequeue, 1)
	every(1, opDelete, 1)
	every(10, opLook, 1)
	every(3, opBury, 1)
	every(4, opKick, 1)
	every(2, opPromote, 1)
	if r.IntN(4) == 0 {
		every(1, opPurge, 1)
	}
	restarts := r.IntN(3) == 0
	if restarts {
		every(8, opRestart, 8*second)
	}
	if len(w.faults) > 0 && !(restarts && r.IntN(2) == 0) {
		for at := w.calm; at < long; at += w.storm + w.calm {
			end := min(at+w.storm, long)
			for t := at + r.Int64N(w.pace); t < end; t += 1 + r.Int64N(2*w.pace) {
				step(t, w.fault(r), 20*second)
			}
			step(end, opHeal, 1)
		}
	}
	slices.SortStableFunc(plan, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return plan
}
