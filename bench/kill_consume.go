package bench

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"
)

// killConsumer gets jobs and acknowledges most of them.
type killConsumer struct {
	load  *killLoad
	once  bool // it gets the at-most-once jobs
	count int  // at most so many in a GETJOB
	rng   *rand.Rand
	held  []heldJob // delivered, to be acknowledged
	buf   []byte
}

// heldJob is a job that was delivered.
type heldJob struct {
	number uint64
	id     string
}

const (
	getTimeout = 50 * time.Millisecond // of a GETJOB: how soon a stop is noticed
	keepShare  = 16                    // one of so many deliveries is not acknowledged
)

func (k *killConsumer) run(ctx context.Context, c *conn, r *killRun) error {
	get := []string{"GETJOB", "TIMEOUT", strconv.FormatInt(getTimeout.Milliseconds(), 10), "COUNT", strconv.Itoa(k.count), "FROM"}
	switch {
	case k.once:
		get = append(get, onceQueue)
	case r.shelf:
		get = append(get, plainQueue, shelfQueue)
	default:
		get = append(get, plainQueue)
	}
	for {
		// What the last life of the broker delivered comes first.
		if err := k.ack(c); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := k.get(c, get, r.keep); err != nil {
			return err
		}
	}
}

// get asks for jobs and holds those that are to be acknowledged.
func (k *killConsumer) get(c *conn, get []string, keep bool) error {
	check := k.load.check
	stamp := check.Asked()
	c.command(get...)
	err := c.flush()
	if err == nil {
		err = k.take(c, stamp, keep)
	}
	if err != nil && k.once && !isRefusal(err) {
		check.Abandoned(k.count)
	}
	return err
}

// take reads the answer to a GETJOB.
func (k *killConsumer) take(c *conn, stamp uint32, keep bool) error {
	n, err := c.length('*')
	if err != nil || n <= 0 {
		return err
	}
	check := k.load.check
	for range n {
		if _, err = c.length('*'); err != nil {
			return err
		}
		if k.buf, err = c.bulk(k.buf); err != nil { // the queue
			return err
		}
		if k.buf, err = c.bulk(k.buf); err != nil {
			return err
		}
		id := string(k.buf)
		if k.buf, err = c.bulk(k.buf); err != nil {
			return err
		}
		number, ok := bodyNumber(k.buf)
		if !ok {
			check.Strange(id, "has a body that was never sent")
			continue
		}
		if check.Delivered(stamp, number, id) && !(keep && k.rng.IntN(keepShare) == 0) {
			k.held = append(k.held, heldJob{number, id})
		}
	}
	k.load.last.Store(time.Now().UnixNano())
	return nil
}

// ack acknowledges what is held, each job by a command of its own, so that
// each answer says which job it is about. If the connection ends, half of
// those without an answer are held for the next.
func (k *killConsumer) ack(c *conn) error {
	if len(k.held) == 0 {
		return nil
	}
	check := k.load.check
	for _, j := range k.held {
		check.Acking(j.number)
		c.command("ACKJOB", j.id)
	}
	err := c.flush()
	for i := 0; err == nil && i < len(k.held); i++ {
		var n int
		if n, err = c.length(':'); err == nil {
			check.Acked(k.held[i].number, n == 1)
			k.held[i].id = ""
		}
	}
	kept := k.held[:0]
	for _, j := range k.held {
		if err != nil && j.id != "" && k.rng.IntN(2) == 0 {
			kept = append(kept, j)
		}
	}
	k.held = kept
	return err
}
