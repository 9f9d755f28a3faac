package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stay     = 2 * time.Second        // at one node, then the next; so those that were away are used again
	hopPause = 10 * time.Millisecond  // between two tries of a consumer to connect
	lateAck  = 100 * time.Millisecond // before RETRY is over, and jobs come twice by right
)

// manners are how clients behave.
type manners struct {
	retry   time.Duration // of jobs, whole seconds
	add     time.Duration // that an ADDJOB allows its node for the copies
	timeout time.Duration // to connect, and for a reply
	careful bool          // what was not acknowledged as a node ended is acknowledged at the next, always
	work    time.Duration // most that some of the jobs take
	mixed   bool          // jobs have one to three copies, not three
}

// workShare is one in how many GETJOBs brings jobs that take a while.
const workShare = 10

// Where there are faults a client gives a node up soon. Where none is to be noticed it is
// seen how long things take.
var (
	hasty   = manners{retry: time.Second, add: 400 * time.Millisecond, timeout: 500 * time.Millisecond}
	patient = manners{retry: 5 * time.Second, add: 4 * time.Second, timeout: 5 * time.Second, careful: true, work: 2 * time.Second, mixed: true}
)

// clusterLoad are the clients of a cluster. Each talks to one node at a time,
// and goes to the next if that does not answer, and every now and then anyway.
type clusterLoad struct {
	check     *Checker
	deliver   *killLoad    // what the consumers share with those of Kill
	noRepl    atomic.Int64 // ADDJOBs answered with NOREPL
	late      atomic.Int64 // GETJOBs whose jobs were not all acknowledged lateAck before their RETRY was over
	slowest   atomic.Int64 // ADDJOB, nanoseconds
	manners   manners
	producers []*clusterProducer
	consumers []*clusterConsumer
}

func newClusterLoad(check *Checker, ns *nodes, o *ClusterOptions, gentle bool) *clusterLoad {
	l := &clusterLoad{check: check, deliver: &killLoad{check: check}, manners: hasty}
	if gentle {
		l.manners = patient
	}
	for i := range o.Producers {
		pace := time.Duration(o.Producers) * time.Second / time.Duration(o.Rate)
		l.producers = append(l.producers, &clusterProducer{load: l, at: hopper{ns: ns, node: i % len(ns.all), timeout: l.manners.timeout}, pace: max(pace, time.Microsecond)})
	}
	for i := range o.Consumers {
		rng := rand.New(rand.NewPCG(o.Seed, 2<<32|uint64(i)))
		take := killConsumer{load: l.deliver, count: 8, rng: rng}
		l.consumers = append(l.consumers, &clusterConsumer{killConsumer: take, of: l, at: hopper{ns: ns, node: i % len(ns.all), timeout: l.manners.timeout}})
	}
	return l
}

