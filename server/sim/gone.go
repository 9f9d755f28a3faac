package sim

// A job that was acknowledged and that no node knows any more is gone for good,
// whatever faults follow, as long as no disk forgets that. What was on its way
// when no node was seen to know it arrives, or is lost, before it is looked at
// again.

const buryPause = 10 * second

// bury looks for jobs that are gone, now and then.
func (s *sim) bury() {
	s.clients.bury()
	s.in(buryPause, s.bury)
}

func (c *clients) bury() {
	s := c.s
	for _, p := range s.procs {
		if !p.alive || p.frozen || s.net.gone[p.num] || p.since > s.now-buryPause {
			return // it may know more than it shows
		}
	}
	dying := c.dying[:0]
	for _, j := range c.dying {
		switch {
		case c.known(j):
			j.missed = 0
		case j.missed == 0:
			j.missed = s.now
		case s.now-j.missed >= 2*buryPause:
			j.gone = s.now
			continue
		}
		dying = append(dying, j)
	}
	c.dying = dying
}

// known reports whether any node knows a job.
func (c *clients) known(j *job) bool {
	for _, p := range c.s.procs {
		if p.holds(&j.id) {
			return true
		}
	}
	return false
}
