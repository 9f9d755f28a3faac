package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// prober adds a job after the other at one node and measures the longest time
// between two answers.
type prober struct {
	mu    sync.Mutex
	last  time.Time     // of the latest answer
	worst time.Duration // since the latest restart
	added []string      // ids since then
}

const (
	probeTimeout = 5 * time.Second // of an ADDJOB: much longer than the bound, so that what is late is measured
	probeJob     = "5000"          // ms that an ADDJOB allows its node for the copies
)

// run probes node i until ctx ends.
func (b *prober) run(ctx context.Context, ns *nodes, i int) {
	var c *conn
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for {
		if c == nil {
			c, _ = ns.net.dial(ctx, ns.all[i].addr, hasty.timeout)
		}
		if c != nil {
			c.timeout = probeTimeout
			id, err := c.do('+', "ADDJOB", clusterQueue, "probe", probeJob)
			switch {
			case err == nil:
				b.note(id)
			case !isRefusal(err):
				c.close()
				c = nil
			}
		}
		select {
		case <-ctx.Done():
			if c != nil {
				c.close()
			}
			return
		case <-tick.C:
		}
	}
}

// note says that an ADDJOB was answered with an id.
func (b *prober) note(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.worst, b.last = max(b.worst, now.Sub(b.last)), now
	b.added = append(b.added, id)
}

// restart returns the longest time without an answer since the latest restart,
// the time since the last answer included, and the ids that were answered.
func (b *prober) restart() (worst time.Duration, added []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	worst, added = max(b.worst, time.Since(b.last)), b.added
	b.worst, b.added = 0, nil
	return worst, added
}

// skip reads a reply of any kind and reports whether it is null.
func (c *conn) skip() (null bool, err error) {
	b, err := c.line()
	if err != nil {
		return false, err
	}
	switch b[0] {
	case '+', ':':
		return false, nil
	case '-':
		return false, refusal(b[1:])
	case '$', '*':
	default:
		return false, fmt.Errorf("bench: not a reply: %q", b)
	}
	kind, n := b[0], 0
	if _, err = fmt.Sscan(string(b[1:]), &n); err != nil || n < 0 {
		return n < 0, err
	}
	if kind == '$' {
		_, err = c.r.Discard(n + 2)
		return false, err
	}
	for range n {
		if _, err = c.skip(); err != nil {
			return false, err
		}
	}
	return false, nil
}
