package bench

import (
	"context"
	"encoding/binary"

	"github.com/tidwall/redcon"
)

// take takes up to Depth of the jobs that are left to add.
func (l *load) take() (first, n int) {
	end := l.added.Add(int64(l.o.Depth))
	first = int(end) - l.o.Depth
	return first, min(l.o.Depth, l.o.Jobs-first)
}

// pause waits until there are few enough jobs to add more.
func (l *load) pause(ctx context.Context) error {
	for added := l.added.Load(); added < int64(l.o.Jobs) && added-l.done.Load() >= l.backlog; added = l.added.Load() {
		select {
		case <-l.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.wake() // there may be room for another
	return nil
}

// wake lets a paused producer look again.
func (l *load) wake() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// produce is a connection that adds jobs.
func (l *load) produce(ctx context.Context, c *conn) error {
	// The command is the same but for the number, which the body begins with.
	command := redcon.AppendArray(nil, 4)
	command = redcon.AppendBulkString(command, "ADDJOB")
	command = redcon.AppendBulkString(command, l.o.Queue)
	command = redcon.AppendBulk(command, make([]byte, l.o.Size))
	at := len(command) - len("\r\n") - l.o.Size
	command = redcon.AppendBulkString(command, "0")
	for {
		if err := l.pause(ctx); err != nil {
			return err
		}
		first, n := l.take()
		if n <= 0 {
			return nil
		}
		for i := range n {
			binary.BigEndian.PutUint64(command[at:], uint64(first+i))
			c.out = append(c.out, command...)
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
}
