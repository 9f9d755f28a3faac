package sim

import (
	"fmt"
	"slices"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

// What clients do to jobs that fail, and what has to be true of those that are
// dead: all holders agree on it once no fault is on, a job does not die before its
// tries are used, and none that was buried is delivered.

// drawTerms draws the terms of a job.
func drawTerms(arg uint64, once bool) *store.Terms {
	t := &store.Terms{Priority: uint32(mix(arg, 70) % 2000)}
	if chance(50, arg, 71) {
		t.Priority = store.DefaultPriority
	}
	if !once && chance(70, arg, 72) {
		t.Limit = uint16(1 + mix(arg, 73)%4)
	}
	if !once && chance(50, arg, 74) {
		t.Base = uint32(1 + mix(arg, 75)%5)
		t.Most = t.Base + uint32(mix(arg, 76)%25)
	}
	return t
}

// drawRefusal draws how a consumer gives a job back.
func drawRefusal(seed uint64, j *job) *store.Refusal {
	draw := func(k uint64) uint64 { return mix(seed, uint64(j.number), uint64(j.delivered), k) }
	how := &store.Refusal{Delay: -1}
	switch draw(80) % 4 {
	case 0:
		return nil
	case 1:
		how.Delay = int64(draw(81) % 20)
	case 2:
		how.Reason = []byte(fmt.Sprint("delivery ", j.delivered))
	default:
		how.Delay, how.Reason = int64(draw(81)%20), []byte("both")
	}
	return how
}

// kick puts dead jobs of a queue back.
func (c *clients) kick(p *proc, queue string, most int) {
	for _, j := range c.live {
		if j.queue == queue {
			c.mayLie(p, j)
			j.kicks++
			j.buried, j.touched = 0, true
		}
	}
	var mark node.Mark
	done, err := p.node.Kick([]byte(queue), most, &mark)
	if c.s.o.Trace != nil {
		fmt.Fprintf(c.s.o.Trace, "%9.3f s  node %d kicks %d jobs of %s: %v\n", float64(c.s.now)/second, p.num, done, queue, err)
	}
	p.settle(mark, func() {})
}

// purge deletes what there is of a queue, and, by chance, what other nodes have.
func (c *clients) purge(p *proc, step *Step) {
	s, queue := c.s, c.queueName(step.Arg)
	for _, j := range c.live {
		j.deleted = j.deleted || j.queue == queue
	}
	c.purged[queue] = s.now + 2*second + 2*s.swarm.jumps + s.swarm.drift*20*minute/1_000_000
	var mark node.Mark
	_, _ = p.node.Purge([]byte(queue), store.Purgeable, chance(50, step.Arg, 62), &mark)
	p.settle(mark, func() {})
}

// mayLie checks that a job is dead at a node only if it may be.
func (c *clients) mayLie(p *proc, j *job) {
	lies, tries := false, 0
	p.node.Get(&j.id, func(v *store.Job) {
		if lies = v.State == store.Dead; lies {
			tries = int(v.Terms.Tries)
		}
	})
	switch {
	case !lies || j.buries > 0 || j.kicks > 0:
	case j.limit == 0:
		c.s.fail("died", j, "%v is dead at node %d, and has no limit", j, p.num)
	case tries < j.limit, c.failed(j) < j.limit:
		c.s.fail("died", j, "%v is dead at node %d after %d tries and %d deliveries, of which %d may have failed; its limit is %d",
			j, p.num, tries, len(c.handed[j.id]), c.failed(j), j.limit)
	}
}

// failed returns how many deliveries of a job may have failed by now: their leases
// ended, or a NACK came after them.
func (c *clients) failed(j *job) (n int) {
	for _, at := range c.handed[j.id] {
		if at+j.retry <= c.s.now+second || at <= j.nacked {
			n++
		}
	}
	return n
}

// lies checks that the holders of a job that is dead agree on it, and reports
// whether it is. A node that was told to forget the others is none of them.
func (c *clients) lies(j *job) (lies bool) {
	for _, p := range c.s.procs {
		if !p.alive {
			continue
		}
		c.mayLie(p, j)
		var holders []string
		dead := false
		p.node.Get(&j.id, func(v *store.Job) { dead, holders = v.State == store.Dead, p.node.Names(v.Holders) })
		for _, o := range c.s.procs {
			if dead && o.alive && slices.Contains(holders, o.node.ID()) {
				lives := false
				o.node.Get(&j.id, func(v *store.Job) { lives = v.State != store.Dead })
				if lives {
					c.s.fail("disagree", j, "%v is dead at node %d, and not at node %d: %s", j, p.num, o.num, c.s.where(j))
				}
			}
		}
		lies = lies || dead
	}
	return lies
}

// raise has the nodes put back whatever is dead.
func (c *clients) raise() {
	for _, p := range c.s.procs {
		p.on(p.life, func() {
			for _, name := range c.queues() {
				_, _ = p.node.Kick(name, 1<<20, &node.Mark{})
			}
		})
	}
}