// run lets consumers work, and producers if asked to, until the returned
// function is called, which returns when all have stopped.
func (l *clusterLoad) run(ctx context.Context, produce bool) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if produce {
		for _, p := range l.producers {
			wg.Go(func() { p.run(ctx) })
		}
	}
	for _, c := range l.consumers {
		wg.Go(func() { c.run(ctx) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// hopper is a client's way through the cluster.
type hopper struct {
	ns      *nodes
	node    int           // where it is
	timeout time.Duration // to connect, and for a reply
	c       *conn         // nil if it is not connected
	since   time.Time
}

// conn returns the connection, a new one if need be.
func (h *hopper) conn(ctx context.Context) (*conn, error) {
	if h.c != nil && time.Since(h.since) > stay {
		h.leave()
	}
	if h.c == nil {
		c, err := h.ns.net.dial(ctx, h.ns.all[h.node].addr, h.timeout)
		if err != nil {
			return nil, err
		}
		h.c, h.since = c, time.Now()
	}
	return h.c, nil
}

// leave goes to the next node.
func (h *hopper) leave() {
	h.hangUp()
	h.node = (h.node + 1) % len(h.ns.all)
}

func (h *hopper) hangUp() {
	if h.c != nil {
		h.c.close()
		h.c = nil
	}
}

// clusterProducer adds a job a tick.
type clusterProducer struct {
	load *clusterLoad
	at   hopper
	pace time.Duration
	body []byte
}

func (p *clusterProducer) run(ctx context.Context) {
	defer p.at.hangUp()
	tick := time.NewTicker(p.pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p.load.check.Due() >= clusterBacklog {
			continue
		}
		if c, err := p.at.conn(ctx); err != nil || p.add(c) != nil {
			p.at.leave()
		}
	}
}

// add adds a job and returns an error if the node is of no use. Whether a job
// was added that was answered with NOREPL is unknown, as if there had been no
// answer.
func (p *clusterProducer) add(c *conn) error {
	m := &p.load.manners
	n, begun := p.load.check.Send(false), time.Now()
	p.body = appendBody(p.body[:0], n)
	copies := 3
	if m.mixed {
		copies = 1 + int(n%3)
	}
	c.command("ADDJOB", clusterQueue, string(p.body), strconv.FormatInt(m.add.Milliseconds(), 10),
		"REPLICATE", strconv.Itoa(copies), "RETRY", strconv.FormatInt(int64(m.retry/time.Second), 10))
	if err := c.flush(); err != nil {
		return err
	}
	id, err := c.expect('+')
	p.load.took(time.Since(begun))
	var no refusal
	switch {
	case err == nil:
		p.load.check.Added(n, string(id))
	case errors.As(err, &no) && strings.HasPrefix(string(no), "NOREPL"):
		p.load.noRepl.Add(1)
		return nil
	case isRefusal(err):
		p.load.check.Refused(n)
	}
	return err
}

// took notes how long an ADDJOB took.
func (l *clusterLoad) took(d time.Duration) {
	for {
		most := l.slowest.Load()
		if int64(d) <= most || l.slowest.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// clusterConsumer gets jobs and acknowledges them.
type clusterConsumer struct {
	killConsumer
	of    *clusterLoad
	at    hopper
	from  *conn     // that delivered what is held
	since time.Time // when the GETJOB was sent that brought it
}

// run gets and acknowledges until ctx ends. What is held then, as no node
// answered its ACKJOB, is acknowledged when it runs the next time.
func (k *clusterConsumer) run(ctx context.Context) {
	defer k.at.hangUp()
	get := []string{"GETJOB", "TIMEOUT", strconv.FormatInt(getTimeout.Milliseconds(), 10), "COUNT", strconv.Itoa(k.count), "FROM", clusterQueue}
	for ctx.Err() == nil {
		c, err := k.at.conn(ctx)
		if err == nil {
			err = k.serve(ctx, c, get)
		}
		if err == nil {
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
func (k *clusterConsumer) serve(ctx context.Context, c *conn, get []string) error {
	if err := k.settle(c); err != nil {
		return err
	}
	k.from, k.since = c, time.Now()
	if err := k.get(c, get, false); err != nil {
		return err
	}
	if work := k.of.manners.work; work > 0 && len(k.held) > 0 && k.rng.IntN(workShare) == 0 {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(k.rng.Int64N(int64(work)))):
		}
	}
	return k.settle(c)
}

// settle acknowledges what is held, and notes whether that came late.
func (k *clusterConsumer) settle(c *conn) error {
	held := len(k.held) > 0
	err := k.ack(c)
	if held && time.Since(k.since) > k.of.manners.retry-lateAck {
		k.of.late.Add(1)
	}
	return err
}

// ack acknowledges what is held. If the connection ends, half of those without
// an answer are acknowledged again at the next node, or all by careful clients. A node
// other than the one that delivered a job need not know it.
func (k *clusterConsumer) ack(c *conn) error {
	check := k.load.check
	for _, j := range k.held {
		check.Acking(j.number)
		c.command("ACKJOB", j.id)
	}
	if len(k.held) == 0 {
		return nil
	}
	err := c.flush()
	kept := k.held[:0]
	for _, j := range k.held {
		n := 0
		if err == nil {
			n, err = c.length(':')
		}
		if err == nil {
			check.Acked(j.number, n == 1 || c != k.from)
		} else if k.of.manners.careful || k.rng.IntN(2) == 0 {
			kept = append(kept, j)
		}
	}
	k.held = kept
	return err
}
