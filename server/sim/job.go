package sim

import (
	"fmt"

	"github.com/disqo/disqo/store"
)

// job is what clients know of a job, and what is true of it.
type job struct {
	number int // from 1
	id     store.ID
	queue  string
	body   string
	once   bool
	retry  int64 // milliseconds
	added  int64 // when its ADDJOB was sent
	due    int64 // not to be delivered before
	dies   int64 // nor after
	sync   int   // nodes that hold it when its ADDJOB is answered

	answered bool // with an id
	refused  bool // with an error that means that it was not added

	delivered int   // to clients
	first     int64 // when the first of them was
	acking    bool  // an ACKJOB was sent
	acked     int64 // when the first one was answered, 0 if none was
	missed    int64 // when no node was seen to know it, after that; 0: one was
	gone      int64 // since when no node knows it any more, 0 while one does
	deleted   bool  // by DELJOB, FASTACK or FLUSHALL
	touched   bool  // a client did something that may bring it back, or forward
	limit     int   // of deliveries that fail; 0: it has none
	nacked    int64 // when the last NACK was sent
	buries    int   // BURYs that were sent
	kicks     int   // and KICKs that may concern it
	buried    int64 // when a BURY was answered, 0 after a KICK
	lost      int   // nodes that lost their copy by losing their memory
	left      *proc // the last node that handed its copy over to leave
}

// over reports whether it does not matter any more what becomes of a job.
func (j *job) over() bool {
	return j.refused || j.deleted || j.acked != 0 || j.once && j.delivered > 0
}

func (j *job) String() string {
	return fmt.Sprintf("job %d %v (%s, retry %d ms, sync %d, added after %d ms)", j.number, j.id, j.queue, j.retry, j.sync, j.added)
}

// add makes a job known that is about to be sent.
func (c *clients) add(j *job) *job {
	j.number = len(c.jobs) + 1
	j.added = c.s.now
	c.jobs = append(c.jobs, j)
	c.live = append(c.live, j)
	return j
}

// note writes a line of the history of a job that is asked for.
func (c *clients) note(j *job, format string, a ...any) {
	s := c.s
	if s.o.Trace != nil && s.o.Job == j.number {
		fmt.Fprintf(s.o.Trace, "%9.3f s  job %d %s\n", float64(s.now)/second, j.number, fmt.Sprintf(format, a...))
	}
}

// overhear writes a line about a message that concerns the job asked for.
func (c *clients) overhear(what string, l *link, data []byte) {
	if c.s.o.Trace == nil || l == nil {
		return
	}
	m, err := open(data)
	if err != nil {
		return
	}
	if j := c.byID[m.ID]; j != nil && j.number == c.s.o.Job {
		c.note(j, "%d %s %d %v flags %d left %d number %d turn %d, link %t", l.from.num, what, l.to.num, m.Kind, m.Flags, m.Left, m.Number, m.Turn, l.up)
	}
}

// eachLive calls yield with the jobs whose fate matters.
func (c *clients) eachLive(yield func(j *job)) {
	kept := c.live[:0]
	for _, j := range c.live {
		if !j.over() && c.s.now <= j.dies {
			kept = append(kept, j)
			yield(j)
		}
	}
	clear(c.live[len(kept):])
	c.live = kept
}

