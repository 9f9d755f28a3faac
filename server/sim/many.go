package sim

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Total is what many simulations came to.
type Total struct {
	Seeds      int
	Simulated  time.Duration // of clusters, summed up
	Took       time.Duration
	Events     int
	Added      int
	Refused    int
	Unknown    int
	Delivered  int
	Duplicates int
	Acked      int
	Failed     *Result // the failure with the lowest seed, nil if there was none
}

// String returns the figures in a line.
func (t *Total) String() string {
	failed := "0 failures"
	if t.Failed != nil {
		failed = fmt.Sprintf("FAILED: seed %d: %v", t.Failed.Seed, t.Failed.Failure)
	}
	return fmt.Sprintf("%d seeds, %.1f cluster-hours in %v (%.0f : 1), %d added, %d refused, %d unknown, %d delivered, %d duplicates, %d acked: %s",
		t.Seeds, t.Simulated.Hours(), t.Took.Round(time.Second), t.Rate(), t.Added, t.Refused, t.Unknown, t.Delivered, t.Duplicates, t.Acked, failed)
}

// Rate is how many times faster than life it went.
func (t *Total) Rate() float64 { return t.Simulated.Seconds() / max(t.Took.Seconds(), 1e-3) }

// Many simulates seed after seed from o.Seed on, workers at a time: so many, or
// as many as there is time for, or until one fails. After each it calls tell, one
// call at a time, with what it came to by then. A seeds of 0 is no bound.
func Many(ctx context.Context, o Options, seeds, workers int, tell func(*Total)) *Total {
	var (
		mu    sync.Mutex
		total Total
		next  atomic.Int64
		wg    sync.WaitGroup
		began = time.Now()
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				k := next.Add(1) - 1
				if seeds > 0 && k >= int64(seeds) {
					return
				}
				one := o
				one.Seed += uint64(k)
				r := Run(one)
				mu.Lock()
				total.add(r)
				total.Took = time.Since(began)
				if r.Failure != nil {
					cancel()
				}
				tell(&total)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return &total
}

func (t *Total) add(r *Result) {
	t.Seeds++
	t.Simulated += r.Simulated
	t.Events += r.Events
	t.Added += r.Added
	t.Refused += r.Refused
	t.Unknown += r.Unknown
	t.Delivered += r.Delivered
	t.Duplicates += r.Duplicates
	t.Acked += r.Acked
	if r.Failure != nil && (t.Failed == nil || r.Seed < t.Failed.Seed) {
		t.Failed = r
	}
}
