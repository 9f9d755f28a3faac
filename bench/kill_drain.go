package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Waits of a drain. Jobs are queued again a second after their delivery, and
// delayed ones two seconds after their ADDJOB.
const (
	quietFor    = 3 * time.Second // without a delivery, when nothing is missing
	drainLook   = 20 * time.Millisecond
	drainWithin = 10 * time.Minute
)

// drain starts the broker, gets and acknowledges all there is, kills it, and
// starts it once more to see that nothing comes back.
func (k *killer) drain(ctx context.Context) error {
	for _, name := range []string{"drain", "look again"} {
		begun := time.Now()
		p, err := StartProcess(ctx, k.prog)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		run := k.load.start(ctx, p.Addr, killWork{shelf: true})
		err = k.untilQuiet(ctx, p, run)
		run.stop()
		err = errors.Join(err, run.wait())
		p.Kill()
		k.check.Cut()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took := time.Since(begun)
		k.run.Drain += took
		fmt.Fprintf(k.o.Progress, "%s  %d ms  missing %d\n", name, took.Milliseconds(), k.check.Missing())
	}
	return nil
}

// untilQuiet waits until no more jobs come.
func (k *killer) untilQuiet(ctx context.Context, p *Process, run *killRun) error {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	begun := time.Now()
	for {
		idle := time.Since(k.load.lastDelivery(begun))
		switch {
		case idle > k.o.Patience, idle > quietFor && k.check.Missing() == 0:
			return nil
		case time.Since(begun) > drainWithin:
			return fmt.Errorf("jobs still come after %s", drainWithin)
		}
		select {
		case <-p.Exited():
			return p.broke()
		case <-run.failed:
			return p.broke()
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
