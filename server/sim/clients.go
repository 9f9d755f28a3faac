package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

// clients are the programs that use the cluster.
type clients struct {
	s     *sim
	jobs  []*job
	live  []*job
	dying []*job // acknowledged, and not yet gone
	byID  map[store.ID]*job
	idle  bool // nobody consumes

	handed map[store.ID][]int64 // when nodes delivered each job, deliveries that were taken back left out
	purged map[string]int64     // until when what is added to a queue may be meant by a QPURGE
}

func (c *clients) init(s *sim) {
	c.s, c.byID, c.purged, c.handed = s, map[store.ID]*job{}, map[string]int64{}, map[store.ID][]int64{}
}

// gift is a job as a client got it.
type gift struct {
	id          store.ID
	queue, body string
	lease       int64
	turn        uint8
	at          int64 // when the node let go of it
}

// gift makes one of a job that a node is about to let go of, maybe before whoever
// adds the job knows its id.
func (c *clients) gift(j *store.Job) gift {
	c.handed[j.ID] = append(c.handed[j.ID], c.s.now)
	return gift{j.ID, j.Queue, string(j.Body), j.NextQueue, j.Turn, c.s.now}
}

func (c *clients) queueName(arg uint64) string { return fmt.Sprint("q", arg%uint64(c.s.swarm.queues)) }

// queues are the names of all queues.
func (c *clients) queues() (names [][]byte) {
	for i := range c.s.swarm.queues {
		names = append(names, []byte(c.queueName(uint64(i))))
	}
	return names
}

// do does a step.
func (s *sim) do(step *Step) {
	c, p := &s.clients, s.procs[step.Node%len(s.procs)]
	s.hash.add(uint64(s.now), uint64(step.Op), step.Arg)
	if step.Op >= opHeal || step.Op == opRestart || step.Op == opFlush || step.Op == opRewrite || step.Op == opLog {
		s.nemesis.do(step, p)
		return
	}
	p.on(p.life, func() {
		if p.retired {
			return // it lets nobody in
		}
		switch step.Op {
		case opAdd:
			c.addJob(p, step)
		case opGet:
			c.getJob(p, c.some(step.Arg), 1+int(mix(step.Arg, 1)%20), step.For)
		case opPause:
			c.pause(p, step)
		case opLook:
			c.look(p, step)
		case opKick:
			c.kick(p, c.queueName(step.Arg), 1+int(mix(step.Arg, 60)%5))
		case opPurge:
			c.purge(p, step)
		default:
			if j := c.any(step.Arg); j != nil {
				c.command(p, step.Op, j)
			}
		}
	})
}

// some draws queues.
func (c *clients) some(arg uint64) [][]byte {
	names := [][]byte{[]byte(c.queueName(arg))}
	if mix(arg, 2)%4 == 0 {
		names = append(names, []byte(c.queueName(mix(arg, 3))))
	}
	return names
}

// any draws one of the jobs whose fate matters.
func (c *clients) any(arg uint64) *job {
	if len(c.live) == 0 {
		return nil
	}
	return c.live[arg%uint64(len(c.live))]
}

// chance draws whether something of so many per cent is so.
func chance(percent int, words ...uint64) bool { return int(mix(words...)%100) < percent }

