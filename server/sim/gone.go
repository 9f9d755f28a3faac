package sim

// A job that was acknowledged and that no node knows any more is gone for good,
// whatever faults follow, as long as no disk forgets that. What was on its way
// meanwhile arrives, or is lost, before it is looked at again.

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
		if c.known(j) {
			j.seen = s.now
		}
		if s.now-j.seen < 2*buryPause {
			dying = append(dying, j)
		} else {
			j.gone = s.now
		}
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