// found is told that a client was sent a job, and that it is there.
func (c *clients) found(p *proc, g *gift) *job {
	s := c.s
	s.result.Delivered++
	s.hash.add(uint64(s.now), uint64(p.num))
	s.hash.bytes(g.id[:])
	j := c.byID[g.id]
	switch {
	case j == nil:
		s.fail("unexpected", nil, "node %d delivers %v, which nobody added", p.num, g.id)
	case j.refused:
		s.fail("unexpected", j, "node %d delivers %v, which was refused", p.num, j)
	case j.body != g.body || j.queue != g.queue:
		s.fail("unexpected", j, "node %d delivers %v with the body %.40q of the queue %s", p.num, j, g.body, g.queue)
	}
	c.note(j, "comes from node %d", p.num)
	slack := s.slack(j)
	switch {
	case j.once && j.delivered > 0:
		s.fail("twice", j, "node %d delivers %v again, which is at most once", p.num, j)
	case g.at < j.due-slack && !j.touched:
		s.fail("early", j, "node %d delivers %v %d ms before its delay is over", p.num, j, j.due-g.at)
	case g.at > j.dies+slack:
		s.fail("late", j, "node %d delivers %v %d ms after its end", p.num, j, g.at-j.dies)
	}
	if j.gone > s.nemesis.amnesia {
		s.fail("revived", j, "node %d delivers %v, which was acknowledged and known to no node", p.num, j)
	}
	switch {
	case !s.nemesis.spared(j):
	case j.acked != 0 && !j.deleted && g.at > s.known(j.acked):
		s.fail("undone", j, "node %d delivers %v %d ms after it was acknowledged, without a fault", p.num, j, g.at-j.acked)
	case j.buried != 0 && !j.deleted && g.at > s.known(j.buried):
		s.fail("dead", j, "node %d delivers %v %d ms after it was buried, without a fault", p.num, j, g.at-j.buried)
	case j.delivered > 0 && !j.touched && !s.hasty(j) && g.at < j.first+j.retry-calmSlack/10:
		s.fail("duplicate", j, "node %d delivers %v again %d ms after it was delivered first, without a fault", p.num, j, g.at-j.first)
	}
	if j.delivered == 0 {
		j.first = g.at
	} else {
		s.result.Duplicates++
	}
	j.delivered++
	return j
}

// known returns until when a node may not know yet what a client was told at a time, while
// there is no fault: one that was away then hears of it when it is back.
func (s *sim) known(at int64) int64 {
	for _, p := range s.procs {
		at = max(at, p.since)
	}
	return at + calmSlack
}

// hasty reports whether the RETRY of a job is too short to ask who has it, where TCP sends
// the question, and then the answer, again after 200 ms.
func (s *sim) hasty(j *job) bool { return s.swarm.loss > 0 && j.retry < 2*second }

// calmSlack is within what time all nodes that are there know, while there is no fault,
// that a job is acknowledged.
const calmSlack = 2 * second

// slack is how much earlier or later than it should something may happen to a
// job: clocks are not right, and what nodes tell each other of a time that is
// left does not count how long it was on its way.
func (s *sim) slack(j *job) int64 {
	slack := int64(second)
	if !s.nemesis.spared(j) {
		slack = 30*second + 2*s.swarm.jumps
	}
	return slack + s.swarm.drift*20*minute/1_000_000
}

// before notes who holds which job, since a process is about to lose something.
func (c *clients) before(p *proc) (held []*job) {
	c.eachLive(func(j *job) {
		if p.holds(&j.id) {
			held = append(held, j)
		}
	})
	return held
}

// recount counts what a process that was started again has lost.
func (c *clients) recount(p *proc) {
	for _, j := range p.missing {
		if !p.holds(&j.id) {
			c.loses(p, j)
		}
	}
	p.missing = nil
}

// loses is told that a process has lost copies that it held.
func (c *clients) loses(p *proc, j *job) {
	j.lost++
	c.note(j, "is lost by node %d, %d of %d", p.num, j.lost, j.sync)
}

// handedOver is told that a node that leaves has given its copy of a job to
// another. If that had one already, as no other could be reached, there is one
// less.
func (c *clients) handedOver(p *proc, frame []byte) {
	m, err := open(frame)
	if err != nil {
		return
	}
	j := c.byID[m.ID]
	if j == nil || j.over() || j.left == p {
		return
	}
	j.left = p // it tells several nodes
	if c.copies(j, p) < j.sync-j.lost {
		c.loses(p, j)
	}
}

// copies returns how many nodes but one hold a job.
func (c *clients) copies(j *job, but *proc) (n int) {
	for _, p := range c.s.procs {
		if p != but && p.holds(&j.id) {
			n++
		}
	}
	return n
}

// excused reports whether more of those that held a job lost it than was
// promised to be no harm.
func (j *job) excused() bool { return j.lost >= j.sync }