func (c *clients) addJob(p *proc, step *Step) {
	s, w, a := c.s, &c.s.swarm, step.Arg
	queue := c.queueName(mix(a, 20))
	spec := &store.Spec{
		Queue: []byte(queue), TTL: uint32(1800 + mix(a, 21)%1800), Retry: uint32(1 + mix(a, 22)%uint64(w.retry)),
		Repl: uint16(mix(a, 23) % uint64(w.copies+1)),
	}
	if chance(w.once, a, 24) {
		spec.Retry, spec.Repl, spec.TTL = 0, uint16(mix(a, 23)%2), uint32(30+mix(a, 25)%60)
	}
	if chance(w.delays, a, 26) {
		spec.Delay = uint32(1 + mix(a, 27)%10)
	}
	if chance(w.ttls, a, 28) && spec.Retry > 0 {
		spec.TTL = spec.Delay + uint32(1+mix(a, 29)%60)
	}
	if spec.Repl > 1 && chance(50, a, 30) {
		spec.Sync = uint16(1 + mix(a, 31)%uint64(spec.Repl))
	}
	if chance(5, a, 32) {
		spec.MaxLen = 50
	}
	j := c.add(&job{queue: queue, once: spec.Retry == 0, retry: int64(spec.Retry) * second})
	if chance(w.terms, a, 35) {
		spec.Terms = drawTerms(a, j.once)
		j.limit = int(spec.Terms.Limit)
	}
	j.deleted = s.now <= c.purged[queue]
	j.body = fmt.Sprintf("%d %s", j.number, strings.Repeat("x", int(mix(a, 33)%uint64(w.body))))
	j.due, j.dies = s.now+int64(spec.Delay)*second, s.now+int64(spec.TTL)*second
	spec.Body = []byte(j.body)
	add := &adding{c: c, p: p, j: j, life: p.life}
	spec.Adder = add
	id, waits, err := p.node.Add(spec, chance(w.asyncs, a, 34), &add.mark)
	if err != nil {
		j.refused = true
		s.result.Refused++
		c.note(j, "is refused by node %d: %v", p.num, err)
		return
	}
	j.id, j.sync = id, int(spec.Sync)
	c.byID[id] = j
	c.note(j, "is added at node %d: %v delay %d ttl %d retry %d repl %d sync %d external %t", p.num, id, spec.Delay, spec.TTL, spec.Retry, spec.Repl, spec.Sync, spec.External)
	if !waits {
		add.Added(nil)
		return
	}
	p.in(step.For, add.giveUp)
}

// adding is an ADDJOB that is not answered yet.
type adding struct {
	c    *clients
	p    *proc
	j    *job
	life int
	mark node.Mark
	done bool
}

// Added implements store.Adder.
func (a *adding) Added(err error) {
	if a.done {
		return
	}
	a.done = true
	if err != nil {
		a.c.s.result.Unknown++
		a.c.note(a.j, "waits no more: %v", err)
		return
	}
	a.c.s.in(0, func() { a.p.on(a.life, a.answer) })
}

// answer sends the reply as soon as that may be done.
func (a *adding) answer() {
	a.p.settle(a.mark, func() {
		j := a.j
		j.answered = true
		a.c.s.result.Added++
		a.c.note(j, "is answered")
		a.c.count(j)
		a.c.s.nemesis.answered()
	})
}

// count checks that an ADDJOB is not answered before enough nodes hold the job.
func (c *clients) count(j *job) {
	if j.over() || j.acking || j.once || j.lost > 0 || j.touched || c.s.now >= j.dies {
		return
	}
	n := 0
	for _, p := range c.s.procs {
		if !p.alive {
			return // who knows what it has on its disk
		}
		if p.holds(&j.id) {
			n++
		}
	}
	if n < j.sync && c.s.nemesis.spared(j) {
		c.s.fail("copies", j, "%v is answered, but only %d nodes hold it", j, n)
	}
}

func (a *adding) giveUp() {
	if a.done {
		return
	}
	_, _, ok, err := a.p.node.GiveUp(&a.j.id, &a.mark)
	switch {
	case err != nil:
		a.p.in(second, a.giveUp)
	case ok:
		a.done = true
		a.j.deleted = true
		a.c.s.result.Unknown++
		a.c.note(a.j, "is given up at node %d", a.p.num)
	}
}

func (c *clients) getJob(p *proc, queues [][]byte, count int, timeout int64) {
	var gifts []gift
	var mark node.Mark
	_, err := p.node.Fetch(queues, count, &mark, func(j *store.Job) bool {
		gifts = append(gifts, c.gift(j))
		return true
	})
	switch {
	case len(gifts) > 0:
		c.reply(p, gifts, mark)
	case err == nil && !p.leaving && timeout > 100:
		w := &waiter{c: c, p: p, life: p.life}
		ticket, err := p.node.Block(queues, w)
		if err != nil {
			return
		}
		w.ticket = ticket
		p.waiters = append(slices.DeleteFunc(p.waiters, func(w *waiter) bool { return w.claimed }), w)
		p.in(timeout, func() {
			switch {
			case w.leave(), w.gone:
			case !w.woken:
				c.s.fail("wake", nil, "node %d has ended the wait of a client and does not wake it", p.num)
			}
		})
	}
}

