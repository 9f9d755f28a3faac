package sim

import (
	"slices"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

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
