package bench

import (
	"maps"
	"slices"
)

// Cut says that a broker died and every client noticed: what was not answered
// never will be.
func (c *Checker) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.open {
		if c.state[n]&acking != 0 {
			c.state[n] = c.state[n]&^acking | unsure
		}
	}
}

// Due returns how many jobs were added and are neither acknowledged nor spent.
func (c *Checker) Due() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// Counts returns how many ADDJOBs and how many ACKJOBs were answered so far.
func (c *Checker) Counts() (adds, acks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.v.Added, c.v.Acked
}

// Missing returns how many jobs must still come.
func (c *Checker) Missing() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost, _ := c.missing()
	return len(lost)
}

// missing returns the jobs that are due without excuse, and how many
// at-most-once jobs have one. An ACKJOB without an answer excuses its job. Each
// GETJOB without an answer excuses so many at-most-once jobs that were sent
// before it: the newest are matched with the latest.
func (c *Checker) missing() (lost []uint64, spent int) {
	due := slices.DeleteFunc(slices.Sorted(maps.Keys(c.open)), func(n uint64) bool { return c.state[n]&(acking|unsure) != 0 })
	excuses, next := 0, len(c.cuts)
	for _, n := range slices.Backward(due) {
		for ; next > 0 && c.cuts[next-1].sent > n; next-- {
			excuses += c.cuts[next-1].most
		}
		if c.state[n]&once != 0 && spent < excuses {
			spent++
		} else {
			lost = append(lost, n)
		}
	}
	return lost, spent
}

// Verdict is what was found; no client may be at work. Only if everything was
// drained is a job lost because it did not come.
func (c *Checker) Verdict(drained bool) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.v.clone()
	v.Sent = len(c.state)
	for _, s := range c.state {
		if s&(added|refused) == 0 {
			v.Unknown++
			if s&delivered != 0 {
				v.Recovered++
			}
		}
	}
	if !drained {
		return v
	}
	lost, spent := c.missing()
	v.Spent = spent
	for _, n := range lost {
		why := ""
		if c.state[n]&once != 0 {
			why = "at most once"
		}
		v.Lost.add(n, c.open[n], why)
	}
	return v
}