// waiter is a client that is blocked in GETJOB.
type waiter struct {
	c       *clients
	p       *proc
	life    int
	ticket  *node.Ticket
	mark    node.Mark
	gifts   []gift
	claimed bool
	woken   bool
	gone    bool // it waits no more
}

// Claim implements store.Waiter.
func (w *waiter) Claim() bool {
	won := !w.claimed
	w.claimed = true
	return won
}

// leave ends the wait, unless a job has.
func (w *waiter) leave() bool {
	if !w.Claim() {
		return false
	}
	w.gone = true
	w.p.node.Unblock(w.ticket)
	return true
}

// Deliver implements store.Waiter.
func (w *waiter) Deliver(j *store.Job) {
	if w.gifts = append(w.gifts, w.c.gift(j)); len(w.gifts) > 1 || w.gone {
		w.c.s.failLater("hand-off", "node %d hands %v to a client that waits no more", w.p.num, j.ID)
	}
}

// Await implements node.Waiter.
func (w *waiter) Await(m node.Mark) { w.mark.Add(m) }

// Wake implements store.Waiter.
func (w *waiter) Wake() {
	w.woken = true
	w.c.s.in(0, func() {
		w.p.on(w.life, func() {
			w.p.node.Unblock(w.ticket)
			if len(w.gifts) > 0 {
				w.c.reply(w.p, w.gifts, w.mark)
			}
		})
	})
}

// reply sends jobs to a client as soon as that may be done. Now and then the
// client is not there any more.
func (c *clients) reply(p *proc, gifts []gift, mark node.Mark) {
	s := c.s
	for i := range gifts {
		if j := c.byID[gifts[i].id]; j != nil {
			c.note(j, "is let go of by node %d, lease until %d", p.num, gifts[i].lease)
		}
	}
	if mix(s.o.Seed, uint64(s.now), uint64(p.num))%50 == 0 {
		for i := range gifts {
			g := &gifts[i]
			if j := c.byID[g.id]; j != nil {
				j.touched = true
				c.note(j, "is returned to node %d", p.num)
			}
			all := c.handed[g.id]
			i := slices.Index(all, g.at)
			c.handed[g.id] = slices.Delete(all, i, i+1)
			p.node.Return(&g.id, g.lease, g.turn)
		}
		return
	}
	p.settle(mark, func() {
		for i := range gifts {
			c.consume(p, c.found(p, &gifts[i]))
		}
	})
}

// consume does something with a job that a client got.
func (c *clients) consume(p *proc, j *job) {
	s, w := c.s, &c.s.swarm
	draw := func(k uint64) uint64 { return mix(s.o.Seed, uint64(j.number), uint64(j.delivered), k) }
	at := p
	if draw(40)%5 == 0 {
		at = s.procs[draw(41)%uint64(len(s.procs))]
	}
	soon := int64(draw(42) % uint64(max(1, j.retry/2)))
	later := func(ms int64, do func()) {
		s.in(ms, func() {
			if !at.retired {
				at.on(at.life, do)
			}
		})
	}
	if s.clients.idle || !(int(draw(43)%100) < w.sloppy) {
		later(min(soon, 2*second), func() { c.ack(at, j) })
		return
	}
	switch draw(44) % 8 {
	case 0: // it dies
	case 1, 2:
		later(soon, func() { c.command(at, opNack, j) })
	case 3:
		later(soon, func() {
			c.command(at, opWorking, j)
			later(soon+j.retry/2, func() { c.ack(at, j) })
		})
	case 4:
		later(j.retry+soon, func() { c.ack(at, j) })
	case 5:
		later(soon, func() { c.command(at, opFastAck, j) })
	case 6:
		later(soon, func() { c.ack(at, j); c.ack(p, j) })
	default:
		later(j.retry*2+soon, func() { c.ack(at, j) })
	}
}

// ack acknowledges a job, until that is answered.
func (c *clients) ack(p *proc, j *job) {
	var mark node.Mark
	j.acking = true
	_, err := p.node.Ack(&j.id, &mark)
	if err != nil {
		p.in(second, func() { c.ack(p, j) })
		return
	}
	c.note(j, "is acknowledged at node %d", p.num)
	p.settle(mark, func() {
		if j.acked == 0 {
			c.s.result.Acked++
			j.acked = c.s.now
			c.dying = append(c.dying, j)
			c.note(j, "has its acknowledgement answered by node %d", p.num)
		}
	})
}

