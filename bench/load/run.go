package load

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Run makes the load of one phase: "produce" adds jobs, "consume" gets and
// acknowledges as many, "both" does the two at once, and "deliver" adds them at
// a steady rate to consumers that wait for them. Every job must come out: a
// phase that gets a job twice, or not at all within the timeout, fails.
// What is not a multiple of Depth in Jobs is rounded up.
func Run(ctx context.Context, o Options, phase string) (Result, error) {
	if err := o.fill(phase); err != nil {
		return Result{}, err
	}
	p, err := newPoller(o.Timeout)
	if err != nil {
		return Result{}, err
	}
	defer p.close()
	r, err := measure(ctx, o, phase, p)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", phase, err)
	}
	return r, nil
}

func measure(ctx context.Context, o Options, phase string, p poller) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e := &engine{
		o: o, phase: phase, poller: p, seen: make([]uint64, (o.First+o.Jobs+63)/64),
		adds: newHistogram(), fetches: newHistogram(), acks: newHistogram(), delivered: newHistogram(),
	}
	if e.paced() {
		e.sentAt = make([]int64, o.Jobs)
	}
	if err := e.connect(ctx); err != nil {
		return Result{}, err
	}
	cpu := ownCPU()
	if err := e.run(ctx); err != nil {
		return Result{}, err
	}
	return Result{
		Phase: phase, Jobs: o.Jobs, Took: time.Since(e.began), CPU: ownCPU() - cpu,
		Add: e.adds.latency(), Fetch: e.fetches.latency(), Ack: e.acks.latency(), Deliver: e.delivered.latency(),
	}, nil
}
