package sim

import (
	"fmt"
	"time"

	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/store"
)

const (
	lateTime  = 20 * second  // until what was said before the faults ended has come
	restTime  = 120 * second // without consumers, until every job is in a queue
	drainTime = 5 * minute   // most, until there is no job any more
	drainPace = 200          // milliseconds between GETJOBs
	drainRest = 3 * second   // that nothing is left, for what the network still repeats
	idleTime  = 6 * minute   // after which queues that are not used are gone
)

// rest leaves the cluster alone for a while. Then whatever can be delivered must
// be in a queue: no lease, notice of another node or pause may postpone it for
// ever.
func (s *sim) rest() {
	c := &s.clients
	c.idle = true
	s.resume()
	s.pass(s.now + lateTime)
	s.resume() // a PAUSE with bcast may have come late, and its end not at all
	s.pass(s.now + restTime)
	c.eachLive(func(j *job) {
		if !j.answered || j.once || j.acking || j.excused() || s.now+minute > j.dies {
			return
		}
		if c.lies(j) {
			return
		}
		for _, p := range s.procs {
			queued := false
			p.node.Get(&j.id, func(v *store.Job) { queued = v.State == store.Queued })
			if queued {
				return
			}
		}
		s.fail("stuck", j, "%v is in no queue, %d ms after the last fault: %s", j, restTime, s.where(j))
	})
}

// resume ends the pauses of all queues.
func (s *sim) resume() {
	for _, p := range s.procs {
		p.on(p.life, func() {
			for _, name := range s.clients.queues() {
				_ = p.node.SetPause(name, 0, false, &node.Mark{})
			}
		})
	}
}

// where says what the nodes know of a job.
func (s *sim) where(j *job) (text string) {
	for _, p := range s.procs {
		if !p.alive || !p.node.Get(&j.id, func(v *store.Job) {
			text += fmt.Sprintf("node %d: %v, queued again in %d ms, holders %.8s; ", p.num, v.State, v.NextQueue-p.clock(), p.node.Names(v.Holders))
			if v.Terms != nil {
				text += fmt.Sprintf("generation %d, tries %d; ", v.Terms.Generation, v.Terms.Tries)
			}
		}) {
			text += fmt.Sprintf("node %d: unknown; ", p.num)
		}
	}
	return text
}

// drain has consumers take and acknowledge all that there is.
func (s *sim) drain() {
	c := &s.clients
	for _, j := range c.jobs {
		if j.delivered > 0 && j.acked == 0 && !j.deleted {
			p := s.procs[j.number%len(s.procs)]
			p.on(p.life, func() { c.ack(p, j) })
		}
	}
	all, began := c.queues(), s.now
	for empty := s.now; s.now-empty < drainRest; {
		c.raise()
		if s.left() > 0 {
			empty = s.now + drainPace
		}
		if empty-began > drainTime {
			s.stays()
		}
		for _, p := range s.procs {
			p.on(p.life, func() { c.getJob(p, all, 50, 0) })
		}
		s.pass(s.now + drainPace)
	}
	s.result.Drain = time.Duration(s.now-began-drainRest) * time.Millisecond
}

// idle lets the queues die. Then nothing may be left in memory.
func (s *sim) idle() {
	s.pass(s.now + idleTime)
	for _, p := range s.procs {
		if used := p.node.Used(); used != 0 || p.node.Queues() != 0 {
			s.fail("memory", nil, "node %d has no jobs, but %d bytes and %d queues", p.num, used, p.node.Queues())
		}
	}
}

// left is how many jobs and acknowledgements the nodes know.
func (s *sim) left() (sum int) {
	for _, p := range s.procs {
		if !p.alive {
			return 1 // it will be there again
		}
		sum += p.node.Jobs()
	}
	return sum
}

// stays fails since something is not to be got rid of.
func (s *sim) stays() {
	left := s.left()
	for _, p := range s.procs {
		if !p.alive {
			s.fail("drain", nil, "node %d does not live", p.num)
		}
		var found *job
		p.node.ScanJobs(0, -1, nil, func(v *store.Job) bool {
			found = s.clients.byID[v.ID]
			return found == nil
		})
		if found != nil {
			s.fail("drain", found, "%d jobs stay, such as %v: %s", left, found, s.where(found))
		}
	}
	s.fail("drain", nil, "%d acknowledgements of unknown jobs stay", left)
}

// verdict looks for jobs that are lost.
func (s *sim) verdict() {
	for _, j := range s.clients.jobs {
		if j.answered && !j.over() && !j.once && !j.acking && !j.excused() && s.now < j.dies {
			s.fail("lost", j, "%v was answered and is gone; %d nodes lost it", j, j.lost)
		}
	}
}
