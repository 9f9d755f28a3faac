package server

import (
	"cmp"
	"errors"
	"io"
	"os"
	"runtime"
	"time"
)

// A connection is busy if it reads again within busyWithin. One that was looks
// after sureAfter whether it was closed.
const (
	busyWithin = 5 * time.Millisecond
	sureAfter  = 20 * time.Millisecond
)

// When the server stops, a connection reads what was sent before, until it is
// quiet for lastQuiet, lastMost in all.
const (
	lastQuiet = 50 * time.Millisecond
	lastMost  = 500 * time.Millisecond
)

// Where a connection's goroutine is, for those who want to wake it.
const (
	running int32 = iota
	reading       // in Read, which a deadline in the past ends
	ringing       // waiting for the bell
)

var longAgo = time.Unix(1, 0)

// Reasons to end a connection.
var (
	errGone           = errors.New("the client went away")
	errKilled         = errors.New("the connection was killed")
	errOverrun        = errors.New("the monitor does not keep up")
	errStranger       = errors.New("the client takes too much or too long before AUTH")
	errIdle           = errors.New("the client was idle for longer than timeout")
	errCommandTimeout = errors.New("the command did not arrive whole within command-timeout")
)

// await sleeps until there is input, a completed reply, or a reason to end.
func (c *conn) await() error {
	for {
		if c.killed.Load() {
			return errKilled
		}
		if err := c.out.failed(); err != nil {
			return err
		}
		if c.overrun.Load() {
			c.srv.log.Warn("a monitor does not keep up and is closed", "client", c.info.addr)
			return errOverrun
		}
		if c.s.blocked() && (c.eof || c.s.dismissed() && hungUp(c.socket)) {
			return errGone
		}
		if c.srv.stopping.Load() {
			if c.s.settle() || !c.s.closing && c.readLast() {
				return nil
			}
			c.s.stop()
		}
		if c.s.settle() || c.hasPushed() || c.s.closing && !c.s.adds() {
			return nil
		}
		at, why := c.deadline()
		if !at.IsZero() && !time.Now().Before(at) {
			if why != nil {
				return why
			}
			if !c.s.held && !c.s.adds() {
				c.s.flushed(0, quietBytes)
				c.dec.Release()
			}
			runtime.Gosched() // a hand-over may be on its way
			continue
		}
		got, err := c.sleep(at)
		if got || err != nil {
			return err
		}
	}
}

// deadline returns when the connection must be looked at again, and the error
// that ends it then; no error if it is the session that wants to be asked.
func (c *conn) deadline() (at time.Time, why error) {
	cfg := c.srv.cfg.Get()
	if c.s.held {
		return c.s.deadline(), nil
	}
	sooner := func(t time.Time, err error) {
		if at.IsZero() || t.Before(at) {
			at, why = t, err
		}
	}
	after := func(from time.Time, seconds int, err error) {
		if seconds > 0 {
			sooner(from.Add(time.Duration(seconds)*time.Second), err)
		}
	}
	if !c.begun.IsZero() {
		after(c.begun, cfg.CommandTimeout, errCommandTimeout)
	}
	if cfg.Timeout > 0 && !c.s.monitoring {
		if _, pending := c.out.progress(); pending == 0 {
			after(c.heard, cfg.Timeout, errIdle)
		}
	}
	if !c.s.authenticated(cfg) {
		after(c.heard, cfg.AuthTimeout, errStranger)
	}
	if c.large() {
		after(c.heard, quietAfter, nil)
	}
	if c.unsure {
		sooner(c.heard.Add(sureAfter), nil)
	}
	if c.s.adds() {
		if t := c.s.deadline(); !t.IsZero() {
			sooner(t, nil)
		}
	}
	return at, why
}

// large reports whether the connection holds more than a quiet one should.
func (c *conn) large() bool {
	return !c.s.adds() && (cap(c.s.reply.B) > quietBytes || c.dec.Buffered() == 0 && c.dec.Size() > quietBytes)
}

// sleep reads, or waits for the bell when nothing more may be read, until
// something arrives, wake is called, or the time has come. got says that the
// session may have work.
func (c *conn) sleep(at time.Time) (got bool, err error) {
	if len(c.space()) == 0 {
		c.listen(at)
		return false, nil
	}
	c.where.Store(reading)
	defer c.where.Store(running)
	if err := c.arm(at); err != nil {
		return false, err
	}
	if c.woken.Swap(false) {
		return false, nil
	}
	switch got, err = c.receive(); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.woken.Store(false)
		c.armed = longAgo
		return got, nil
	case (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) && !c.s.blocked(): // or without TLS' farewell
		c.eof = true
		c.s.hurry(eofPatience)
		return true, nil
	case err != nil:
		return false, errGone
	}
	return got, nil
}

