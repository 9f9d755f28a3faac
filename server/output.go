package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// errStalled ends a connection whose client takes nothing.
var errStalled = errors.New("the client took no byte of its replies within client-write-timeout")

// writePiece is how much is handed to the kernel at a time while a client is
// slow, so that progress is seen.
const writePiece = 64 << 10

// output sends a connection's replies. Usually the kernel takes a batch at
// once and that is all. When it does not, because the client has yet to read,
// the rest is sent by a goroutine that lives until all is sent, so that the
// connection can go on reading: clients may send a whole pipeline before they
// read their first reply.
type output struct {
	nc      net.Conn
	raw     syscall.RawConn // nil: no single non-blocking write; always use the goroutine
	secure  bool            // nc is TLS over a steady one, which writes piece by piece
	timeout func() time.Duration
	heard   func() time.Time // when the client last sent something; any goroutine
	wake    func()           // tells the connection about err

	attempt func(fd uintptr) bool // made once: a closure a write would be garbage
	try     []byte
	tryN    int
	tryErr  error

	mu      sync.Mutex
	idle    sync.Cond // pending became 0, or less than somebody waits for, or err was set
	queue   [][]byte  // to be sent after what the goroutine is sending
	pending int       // bytes not yet handed to the kernel
	sending bool      // the goroutine runs
	sent    uint64    // bytes handed to the kernel in all
	err     error     // sticky
}

func (o *output) init(nc net.Conn, timeout func() time.Duration, heard func() time.Time, wake func()) {
	o.nc, o.timeout, o.heard, o.wake = nc, timeout, heard, wake
	o.idle.L = &o.mu
	o.raw = rawConn(nc)
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		if below, ok := over.NetConn().(*steady); ok {
			piece := o.piece
			o.secure = true
			below.piece.Store(&piece)
		}
	}
	o.attempt = func(fd uintptr) bool {
		o.tryN, o.tryErr = writeOnce(fd, o.try)
		return true
	}
}

// send takes b and returns what was handed to the kernel in all, what was not,
// and the sticky error. b stays the caller's unless it is given: then it is kept,
// and not copied, if the kernel does not take it.
func (o *output) send(b []byte, given bool) (kept bool, sent uint64, pending int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept = o.put(b, given)
	return kept, o.sent, o.pending, o.err
}

// put is send under the lock.
func (o *output) put(b []byte, given bool) (kept bool) {
	if o.err != nil || len(b) == 0 {
		return false
	}
	if !o.sending {
		n := o.now(b)
		o.sent += uint64(n)
		if b = b[n:]; len(b) == 0 || o.err != nil {
			return false
		}
		o.sending = true
		go o.drain()
	}
	o.pending += len(b)
	if given {
		o.queue = append(o.queue, b)
		return true
	}
	for len(b) > 0 {
		last := len(o.queue) - 1
		if last < 0 || len(o.queue[last]) == cap(o.queue[last]) {
			o.queue = append(o.queue, make([]byte, 0, min(max(len(b), quietBytes), writePiece)))
			last++
		}
		chunk := o.queue[last]
		n := min(len(b), cap(chunk)-len(chunk))
		o.queue[last] = append(chunk, b[:n]...)
		b = b[n:]
	}
	return false
}

// now hands over what the kernel takes without waiting.
func (o *output) now(b []byte) int {
	if o.raw == nil {
		return 0
	}
	o.try = b
	err := o.raw.Write(o.attempt)
	o.try = nil
	if err == nil {
		err = o.tryErr
	}
	if err != nil {
		o.err = err
		return 0
	}
	return o.tryN
}

// drain sends until nothing is left or the client takes nothing for too long.
func (o *output) drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && o.err == nil {
		chunk := o.queue[0]
		o.queue[0] = nil
		o.queue = o.queue[1:]
		for len(chunk) > 0 && o.err == nil {
			o.mu.Unlock()
			n, err := o.write(chunk[:min(len(chunk), writePiece)])
			o.mu.Lock()
			chunk = chunk[n:]
			o.sent += uint64(n)
			o.pending -= n
			if err != nil {
				o.err = err
			}
			o.idle.Broadcast()
		}
	}
	o.sending, o.queue = false, nil
	o.idle.Broadcast()
	if o.err != nil {
		o.wake()
		return
	}
	_ = plain(o.nc).SetWriteDeadline(time.Time{}) // it would fail the next send
}

// write writes a piece of what is queued.
func (o *output) write(b []byte) (int, error) {
	if o.secure {
		return o.nc.Write(b)
	}
	return o.piece(o.nc, b)
}

// piece writes a piece to a socket; a deadline that passes after some progress is no
// error, nor is it while the client still sends: it will read when it has sent all.
func (o *output) piece(nc net.Conn, b []byte) (int, error) {
	timeout := o.timeout()
	if err := nc.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	n, err := nc.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if n > 0 || time.Since(o.heard()) < timeout {
			return n, nil
		}
		err = errStalled
	}
	return n, err
}

// await waits until at most limit bytes are pending. It ends: either the client
// takes something within the write deadline, or err is set.
func (o *output) await(limit int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.pending > limit && o.err == nil {
		o.idle.Wait()
	}
	return o.err
}

// fail ends the output with an error, unless it has ended.
func (o *output) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
		o.idle.Broadcast()
	}
}

// finish waits for the goroutine to end. The connection must have been closed
// or its output awaited.
func (o *output) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.sending {
		o.idle.Wait()
	}
}

// failed returns the sticky error.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// progress returns what was handed to the kernel and what was not.
func (o *output) progress() (sent uint64, pending int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent, o.pending
}
