package server

import (
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
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

// conn moves bytes between a socket and its session. Everything but wake,
// push, kill and the atomic fields of info belongs to its goroutine.
type conn struct {
	srv *Server
	nc  net.Conn
	dec resp.Decoder
	out output
	s   session

	eof      bool
	lastCall time.Time    // the server stops: nothing is read after this, zero if it does not
	at       time.Time    // when the batch began
	begun    time.Time    // when the command that is arriving began to, zero if none is
	heard    time.Time    // last read
	heardAt  atomic.Int64 // the same, Unix nanoseconds, for the output
	armed    time.Time    // the read deadline that is set; longAgo if one has passed

	turning func(fd uintptr) bool // turn, made once
	turnErr error                 // why turn ended
	turned  bool                  // it read something
	busy    bool                  // it read twice in a short time
	unsure  bool                  // the client may have closed its side, and nobody would tell

	where atomic.Int32
	woken atomic.Bool
	bell  chan struct{}

	socket syscall.RawConn // below TLS; nil if there is none

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
	c.turning = c.turn
	c.socket = rawConn(plain(nc))
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
	if err := c.handshake(); err != nil {
		c.srv.log.Debug("a TLS handshake failed", "client", c.info.addr, "error", err)
		return
	}
	for {
		c.run(time.Now())
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
	if err := c.out.await(0); err != nil || c.eof {
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

// run executes what was received; now is the time, which is asked for once a
// batch.
func (c *conn) run(now time.Time) {
	c.at = now
	c.s.beginBatch(now)
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
			c.s.beginBatch(time.Now()) // waiting for the client is no command's time
		}
	}
	switch {
	case !c.dec.Partial():
		c.begun = time.Time{} // what was arriving was skipped, or was no command
	case c.begun.IsZero():
		c.begun = now
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
	kept, sent, pending, err := c.out.send(b, len(b) == len(c.s.reply.B) && cap(b) > busyBytes)
	if c.srv.stats.netOutput.Add(int64(len(b))); kept {
		c.s.reply.B = nil
	}
	c.s.flushed(len(b), busyBytes)
	cfg := c.srv.cfg.Get()
	if limit := cfg.ClientOutputBufferLimit.Hard; err == nil && limit > 0 && int64(pending) > limit {
		err = c.limitOutput(int(limit))
		sent, pending = c.out.progress()
	}
	if limit := cfg.UnauthOutputLimit; int64(pending) > limit && !c.s.authenticated(cfg) {
		if err = errStranger; c.out.raw == nil { // the goroutine may have but to begin
			alarm := time.AfterFunc(strangerPatience, func() { c.out.fail(errStranger) })
			err = c.out.await(int(limit))
			alarm.Stop()
		}
		sent, pending = c.out.progress()
	}
	c.s.confirm(sent)
	c.info.batch(&c.s, c.at, c.dec.Buffered(), pending)
	return err == nil
}

// strangerPatience is how long a client that is nobody yet may take for its replies,
// where only a goroutine can tell whether it takes them.
const strangerPatience = 100 * time.Millisecond

// limitOutput waits until no more than limit bytes are unsent. The client could
// send nothing meanwhile that would have been read, so its deadlines begin anew.
func (c *conn) limitOutput(limit int) error {
	err := c.out.await(limit)
	c.heard = time.Now()
	if !c.begun.IsZero() {
		c.begun = c.heard
	}
	return err
}

// eofPatience is how long ADDJOBs wait for a client that has closed its side of
// the connection, milliseconds: it may still read, or be gone.
const eofPatience = 10_000

// kill ends the connection from another goroutine.
func (c *conn) kill() {
	c.killed.Store(true)
	_ = plain(c.nc).Close() // TLS would wait to say farewell
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
	if c.out.failed() != nil {
		_ = plain(c.nc).Close() // TLS would wait five seconds to say farewell to who takes nothing
	}
	_ = c.nc.Close()
	c.out.finish()
	sent, _ := c.out.progress()
	c.s.close(sent)
	c.srv.forget(c)
	c.srv.log.Debug("client closed", "client", c.info.addr)
}
