package compose_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/disqo/disqo/bench"
)

const (
	queue     = "compose"
	producers = 12
	consumers = 8
	pace      = 20 * time.Millisecond  // of a producer: 600 adds a second in all, at most
	stay      = 3 * time.Second        // at one node, then the next
	hopPause  = 50 * time.Millisecond  // between two tries to connect
	batch     = 8                      // jobs of a GETJOB
	backlog   = 5000                   // jobs that are due at which producers pause
	addWithin = 500 * time.Millisecond // that an ADDJOB allows for the copies
	getWithin = 100 * time.Millisecond // of a GETJOB: how soon a stop is noticed
)

// load are clients that add, get and acknowledge jobs at all nodes, and a judge
// of what they see.
type load struct {
	check  *bench.Checker
	fleet  *fleet
	noRepl atomic.Int64 // ADDJOBs answered with NOREPL
	last   atomic.Int64 // when a job was last delivered, Unix nanoseconds

	stopProducers, stopConsumers context.CancelFunc
	producing, consuming         sync.WaitGroup
}

func startLoad(ctx context.Context, f *fleet) *load {
	l := &load{check: bench.NewChecker(), fleet: f}
	l.last.Store(time.Now().UnixNano())
	var produce, consume context.Context
	produce, l.stopProducers = context.WithCancel(ctx)
	consume, l.stopConsumers = context.WithCancel(ctx)
	for i := range producers {
		l.producing.Go(func() { (&producer{load: l, at: hopper{fleet: f, node: i}, wide: i%2 == 0}).run(produce) })
	}
	for i := range consumers {
		l.consuming.Go(func() { (&consumer{load: l, at: hopper{fleet: f, node: i}}).run(consume) })
	}
	return l
}

// endProducers and endConsumers return when all of them have stopped. They may
// be called again.
func (l *load) endProducers() {
	l.stopProducers()
	l.producing.Wait()
}

func (l *load) endConsumers() {
	l.stopConsumers()
	l.consuming.Wait()
}

// idle is for how long no job was delivered.
func (l *load) idle() time.Duration { return time.Since(time.Unix(0, l.last.Load())) }

// connect returns a client of one connection that never repeats a command.
func connect(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, PoolSize: 1, MaxRetries: -1,
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: time.Second})
}

// hopper is a client's way through the cluster.
type hopper struct {
	fleet *fleet
	node  int
	c     *redis.Client // nil if it is not connected
	since time.Time
}

// client returns the connection, a new one to the next node if it was there
// long enough; nil if no node is known.
func (h *hopper) client() *redis.Client {
	if h.c != nil && time.Since(h.since) > stay {
		h.leave()
	}
	if addrs := h.fleet.addrs(); h.c == nil && len(addrs) > 0 {
		h.node = (h.node + 1) % len(addrs)
		h.c, h.since = connect(addrs[h.node]), time.Now()
	}
	return h.c
}

// leave ends the connection; the next goes to another node.
func (h *hopper) leave() {
	if h.c != nil {
		_ = h.c.Close()
		h.c = nil
	}
}

// producer adds a job a tick.
type producer struct {
	load *load
	at   hopper
	wide bool // it says REPLICATE 3, and does not leave the copies to the defaults
}

func (p *producer) run(ctx context.Context) {
	defer p.at.leave()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.load.check.Due() >= backlog {
			continue
		}
		if c := p.at.client(); c != nil && p.add(ctx, c) != nil {
			p.at.leave()
		}
	}
}

// add adds a job. Whether one was added that was answered with NOREPL is
// unknown, as if there had been no answer.
func (p *producer) add(ctx context.Context, c *redis.Client) error {
	n := p.load.check.Send(false)
	args := []any{"ADDJOB", queue, strconv.FormatUint(n, 10), addWithin.Milliseconds(), "RETRY", 2}
	if p.wide {
		args = append(args, "REPLICATE", 3)
	}
	// An add that is under way when the load ends is finished.
	id, err := c.Do(context.WithoutCancel(ctx), args...).Text()
	var said redis.Error
	switch {
	case err == nil:
		p.load.check.Added(n, id)
	case !errors.As(err, &said):
	case strings.HasPrefix(said.Error(), "NOREPL"):
		p.load.noRepl.Add(1)
	default:
		p.load.check.Refused(n)
	}
	return err
}

// consumer gets jobs and acknowledges them.
type consumer struct {
	load *load
	at   hopper
	held []heldJob
	from *redis.Client // that delivered what is held
}

type heldJob struct {
	number uint64
	id     string
}

// run gets and acknowledges until ctx ends.
func (k *consumer) run(ctx context.Context) {
	defer k.at.leave()
	for ctx.Err() == nil {
		if c := k.at.client(); c != nil && k.serve(context.WithoutCancel(ctx), c) == nil {
			continue
		}
		k.at.leave()
		select {
		case <-ctx.Done():
		case <-time.After(hopPause):
		}
	}
}

// serve acknowledges what another node delivered, gets jobs and acknowledges
// them.
func (k *consumer) serve(ctx context.Context, c *redis.Client) error {
	if err := k.ack(ctx, c); err != nil {
		return err
	}
	check := k.load.check
	stamp := check.Asked()
	jobs, err := c.Do(ctx, "GETJOB", "TIMEOUT", getWithin.Milliseconds(), "COUNT", batch, "FROM", queue).Slice()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	k.from = c
	k.load.last.Store(time.Now().UnixNano())
	for _, j := range jobs {
		job, _ := j.([]any)
		if len(job) != 3 {
			check.Strange("", "GETJOB's reply has another form")
			continue
		}
		id, _ := job[1].(string)
		body, _ := job[2].(string)
		n, err := strconv.ParseUint(body, 10, 64)
		if err != nil || job[0] != queue {
			check.Strange(id, "has another queue or body")
		} else if check.Delivered(stamp, n, id) {
			k.held = append(k.held, heldJob{n, id})
		}
	}
	return k.ack(ctx, c)
}

// ack acknowledges what is held. If the connection ends, half of those without
// an answer are acknowledged again at the next node; RETRY brings the others. A
// node other than the one that delivered a job need not know it.
func (k *consumer) ack(ctx context.Context, c *redis.Client) error {
	if len(k.held) == 0 {
		return nil
	}
	check := k.load.check
	pipe := c.Pipeline()
	answers := make([]*redis.Cmd, len(k.held))
	for i, j := range k.held {
		check.Acking(j.number)
		answers[i] = pipe.Do(ctx, "ACKJOB", j.id)
	}
	_, err := pipe.Exec(ctx)
	kept := k.held[:0]
	for i, j := range k.held {
		if n, err := answers[i].Int(); err == nil {
			check.Acked(j.number, n == 1 || c != k.from)
		} else if rand.IntN(2) == 0 {
			kept = append(kept, j)
		}
	}
	k.held = kept
	return err
}
