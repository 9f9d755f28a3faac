package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// killProducer adds jobs in pipelines of random length.
type killProducer struct {
	check   *Checker
	backlog int
	rng     *rand.Rand
	body    []byte
	batch   []uint64
}

const (
	pipelineMax  = 32
	backlogLook  = time.Millisecond
	onceShare    = 16  // one of so many jobs is at most once
	shelfShare   = 128 // one of so many goes to the shelf
	delayedShare = 32  // one of so many is delayed
)

func (p *killProducer) run(ctx context.Context, c *conn, r *killRun) error {
	wait := time.NewTicker(backlogLook)
	defer wait.Stop()
	for {
		for p.check.Due() >= p.backlog {
			select {
			case <-ctx.Done():
				return nil
			case <-r.ending:
				return nil
			case <-wait.C:
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := p.add(c); err != nil {
			return err
		}
	}
}

// add sends a pipeline and reads its answers; those that do not come stay
// unknown.
func (p *killProducer) add(c *conn) error {
	p.batch = p.batch[:0]
	for range 1 + p.rng.IntN(pipelineMax) {
		once := p.rng.IntN(onceShare) == 0
		n := p.check.Send(once)
		p.batch = append(p.batch, n)
		p.body = appendBody(p.body[:0], n)
		switch body := string(p.body); {
		case once:
			c.command("ADDJOB", onceQueue, body, "0", "RETRY", "0")
		case p.rng.IntN(shelfShare) == 0:
			c.command("ADDJOB", shelfQueue, body, "0", "RETRY", "1")
		case p.rng.IntN(delayedShare) == 0:
			c.command("ADDJOB", plainQueue, body, "0", "RETRY", "1", "DELAY", fmt.Sprint(1+p.rng.IntN(2)))
		default:
			c.command("ADDJOB", plainQueue, body, "0", "RETRY", "1")
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	var answer error
	for _, n := range p.batch {
		id, err := c.expect('+')
		switch {
		case err == nil:
			p.check.Added(n, string(id))
		case isRefusal(err):
			p.check.Refused(n)
			answer = err
		default:
			return err
		}
	}
	return answer
}
