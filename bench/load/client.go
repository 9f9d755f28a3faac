package load

import (
	"fmt"
	"time"
)

// state is what the replies that a client waits for are about.
type state int

const (
	resting state = iota // it waits for none
	greeting
	adding
	fetching
	acking
)

// client is one connection.
type client struct {
	e        *engine
	proto    protocol
	socket   int
	consumer bool

	state   state
	replies int       // still to come
	sent    time.Time // when what they answer was

	in         []byte
	start, end int    // what of in is not read yet
	out        []byte // what the kernel has not taken yet

	taker func(id, body []byte) error // take, made once
	batch []job                       // added, or fetched and to be acknowledged
	arena []byte                      // where their ids are kept
	ids   [][]byte
}

// job is one of a batch.
type job struct {
	number uint64
	id     int // where its id ends in the arena
}

const readAtLeast = 16 << 10 // bytes of room for a read

// ready reads what has come, if anything has, and answers it.
func (c *client) ready() error {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if len(c.in)-c.end < readAtLeast {
		c.end = copy(c.in, c.in[c.start:c.end])
		c.start = 0
		if len(c.in)-c.end < readAtLeast {
			c.in = append(c.in, make([]byte, len(c.in)+4*readAtLeast)...)
		}
	}
	n, err := c.e.poller.read(c.socket, c.in[c.end:])
	if err != nil {
		return err
	}
	c.end += n
	for c.start < c.end {
		if c.replies == 0 {
			return fmt.Errorf("load: a reply to nothing: %w", unexpected(c.in[c.start:c.end]))
		}
		used, err := c.reply(c.in[c.start:c.end])
		if err != nil {
			return err
		}
		if used == 0 {
			break
		}
		c.start += used
		if c.replies--; c.replies == 0 {
			if err := c.answered(); err != nil {
				return err
			}
		}
	}
	return c.flush()
}

// reply reads one.
func (c *client) reply(b []byte) (int, error) {
	switch c.state {
	case greeting:
		return c.proto.greeted(b)
	case adding:
		return c.proto.added(b)
	case acking:
		return c.proto.acked(b, len(c.batch))
	}
	had, kept := len(c.batch), len(c.arena)
	used, err := c.proto.fetched(b, c.taker)
	if used == 0 { // it will be read again
		c.batch, c.arena = c.batch[:had], c.arena[:kept]
	}
	return used, err
}

// take takes a job of a fetch.
func (c *client) take(id, body []byte) error {
	number, err := c.e.number(body)
	c.arena = append(c.arena, id...)
	c.batch = append(c.batch, job{number, len(c.arena)})
	return err
}

// answered goes on when all replies have come.
func (c *client) answered() error {
	now := time.Now()
	was := c.state
	c.state = resting
	switch was {
	case adding:
		c.e.adds.record(now.Sub(c.sent))
		c.e.added(len(c.batch), now)
		c.e.produce(c)
	case fetching:
		return c.fetched(now)
	case acking:
		c.e.acks.record(now.Sub(c.sent))
		if err := c.e.acked(c.batch, now); err != nil {
			return err
		}
		c.e.consume(c)
	}
	return nil
}

// fetched acknowledges what a fetch brought.
func (c *client) fetched(now time.Time) error {
	if err := c.e.returned(c.e.o.Depth-len(c.batch), now); err != nil {
		return err
	}
	if len(c.batch) == 0 {
		c.e.consume(c)
		return nil
	}
	c.e.fetches.record(now.Sub(c.sent))
	c.e.arrived(c.batch, now)
	c.ids = c.ids[:0]
	from := 0
	for _, j := range c.batch {
		c.ids = append(c.ids, c.arena[from:j.id])
		from = j.id
	}
	c.out, c.replies = c.proto.ack(c.out, c.ids)
	c.begin(acking)
	return nil
}

// begin notes that requests are on their way whose replies are about s.
func (c *client) begin(s state) { c.state, c.sent = s, time.Now() }

// add sends jobs, numbered from first.
func (c *client) add(first, n int) {
	c.batch = c.batch[:0]
	for i := range n {
		c.out = c.proto.add(c.out, uint64(first+i))
		c.batch = append(c.batch, job{number: uint64(first + i)})
	}
	c.replies = n
	c.begin(adding)
}

// fetch asks for jobs.
func (c *client) fetch() {
	c.batch, c.arena = c.batch[:0], c.arena[:0]
	c.out, c.replies = c.proto.fetch(c.out)
	c.begin(fetching)
}

// flush sends what is to be sent, as far as the kernel takes it.
func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	n, err := c.e.poller.write(c.socket, c.out)
	if err != nil {
		return err
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	return nil
}
