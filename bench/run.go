package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"
)

// Result is what a phase came to.
type Result struct {
	Phase string
	Jobs  int
	Took  time.Duration
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
	l := &load{o: o, fail: cancel, seen: make([]atomic.Bool, o.Jobs)}
	start := time.Now()
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
	return Result{Phase: phase, Jobs: o.Jobs, Took: time.Since(start)}, nil
}

// load is one run.
type load struct {
	o     Options
	fail  context.CancelCauseFunc
	wg    sync.WaitGroup
	added atomic.Int64 // jobs that a producer took to add
	done  atomic.Int64 // jobs acknowledged
	seen  []atomic.Bool
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

// take takes up to Depth of the jobs that are left to add.
func (l *load) take() (first, n int) {
	end := l.added.Add(int64(l.o.Depth))
	first = int(end) - l.o.Depth
	return first, min(l.o.Depth, l.o.Jobs-first)
}

func (l *load) produce(_ context.Context, c *conn) error {
	body := make([]byte, l.o.Size)
	for first, n := l.take(); n > 0; first, n = l.take() {
		for i := range n {
			binary.BigEndian.PutUint64(body, uint64(first+i))
			c.out = redcon.AppendArray(c.out, 4)
			c.out = redcon.AppendBulkString(c.out, "ADDJOB")
			c.out = redcon.AppendBulkString(c.out, l.o.Queue)
			c.out = redcon.AppendBulk(c.out, body)
			c.out = redcon.AppendBulkString(c.out, "0")
		}
		if err := c.flush(); err != nil {
			return err
		}
		for range n {
			if _, err := c.expect('+'); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *load) consume(ctx context.Context, c *conn) error {
	var get []byte
	get = redcon.AppendArray(get, 7)
	for _, w := range []string{"GETJOB", "TIMEOUT", "200", "COUNT", fmt.Sprint(l.o.Depth), "FROM", l.o.Queue} {
		get = redcon.AppendBulkString(get, w)
	}
	for quiet := time.Now(); l.done.Load() < int64(l.o.Jobs); {
		c.out = append(c.out, get...)
		n, err := l.round(c)
		switch {
		case err != nil:
			return err
		case n > 0:
			quiet = time.Now()
		case time.Since(quiet) > l.o.Timeout:
			return fmt.Errorf("no job for %s, %d of %d came out", l.o.Timeout, l.done.Load(), l.o.Jobs)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// round gets jobs and acknowledges them.
func (l *load) round(c *conn) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	n, err := c.length('*')
	if err != nil || n <= 0 {
		return 0, err
	}
	c.out = redcon.AppendArray(c.out, n+1)
	c.out = redcon.AppendBulkString(c.out, "ACKJOB")
	var buf []byte
	for range n {
		if _, err := c.length('*'); err != nil {
			return 0, err
		}
		if buf, err = c.bulk(buf); err != nil { // the queue
			return 0, err
		}
		if buf, err = c.bulk(buf); err != nil {
			return 0, err
		}
		c.out = redcon.AppendBulk(c.out, buf)
		if buf, err = c.bulk(buf); err != nil {
			return 0, err
		}
		if err := l.check(buf); err != nil {
			return 0, err
		}
	}
	if err := c.flush(); err != nil {
		return 0, err
	}
	if acked, err := c.length(':'); err != nil || acked != n {
		return 0, errors.Join(err, fmt.Errorf("%d of %d jobs could be acknowledged", acked, n))
	}
	l.done.Add(int64(n))
	return n, nil
}

// check sees that a body is one of ours and came once.
func (l *load) check(body []byte) error {
	if len(body) != l.o.Size {
		return fmt.Errorf("a body has %d bytes, not %d: is the queue in use by others?", len(body), l.o.Size)
	}
	i := binary.BigEndian.Uint64(body)
	if i >= uint64(len(l.seen)) || l.seen[i].Swap(true) {
		return fmt.Errorf("job %d was delivered twice, or is not of this run", i)
	}
	return nil
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