// The commands that consumers use beside ACKJOB; no step of a plan.
const (
	opNack Op = numOps + iota
	opWorking
	opFastAck
)

// command does something to a job.
func (c *clients) command(p *proc, op Op, j *job) {
	var mark node.Mark
	was, kicks := j.touched, j.kicks
	j.touched = true
	ok, err := false, error(nil)
	switch op {
	case opEnqueue:
		ok, err = p.node.Enqueue(&j.id, &mark)
	case opDequeue:
		if j.once {
			return // it would never come back
		}
		ok, err = p.node.Dequeue(&j.id, &mark)
	case opBury:
		j.buries++
		ok, err = p.node.Bury(&j.id, []byte(fmt.Sprint("at ", c.s.now)), &mark)
	case opPromote:
		ok, err = p.node.Promote(&j.id, uint32(mix(c.s.o.Seed, uint64(j.number), 61)%2000), &mark)
	case opDelete:
		j.deleted = true
		ok, err = p.node.Delete(&j.id, &mark)
	case opFastAck:
		j.deleted = true
		ok, err = p.node.FastAck(&j.id, &mark)
	case opWorking:
		_, err = p.node.Working(&j.id, &mark)
		ok = err == nil
	case opNack:
		j.nacked = c.s.now
		before, active := c.nacks(p, j)
		ok, err = p.node.Nack(&j.id, drawRefusal(c.s.o.Seed, j), &mark)
		c.mayLie(p, j)
		if after, _ := c.nacks(p, j); active && err == nil && after == before {
			c.s.fail("nack", j, "%v is given back to node %d, which does nothing", j, p.num)
		}
	}
	c.note(j, "command %d at node %d: %t %v, touched %t", op, p.num, ok, err, was)
	p.settle(mark, func() {
		if op == opBury && ok && kicks == j.kicks {
			j.buried = c.s.now
		}
	})
}

// nacks returns how often a node knows that a job was given back, and whether it
// may be now.
func (c *clients) nacks(p *proc, j *job) (n int, active bool) {
	p.node.Get(&j.id, func(v *store.Job) {
		n, active = int(v.Nacks), v.State == store.Active && v.Retry > 0 && (v.Terms == nil || !v.Terms.Held)
	})
	return n, active
}

func (c *clients) pause(p *proc, step *Step) {
	name := []byte(c.queueName(step.Arg))
	var mark node.Mark
	for _, j := range c.live {
		j.touched = j.touched || j.queue == string(name) // its holders may all queue it when the pause ends
	}
	_ = p.node.SetPause(name, store.Pause(mix(step.Arg, 50)%4), chance(50, step.Arg, 51), &mark) // a full log refuses
	p.in(step.For, func() { _ = p.node.SetPause(name, 0, true, &mark) })
}

// look uses what only looks.
func (c *clients) look(p *proc, step *Step) {
	s := c.s
	name := []byte(c.queueName(step.Arg))
	n, seen := p.node.QueueLen(name), 0
	p.node.Peek(name, n+1, false, func(*store.Job) bool { seen++; return true })
	if seen != n {
		s.fail("look", nil, "QPEEK shows %d of the %d jobs in queue %s of node %d", seen, n, name, p.num)
	}
	jobs := 0
	var dead []*job
	p.node.ScanJobs(0, -1, nil, func(v *store.Job) bool {
		if jobs++; v.State == store.Dead {
			dead = append(dead, c.byID[v.ID])
		}
		return true
	})
	for _, j := range dead {
		c.mayLie(p, j)
	}
	if st, ok := p.node.QueueStat(name); ok && st.Len != n {
		s.fail("look", nil, "QSTAT shows %d of the %d jobs in queue %s of node %d", st.Len, n, name, p.num)
	}
	s.hash.add(uint64(n), uint64(jobs))
}

// isFull reports whether an error is that of a log without room.
func isFull(err error) bool {
	var full *node.FullError
	return errors.As(err, &full) || errors.Is(err, node.ErrLogBusy)
}
