package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// clusterDrainLook is the time between two looks at the queues.
const clusterDrainLook = 200 * time.Millisecond

// drain gets and acknowledges all there is, and sees whether the nodes let go
// of it.
func (t *clusterTorture) drain(ctx context.Context) error {
	begun := time.Now()
	stop := t.load.run(ctx, false)
	err := t.untilDry(ctx)
	stop()
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	t.run.Drain = time.Since(begun)
	return t.rest(ctx)
}

// untilDry waits until no more jobs come: none is missing, none came for a
// while, and all queues are empty; or none comes at all.
func (t *clusterTorture) untilDry(ctx context.Context) error {
	begun := time.Now()
	for {
		if err := t.wait(ctx, "drain", clusterDrainLook); err != nil {
			return err
		}
		idle := time.Since(t.load.deliver.lastDelivery(begun))
		switch {
		case idle > t.o.Patience:
			return nil
		case idle > quietFor && t.check.Missing() == 0:
			queued, err := t.queued(ctx)
			if err == nil && queued == 0 {
				return nil
			}
		case time.Since(begun) > drainWithin:
			return fmt.Errorf("jobs still come after %s", drainWithin)
		}
	}
}

// queued returns how many jobs all nodes have queued together.
func (t *clusterTorture) queued(ctx context.Context) (sum int, err error) {
	for i := range t.nodes.all {
		text, err := t.nodes.ask(ctx, i, ':', "QLEN", clusterQueue)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// rest waits until no node holds a job, but not for long, and notes what is
// left.
func (t *clusterTorture) rest(ctx context.Context) error {
	begun, c := time.Now(), t.run.Cluster
	for {
		c.Left = c.Left[:0]
		dry, whole := true, true
		for i := range t.nodes.all {
			text, err := t.nodes.ask(ctx, i, '$', "INFO")
			if err != nil {
				return fmt.Errorf("INFO of node %d: %w", i+1, errors.Join(err, t.nodes.ended()))
			}
			left, err := strconv.Atoi(Field(text, "registered_jobs"))
			if err != nil {
				return fmt.Errorf("registered_jobs of node %d: %w", i+1, err)
			}
			c.Left = append(c.Left, left)
			dry = dry && left == 0
			whole = t.nodes.whole(ctx, i) == nil && whole
		}
		c.Rest, c.Whole = time.Since(begun), whole
		if dry && whole || c.Rest > restWithin {
			return nil
		}
		if err := t.wait(ctx, "rest", clusterDrainLook); err != nil {
			return err
		}
	}
}
