package sim

import (
	"errors"
	"fmt"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

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
