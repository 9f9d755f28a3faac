package bench

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Result is what a phase came to.
type Result struct {
	Phase string
	Jobs  int
	Took  time.Duration
	CPU   time.Duration // processor time of the generator; 0 if the system does not say
}

// Rate is jobs a second.
func (r Result) Rate() float64 { return float64(r.Jobs) / r.Took.Seconds() }

// Phases are what Run can do, in the order in which they make sense.
var Phases = []string{"produce", "consume", "both"}

// Run makes the load of one phase: "produce" adds jobs, "consume" gets and
// acknowledges as many, "both" does the two at once. Every job that was added
// must come out: a phase that gets a job twice, or not at all within the
// timeout, fails.
func Run(ctx context.Context, o Options, phase string) (Result, error) {
	if err := o.fill(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := &load{o: o, fail: cancel, seen: make([]atomic.Bool, o.Jobs), backlog: math.MaxInt64, room: make(chan struct{}, 1)}
	if phase == "both" {
		l.backlog = int64(o.Backlog)
	}
	start, cpu := time.Now(), ownCPU()
	if phase == "produce" || phase == "both" {
		l.launch(ctx, o.Producers, l.produce)
	}
	if phase == "consume" || phase == "both" {
		l.launch(ctx, o.Consumers, l.consume)
	}
	stop := l.report(start)
	l.wg.Wait()
	stop()
	if err := context.Cause(ctx); err != nil {
		return Result{}, fmt.Errorf("%s: %w", phase, err)
	}
	return Result{Phase: phase, Jobs: o.Jobs, Took: time.Since(start), CPU: ownCPU() - cpu}, nil
}

// load is one run.
type load struct {
	o     Options
	fail  context.CancelCauseFunc
	wg    sync.WaitGroup
	added atomic.Int64 // jobs that a producer took to add
	done  atomic.Int64 // jobs acknowledged
	seen  []atomic.Bool

	backlog int64         // jobs added and not acknowledged at which producers pause
	room    chan struct{} // a token for one paused producer when there may be fewer
}

// launch runs do on n connections.
func (l *load) launch(ctx context.Context, n int, do func(context.Context, *conn) error) {
	for range n {
		l.wg.Go(func() {
			c, err := dial(ctx, l.o.Addr, l.o.Timeout)
			if err == nil {
				stop := context.AfterFunc(ctx, c.close)
				err = do(ctx, c)
				stop()
				c.close()
			}
			if err != nil {
				l.fail(err)
			}
		})
	}
}

// report writes a line a second until the returned function is called.
func (l *load) report(start time.Time) (stop func()) {
	if l.o.Progress == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				fmt.Fprintf(l.o.Progress, "%6.0f s  %d added  %d acknowledged\n", time.Since(start).Seconds(),
					min(l.added.Load(), int64(l.o.Jobs)), l.done.Load())
			}
		}
	}()
	return func() { close(quit); <-done }
}
