package server

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/resp"
)

// batchOutput is how many bytes of replies are gathered before they are sent,
// if the batch that makes them is not done earlier.
const batchOutput = 1 << 20

// A connection that is quiet for quietAfter gives back what it holds beyond
// quietBytes for input and for output; a busy one keeps up to busyBytes.
const (
	quietAfter = 1 // seconds
	quietBytes = 4 << 10
	busyBytes  = 64 << 10
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

// conn moves bytes between a socket and its session. Everything but wake,
// push, kill and the atomic fields of info belongs to its goroutine.
type conn struct {
	srv *Server
	nc  net.Conn
	dec resp.Decoder
	out output
	s   session

	eof        bool
	lastCall   time.Time    // the server stops: nothing is read after this, zero if it does not
	begun      time.Time    // when the command that is arriving began to, zero if none is
	heard      time.Time    // last read
	heardAt    atomic.Int64 // the same, Unix nanoseconds, for the output
	hasTimeout bool         // a read deadline is set

	where atomic.Int32
	woken atomic.Bool
	bell  chan struct{}

	killed  atomic.Bool
	overrun atomic.Bool // a monitor that does not read

	pushMu sync.Mutex
	pushed []byte // lines for MONITOR, to be sent by the goroutine
	info   clientInfo
}

func newConn(srv *Server, nc net.Conn, id int64) *conn {
	c := &conn{srv: srv, nc: nc, bell: make(chan struct{}, 1), heard: time.Now()}
	c.out.init(nc, func() time.Duration {
		return time.Duration(srv.cfg.Get().ClientWriteTimeout) * time.Second
	}, func() time.Time { return time.Unix(0, c.heardAt.Load()) }, c.wake)
	c.heardAt.Store(c.heard.UnixNano())
	c.info.init(id, nc)
	c.s.init(srv, &c.info, c.wake)
	c.s.monitored = c.push
	return c
}

// serve runs the connection until it ends.
func (c *conn) serve() {
	defer c.close()
	defer func() {
		if p := recover(); p != nil {
			c.srv.log.Error("a command panicked; its connection is closed", "client", c.info.addr,
				"command", c.info.lastCommand(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	for {
		c.run()
		if !c.flush() {
			return
		}
		if (c.s.closing || c.eof && !c.s.halted()) && !c.s.adds() {
			c.part()
			return
		}
		if err := c.await(); err != nil {
			c.explain(err)
			return
		}
	}
}

// explain tells a client why it is closed, where it can still hear it.
func (c *conn) explain(err error) {
	if errors.Is(err, errCommandTimeout) {
		c.s.reply.Error("ERR " + err.Error())
		c.flush()
		c.part()
	}
}

// Input that still comes when a connection ends is dropped until it is quiet
// for lingerQuiet, lingerMost in all.
const (
	lingerQuiet = 100 * time.Millisecond
	lingerMost  = 500 * time.Millisecond
)

// part ends a connection in good order. Closing a socket that has unread input
// resets it, and the kernel forgets the replies that are still on their way.
func (c *conn) part() {
	if _, err := c.out.await(0); err != nil || c.eof {
		return
	}
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	for end := time.Now().Add(lingerMost); time.Now().Before(end); {
		space := c.dec.Space() // never filled: what comes is overwritten
		if c.nc.SetReadDeadline(time.Now().Add(lingerQuiet)) != nil || len(space) == 0 {
			return
		}
		if _, err := c.nc.Read(space); err != nil {
			return
		}
	}
}

// run executes what was received.
func (c *conn) run() {
	c.s.beginBatch()
	if c.s.parked != nil && !c.s.closing && !c.s.hold() {
		c.s.unpark()
	}
	for !c.s.closing && !c.s.hold() {
		cmd, ok, err := c.dec.Next(c.s.limits())
		if err != nil {
			c.s.refuse(err)
			continue
		}
		if !ok {
			break
		}
		c.begun = time.Time{}
		c.s.exec(cmd.Args)
		if c.s.ready() >= batchOutput {
			if !c.flush() {
				c.s.closing = true
			}
			c.s.beginBatch() // waiting for the client is no command's time
		}
	}
	switch {
	case !c.dec.Partial():
		c.begun = time.Time{} // what was arriving was skipped, or was no command
	case c.begun.IsZero():
		c.begun = time.Now()
	}
	if c.dec.Size() > busyBytes {
		c.dec.Release()
	}
}

// flush hands the batch's replies to the output, once what they say is safe in
// the log, and waits while more is unsent than a client may leave unread.
func (c *conn) flush() bool {
	if err := c.s.mark.Wait(); err != nil {
		return false // the node ends; the client must not take it for done
	}
	c.takePushed()
	b := c.s.reply.B[:c.s.ready()]
	err := c.out.send(b, len(b) == len(c.s.reply.B) && cap(b) > busyBytes)
	c.srv.stats.netOutput.Add(int64(len(b)))
	c.s.flushed(len(b), busyBytes)
	if err == nil {
		err = c.limitOutput(c.srv.cfg.Get().ClientOutputBufferLimit.Hard)
	}
	sent, pending := c.out.progress()
	if cfg := c.srv.cfg.Get(); int64(pending) > cfg.UnauthOutputLimit && !c.s.authenticated(cfg) {
		err = errStranger
	}
	c.s.confirm(sent)
	c.info.batch(&c.s, c.dec.Buffered(), pending)
	return err == nil
}

// limitOutput waits while more than limit bytes are unsent. The client could
// send nothing meanwhile that would have been read, so its deadlines begin anew.
func (c *conn) limitOutput(limit int64) error {
	if limit <= 0 {
		return nil
	}
	waited, err := c.out.await(int(limit))
	if waited {
		c.heard = time.Now()
		if !c.begun.IsZero() {
			c.begun = c.heard
		}
	}
	return err
}

// eofPatience is how long ADDJOBs wait for a client that has closed its side of
// the connection, milliseconds: it may still read, or be gone.
const eofPatience = 10_000

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
		if c.s.blocked() && (c.eof || c.s.dismissed() && hungUp(c.out.raw)) {
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
	sooner := func(from time.Time, seconds int, err error) {
		if t := from.Add(time.Duration(seconds) * time.Second); seconds > 0 && (at.IsZero() || t.Before(at)) {
			at, why = t, err
		}
	}
	if !c.begun.IsZero() {
		sooner(c.begun, cfg.CommandTimeout, errCommandTimeout)
	}
	if _, pending := c.out.progress(); pending == 0 && !c.s.monitoring {
		sooner(c.heard, cfg.Timeout, errIdle)
	}
	if !c.s.authenticated(cfg) {
		sooner(c.heard, cfg.AuthTimeout, errStranger)
	}
	if c.large() {
		sooner(c.heard, quietAfter, nil)
	}
	if t := c.s.deadline(); c.s.adds() && !t.IsZero() && (at.IsZero() || t.Before(at)) {
		at, why = t, nil
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
	var space []byte
	if !c.eof && !c.s.closing && (!c.s.halted() || int64(c.dec.Buffered()) < c.srv.cfg.Get().ClientInputBufferLimit) {
		space = c.dec.Space()
	}
	if len(space) == 0 {
		c.listen(at)
		return false, nil
	}
	c.where.Store(reading)
	defer c.where.Store(running)
	if c.hasTimeout || !at.IsZero() {
		c.hasTimeout = !at.IsZero()
		if err := c.nc.SetReadDeadline(at); err != nil {
			return false, err
		}
	}
	if c.woken.Swap(false) {
		return false, nil
	}
	n, err := c.nc.Read(space)
	if n > 0 {
		c.dec.Fill(n)
		c.heard = time.Now()
		c.heardAt.Store(c.heard.UnixNano())
		c.srv.stats.netInput.Add(int64(n))
		return true, nil
	}
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.woken.Store(false)
		c.hasTimeout = true
		return false, nil
	case errors.Is(err, io.EOF) && !c.s.blocked():
		c.eof = true
		c.s.hurry(eofPatience)
		return true, nil
	}
	return false, errGone
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

// kill ends the connection from another goroutine.
func (c *conn) kill() {
	c.killed.Store(true)
	_ = c.nc.Close()
	c.wake()
}

// push queues bytes that are no reply (MONITOR's lines). A client that does
// not read them gets no more and is closed. Safe for any goroutine; it does not
// block.
func (c *conn) push(b []byte) {
	limit := c.srv.cfg.Get().ClientOutputBufferLimit.Hard
	c.pushMu.Lock()
	if limit > 0 && int64(len(c.pushed)+len(b)) > limit {
		c.overrun.Store(true)
	} else {
		c.pushed = append(c.pushed, b...)
	}
	c.pushMu.Unlock()
	c.wake()
}

func (c *conn) hasPushed() bool {
	c.pushMu.Lock()
	defer c.pushMu.Unlock()
	return len(c.pushed) > 0
}

// takePushed puts the pushed lines behind the replies. What a client that said
// RESET did not get before is dropped.
func (c *conn) takePushed() {
	c.pushMu.Lock()
	defer c.pushMu.Unlock()
	if c.s.monitoring {
		c.s.reply.B = append(c.s.reply.B, c.pushed...)
	}
	c.pushed = nil
}

// close ends the connection: jobs whose replies never left go back to their
// queues.
func (c *conn) close() {
	_ = c.nc.Close()
	c.out.finish()
	sent, _ := c.out.progress()
	c.s.close(sent)
	c.srv.forget(c)
	c.srv.log.Debug("client closed", "client", c.info.addr)
}
