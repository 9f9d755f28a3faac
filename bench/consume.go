package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/redcon"
)

// consume is a connection that gets jobs and acknowledges them.
func (l *load) consume(ctx context.Context, c *conn) error {
	g := &getter{conn: c}
	g.command("GETJOB", "TIMEOUT", "200", "COUNT", strconv.Itoa(l.o.Depth), "FROM", l.o.Queue)
	get := slices.Clone(c.out)
	c.out = c.out[:0]
	for quiet := time.Now(); l.done.Load() < int64(l.o.Jobs); {
		c.out = append(c.out, get...)
		n, err := l.round(g)
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

// getter is a connection that consumes.
type getter struct {
	*conn
	buf []byte // a queue's name or a body
}

// round gets jobs and acknowledges them.
func (l *load) round(g *getter) (int, error) {
	if err := g.flush(); err != nil {
		return 0, err
	}
	n, err := g.length('*')
	if err != nil || n <= 0 {
		return 0, err
	}
	g.out = redcon.AppendArray(g.out, n+1)
	g.out = redcon.AppendBulkString(g.out, "ACKJOB")
	for range n {
		if err := l.job(g); err != nil {
			return 0, err
		}
	}
	if err := g.flush(); err != nil {
		return 0, err
	}
	if acked, err := g.length(':'); err != nil || acked != n {
		return 0, errors.Join(err, fmt.Errorf("%d of %d jobs could be acknowledged", acked, n))
	}
	l.done.Add(int64(n))
	l.wake()
	return n, nil
}

// job reads a job and adds its id to what is sent next.
func (l *load) job(g *getter) (err error) {
	if _, err = g.length('*'); err != nil {
		return err
	}
	if g.buf, err = g.bulk(g.buf); err != nil { // the queue
		return err
	}
	if g.buf, err = g.bulk(g.buf); err != nil {
		return err
	}
	g.out = redcon.AppendBulk(g.out, g.buf)
	if g.buf, err = g.bulk(g.buf); err != nil {
		return err
	}
	return l.check(g.buf)
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
