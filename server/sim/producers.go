package sim

import (
	"fmt"
	"strings"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

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
