package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Queues of a torture.
const (
	plainQueue = "kill"  // at least once
	onceQueue  = "once"  // at most once; a queue of its own, so that few GETJOBs can carry such jobs away
	shelfQueue = "shelf" // at least once, consumed in some cycles only: jobs that live long
)

// killLoad are the clients of a torture. They outlive the broker's lives:
// consumers hold jobs over a kill and acknowledge them afterwards.
type killLoad struct {
	check     *Checker
	producers []*killProducer
	consumers []*killConsumer
	last      atomic.Int64 // Unix nanoseconds of the latest delivery
}

func newKillLoad(check *Checker, o KillOptions) *killLoad {
	l := &killLoad{check: check}
	rng := func(kind, i int) *rand.Rand { return rand.New(rand.NewPCG(o.Seed, uint64(kind)<<32|uint64(i)+1)) }
	for i := range o.Producers {
		l.producers = append(l.producers, &killProducer{check: check, backlog: o.Backlog, rng: rng(1, i)})
	}
	for i := range o.Consumers {
		l.consumers = append(l.consumers, &killConsumer{load: l, count: 16, rng: rng(2, i)})
	}
	l.consumers = append(l.consumers, &killConsumer{load: l, once: true, count: 8, rng: rng(3, 0)})
	return l
}

// lastDelivery is the time of the latest delivery, or since if that is later.
func (l *killLoad) lastDelivery(since time.Time) time.Time {
	if t := time.Unix(0, l.last.Load()); t.After(since) {
		return t
	}
	return since
}

// killWork says what clients do in one life of the broker.
type killWork struct {
	add   bool // producers run
	shelf bool // consumers take from the shelf as well
	keep  bool // a share of jobs is not acknowledged, and comes again
}

// killRun are the clients in one life of the broker.
type killRun struct {
	killWork
	ending chan struct{} // closed when connections are about to break, which is no error then
	failed chan struct{} // closed at the first unexpected error
	once   sync.Once
	err    error // the first unexpected error, to be read after wait
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// start connects all clients and lets them work.
func (l *killLoad) start(ctx context.Context, addr string, work killWork) *killRun {
	ctx, cancel := context.WithCancel(ctx)
	r := &killRun{killWork: work, ending: make(chan struct{}), failed: make(chan struct{}), stop: cancel}
	client := func(work func(context.Context, *conn, *killRun) error) {
		r.wg.Go(func() {
			c, err := dial(ctx, addr, replyPatience)
			if err == nil {
				err = work(ctx, c, r)
				c.close()
			}
			if err != nil && !r.over() {
				r.once.Do(func() { r.err = err; close(r.failed) })
			}
		})
	}
	if work.add {
		for _, p := range l.producers {
			client(p.run)
		}
	}
	for _, c := range l.consumers {
		client(c.run)
	}
	return r
}

// over reports whether connections may break.
func (r *killRun) over() bool {
	select {
	case <-r.ending:
		return true
	default:
		return false
	}
}

// wait returns when all clients are gone; the connections are closed, or stop
// was called.
func (r *killRun) wait() error {
	r.wg.Wait()
	r.stop()
	return r.err
}

// isRefusal reports whether err is an answer, not the end of a connection.
func isRefusal(err error) bool {
	var no refusal
	return errors.As(err, &no)
}