// space is where the next input goes; empty if none may be read now.
func (c *conn) space() []byte {
	if c.eof || c.s.closing || c.s.halted() && int64(c.dec.Buffered()) >= c.srv.cfg.Get().ClientInputBufferLimit {
		return nil
	}
	return c.dec.Space()
}

// arm makes reads end at a time, or sooner: the time moves with every batch,
// and setting a deadline costs more than to wake up in vain once in a while.
func (c *conn) arm(at time.Time) error {
	if at.Equal(c.armed) || c.armed.After(longAgo) && (at.IsZero() || !c.armed.After(at)) {
		return nil
	}
	c.armed = at
	return c.nc.SetReadDeadline(at)
}

// receive waits for input and reports whether some came.
func (c *conn) receive() (got bool, err error) {
	if c.out.raw != nil {
		c.turned, c.turnErr = false, nil
		err = c.out.raw.Read(c.turning)
		c.unsure = false
		return c.turned, cmp.Or(c.turnErr, err)
	}
	n, err := c.nc.Read(c.dec.Space())
	if n > 0 {
		c.take(n)
		return true, nil
	}
	return false, err
}

// take takes input that was read into space.
func (c *conn) take(n int) {
	c.dec.Fill(n)
	now := time.Now()
	c.busy, c.heard = now.Sub(c.heard) < busyWithin, now
	c.heardAt.Store(c.heard.UnixNano())
	c.srv.stats.netInput.Add(int64(n))
}

// turn is called when the socket may have input, and returns false to be called
// again when it has more. As long as there is nothing to do but to read,
// execute and answer, it does that itself: to return costs a read that finds
// nothing, as the poller tells of input once. It tells of an end that came with
// the input once as well, so a while after a read that was not followed by one
// that found nothing, that is made up for: at once if a GETJOB waits, as a client
// that went away must not get a job, or if the client sends little.
func (c *conn) turn(fd uintptr) bool {
	for {
		space := c.space()
		if len(space) == 0 {
			return true
		}
		n, err := readOnce(fd, space)
		switch {
		case err != nil:
			c.turnErr = err
			return true
		case n == 0:
			c.unsure = false
			return false
		}
		c.where.Store(running)
		c.take(n)
		c.turned = true
		if !c.again() {
			return true
		}
		more := n == len(space) || c.s.blocked() || !c.busy
		c.unsure = !more
		c.where.Store(reading)
		at, _ := c.deadline()
		if c.turnErr = c.arm(at); c.turnErr != nil || c.woken.Swap(false) {
			return true
		}
		if !more {
			return false
		}
	}
}

// again executes and answers what was read, and reports whether all there is
// to do then is to read on.
func (c *conn) again() bool {
	for now := c.heard; ; now = time.Now() {
		c.run(now)
		if !c.flush() {
			c.turnErr = errGone
			return false
		}
		if c.s.closing || c.s.adds() || c.srv.stopping.Load() || c.s.blocked() && c.s.dismissed() {
			return false
		}
		if !c.s.settle() {
			return true
		}
	}
}

// readLast takes what the client sent before the server stopped. It reports
// false when there is no more.
func (c *conn) readLast() (got bool) {
	now := time.Now()
	if c.lastCall.IsZero() {
		c.lastCall = now.Add(lastMost)
	}
	if c.eof || c.s.halted() || now.After(c.lastCall) {
		return false
	}
	var err error
	for end := now.Add(lastQuiet); !got && err == nil && now.Before(end); now = time.Now() {
		c.woken.Store(false) // the stop is known; its wake may still be on the way
		got, err = c.sleep(end)
	}
	return got
}

// listen waits for the bell.
func (c *conn) listen(at time.Time) {
	var alarm <-chan time.Time
	if !at.IsZero() {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		alarm = timer.C
	}
	c.where.Store(ringing)
	defer c.where.Store(running)
	if c.woken.Swap(false) {
		return
	}
	select {
	case <-c.bell:
		c.woken.Store(false)
	case <-alarm:
	}
}

// wake ends the sleep of the connection's goroutine, or the next one. Safe for
// any goroutine; it does not block.
//
// Whoever sleeps publishes where before it looks at woken, and whoever wakes
// sets woken before it looks at where, so that one of the two notices.
func (c *conn) wake() {
	c.woken.Store(true)
	switch c.where.Load() {
	case reading:
		_ = c.nc.SetReadDeadline(longAgo)
	case ringing:
		select {
		case c.bell <- struct{}{}:
		default:
		}
	}
}
