package server

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/httpapi"
)

// caller is a client within this process: a session without a socket, for as
// long as the commands of one request take.
type caller struct {
	s    session
	info clientInfo
	bell chan struct{}

	lapsed atomic.Bool // its user may do less than when it began to wait
}

// callers are those that wait in GETJOB.
type callers struct {
	mu  sync.Mutex
	set map[*caller]struct{}
}

func (l *callers) add(c *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set == nil {
		l.set = map[*caller]struct{}{}
	}
	l.set[c] = struct{}{}
}

func (l *callers) remove(c *caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.set, c)
}

func (l *callers) each(do func(*caller)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.set {
		do(c)
	}
}

func (c *caller) wake() {
	select {
	case c.bell <- struct{}{}:
	default:
	}
}

// newCaller returns a client from an address that logged in so.
func (s *Server) newCaller(from string, l login) *caller {
	c := &caller{bell: make(chan struct{}, 1)}
	c.info.addr, c.info.joined, c.info.http = from, time.Now(), true
	c.s.init(s, &c.info, c.wake)
	c.s.setLogin(l)
	return c
}

// Call implements httpapi.Broker.
func (f front) Call(ctx context.Context, who httpapi.Login, from string, commands ...[][]byte) (*httpapi.Answer, error) {
	if !f.s.enter() {
		return nil, httpapi.Fault(leavingText)
	}
	c := f.s.newCaller(from, asLogin(who))
	if err := c.do(ctx, commands); err != nil {
		c.end()
		return nil, err
	}
	values, err := parseReplies(c.s.reply.B)
	if err != nil {
		c.end()
		return nil, err
	}
	also := func(ctx context.Context, commands ...[][]byte) error { return c.do(ctx, commands) }
	return &httpapi.Answer{Values: values, Also: also, Done: c.done}, nil
}

// do executes commands and waits until what they say is safe in the log.
func (c *caller) do(ctx context.Context, commands [][][]byte) error {
	c.s.beginBatch(time.Now())
	for i := 0; i < len(commands) || c.s.parked != nil || c.s.wait != nil || c.s.adds() || c.s.pauseTo != 0; {
		switch {
		case c.s.parked != nil && !c.s.hold():
			c.s.unpark()
		case i < len(commands) && c.s.parked == nil && !c.s.hold():
			c.s.exec(commands[i])
			i++
		default:
			if err := c.rest(ctx); err != nil {
				return err
			}
		}
	}
	return c.s.mark.Wait()
}

// end closes the session. What its client was not told goes back.
func (c *caller) end() {
	c.s.close(0)
	c.s.srv.conns.Done()
}

// done ends the session once its client was answered, or could not be. A job that
// is at most once goes back only if nothing of the answer was written.
func (c *caller) done(begun, written bool) {
	kept := c.s.handed[:0]
	for _, h := range c.s.handed {
		if !written && !(begun && h.id.AtMostOnce()) {
			kept = append(kept, h)
		}
	}
	c.s.handed = kept
	c.end()
}

// rest waits until the session can go on.
func (c *caller) rest(ctx context.Context) error {
	if c.s.settle() {
		return nil
	}
	var after <-chan time.Time
	if at := c.s.deadline(); !at.IsZero() {
		timer := time.NewTimer(max(0, time.Until(at)) + time.Millisecond)
		defer timer.Stop()
		after = timer.C
	}
	quit := c.s.srv.ending.Done()
	if c.s.left {
		quit = nil // it is told already
	}
	if c.s.wait != nil {
		c.s.srv.callers.add(c)
		defer c.s.srv.callers.remove(c)
		if c.s.lapsed() {
			return httpapi.Fault(errLapsed)
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-quit:
		c.s.stop()
	case <-c.bell:
	case <-after:
	}
	if c.lapsed.Load() {
		return httpapi.Fault(errLapsed)
	}
	c.s.settle()
	return nil
}

// errReply says that a session's reply is not RESP2.
const errReply fault = "ERR a reply that cannot be read"

// parseReplies reads the replies of a session that speaks RESP2.
func parseReplies(b []byte) (values []any, err error) {
	for len(b) > 0 {
		var v any
		if v, b, err = parseReply(b); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

func parseReply(b []byte) (v any, rest []byte, err error) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || len(line) == 0 {
		return nil, nil, errReply
	}
	text := string(line[1:])
	switch line[0] {
	case '+':
		return text, rest, nil
	case '-':
		return httpapi.Fault(text), rest, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return nil, nil, errReply
	case line[0] == ':':
		return n, rest, nil
	case n < 0:
		return nil, rest, nil
	case line[0] == '$' && int64(len(rest)) >= n+2:
		return append([]byte{}, rest[:n]...), rest[n+2:], nil
	case line[0] != '*':
		return nil, nil, errReply
	}
	list := make([]any, 0, min(n, 1024))
	for range n {
		if v, rest, err = parseReply(rest); err != nil {
			return nil, nil, err
		}
		list = append(list, v)
	}
	return list, rest, nil
}
