package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// engine is one phase.
type engine struct {
	o       Options
	phase   string
	poller  poller
	clients []*client // by socket
	active  []*client // those of them that are not idle
	waiting []*client // producers, until there is room
	sated   []*client // consumers, for whom there is nothing to ask

	taken int // jobs that a producer took to add
	there int // jobs whose add was answered
	asked int // jobs that consumers asked for and were not denied
	done  int // jobs acknowledged
	seen  []uint64

	began, moved        time.Time // when the clock started; when something happened last
	sentAt              []int64   // by job, for "deliver": nanoseconds after began
	adds, fetches, acks histogram
	delivered           histogram
}

const (
	lookEvery = 100 * time.Millisecond // at whether it should end
	paceEvery = time.Millisecond       // in "deliver"
)

func (e *engine) produces() bool { return e.phase != "consume" }
func (e *engine) consumes() bool { return e.phase != "produce" }
func (e *engine) paced() bool    { return e.phase == "deliver" }

// connect makes the connections and says what they have to say first.
func (e *engine) connect(ctx context.Context) error {
	producers, consumers := 0, 0
	if e.produces() {
		producers = e.o.Producers
	}
	if e.consumes() {
		consumers = e.o.Consumers
	}
	for i := range producers + consumers + e.o.Idle {
		socket, err := e.poller.dial(e.o.Addrs[i%len(e.o.Addrs)], e.o.Timeout)
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		c := &client{e: e, socket: socket, consumer: i >= producers}
		c.taker = c.take
		e.clients = append(e.clients, c)
		if i >= producers+consumers {
			continue
		}
		number := i
		if c.consumer {
			number -= producers
		}
		c.proto = protocols[e.o.Protocol](&e.o, number)
		if c.out, c.replies = c.proto.greet(nil, c.consumer); c.replies > 0 {
			c.begin(greeting)
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	e.active = e.clients[:producers+consumers]
	e.moved = time.Now()
	return e.until(ctx, func() bool {
		for _, c := range e.active {
			if c.state != resting {
				return false
			}
		}
		return true
	})
}

// run is the phase itself.
func (e *engine) run(ctx context.Context) error {
	e.began = time.Now()
	e.moved = e.began
	for _, c := range e.active {
		if err := e.next(c); err != nil {
			return err
		}
	}
	return e.until(ctx, func() bool {
		return (!e.produces() || e.there >= e.o.Jobs) && (!e.consumes() || e.done >= e.o.Jobs)
	})
}

// next gives a client that rests something to do.
func (e *engine) next(c *client) error {
	if c.consumer {
		e.consume(c)
	} else {
		e.produce(c)
	}
	return c.flush()
}

// until serves the sockets until something is so.
func (e *engine) until(ctx context.Context, so func() bool) error {
	ready := func(socket int) error { return e.clients[socket].ready() }
	var looked time.Time
	told := time.Now()
	for !so() {
		wait := lookEvery
		if e.paced() {
			wait = paceEvery
		}
		if err := e.poller.wait(wait, ready); err != nil {
			return err
		}
		now := time.Now()
		if e.paced() {
			if err := e.pace(now); err != nil {
				return err
			}
		}
		if now.Sub(looked) < lookEvery {
			continue
		}
		looked = now
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if now.Sub(e.moved) > e.o.Timeout {
			return fmt.Errorf("load: nothing happened for %s; of %d jobs %d were added and %d came out", e.o.Timeout, e.o.Jobs, e.there, e.done)
		}
		if e.o.Progress != nil && now.Sub(told) >= time.Second && !e.began.IsZero() {
			told = now
			fmt.Fprintf(e.o.Progress, "%6.0f s  %d added  %d acknowledged\n", now.Sub(e.began).Seconds(), e.there, e.done)
		}
	}
	return nil
}

// produce lets a producer add what is next, if there is room for it.
func (e *engine) produce(c *client) {
	left := e.o.Jobs - e.taken
	switch {
	case left <= 0 || e.paced():
	case !e.room():
		e.waiting = append(e.waiting, c)
	default:
		n := min(e.o.Depth, left)
		c.add(e.o.First+e.taken, n)
		e.taken += n
	}
}

// room reports whether producers may add more.
func (e *engine) room() bool { return e.phase != "both" || e.taken-e.done < e.o.Backlog }

// pace adds the jobs that are due.
func (e *engine) pace(now time.Time) error {
	due := min(int(now.Sub(e.began).Seconds()*float64(e.o.Rate)), e.o.Jobs)
	for _, c := range e.active {
		if e.taken >= due {
			break
		}
		if c.consumer || c.state != resting {
			continue
		}
		e.sentAt[e.taken] = int64(time.Since(e.began))
		c.add(e.o.First+e.taken, 1)
		e.taken++
		if err := c.flush(); err != nil {
			return err
		}
	}
	return nil
}

// consume lets a consumer ask for jobs, if not enough are asked for.
func (e *engine) consume(c *client) {
	if !e.wanted() {
		e.sated = append(e.sated, c)
		return
	}
	e.asked += e.o.Depth
	c.fetch()
}

// wanted reports whether consumers should ask for more. In "deliver" all wait.
func (e *engine) wanted() bool { return e.paced() || e.asked < e.o.Jobs }

// added notes that adds were answered.
func (e *engine) added(n int, now time.Time) {
	e.there += n
	e.moved = now
}

// returned notes that a fetch brought so many jobs fewer than were asked for.
func (e *engine) returned(n int, now time.Time) error {
	if n < e.o.Depth {
		e.moved = now
	}
	e.asked -= n
	return e.wake(&e.sated, e.wanted)
}

// acked notes that jobs are done.
func (e *engine) acked(batch []job, now time.Time) error {
	for _, j := range batch {
		word, bit := &e.seen[j.number/64], uint64(1)<<(j.number%64)
		if *word&bit != 0 {
			return fmt.Errorf("load: job %d was delivered twice", j.number)
		}
		*word |= bit
	}
	e.done += len(batch)
	e.moved = now
	return e.wake(&e.waiting, e.room)
}

// arrived notes how long jobs took to their consumer.
func (e *engine) arrived(batch []job, now time.Time) {
	if !e.paced() {
		return
	}
	for _, j := range batch {
		if i := int(j.number) - e.o.First; i >= 0 {
			e.delivered.record(now.Sub(e.began) - time.Duration(e.sentAt[i]))
		}
	}
}

// wake gives those that wait something to do as long as there is.
func (e *engine) wake(list *[]*client, is func() bool) error {
	for len(*list) > 0 && is() {
		c := (*list)[0]
		*list = (*list)[:copy(*list, (*list)[1:])]
		if err := e.next(c); err != nil {
			return err
		}
	}
	return nil
}

// number returns the number in a body.
func (e *engine) number(body []byte) (uint64, error) {
	if len(body) != e.o.Size {
		return 0, fmt.Errorf("load: a body has %d bytes, not %d: is the queue in use by others?", len(body), e.o.Size)
	}
	n := binary.BigEndian.Uint64(body)
	if n >= uint64(e.o.First+e.o.Jobs) {
		return 0, fmt.Errorf("load: job %d is not of this run: is the queue in use by others?", n)
	}
	return n, nil
}
