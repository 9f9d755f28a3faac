package cluster

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	wireDelay  = time.Millisecond // of each message, one way
	wireJitter = time.Millisecond // at most, more
	wireQueue  = 1024             // packets or connections that wait at a host
)

// wires is a network in memory. All its times are those of the bubble it is in.
// Bytes are what the bus writes, without headers of UDP, TCP and IP.
type wires struct {
	mu    sync.Mutex
	hosts map[netip.AddrPort]*wireHost

	packets, packetBytes, streams, streamBytes, lost atomic.Int64
}

// wireHost is a bus' socket there, for packets and for connections.
type wireHost struct {
	w       *wires
	at      netip.AddrPort
	packets chan wirePacket
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
	down    atomic.Bool // it lost its power: nothing gets in or out
}

type wirePacket struct {
	b    []byte
	from netip.AddrPort
}

func (w *wires) host(at netip.AddrPort) *wireHost {
	h := &wireHost{w: w, at: at, packets: make(chan wirePacket, wireQueue), conns: make(chan net.Conn, wireQueue), done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[at] = h
	return h
}

// find returns the host at an address, nil if none is up there.
func (w *wires) find(at netip.AddrPort) *wireHost {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.hosts[at]; h != nil && !h.down.Load() {
		return h
	}
	return nil
}

func wireTime() time.Duration { return wireDelay + rand.N(wireJitter) }

// door is what the host looks like to a bus.
func (h *wireHost) door() door { return door{h.at.Addr(), h, h} }

func (h *wireHost) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *wireHost) Addr() net.Addr { return net.TCPAddrFromAddrPort(h.at) }

func (h *wireHost) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *wireHost) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case p := <-h.packets:
		return copy(b, p.b), p.from, nil
	case <-h.done:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (h *wireHost) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if h.down.Load() {
		return len(b), nil
	}
	h.w.packets.Add(1)
	h.w.packetBytes.Add(int64(len(b)))
	p := wirePacket{bytes.Clone(b), h.at}
	time.AfterFunc(wireTime(), func() {
		if other := h.w.find(to); other != nil {
			select {
			case other.packets <- p:
			default:
				h.w.lost.Add(1)
			}
		}
	})
	return len(b), nil
}

// connect takes a round trip, or for ever if nobody is there.
func (h *wireHost) connect(ctx context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	delay := wireTime()
	select {
	case <-time.After(2 * delay):
	case <-ctx.Done():
	}
	other := h.w.find(to)
	if other == nil || h.down.Load() {
		<-ctx.Done()
	}
	if ctx.Err() != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	h.w.streams.Add(1)
	there, back := newWay(), newWay()
	mine := &wireConn{host: h, peer: other, delay: delay, in: back, out: there}
	theirs := &wireConn{host: other, peer: h, delay: delay, in: there, out: back}
	select {
	case other.conns <- theirs:
	default:
		h.w.lost.Add(1) // mine is never answered
	}
	return mine, nil
}

// way is one direction of a connection. It never fills.
type way struct {
	mu     sync.Mutex
	chunks []chunk
	closed bool
	more   chan struct{}
}

type chunk struct {
	b  []byte
	at time.Time // when it arrives
}

func newWay() *way { return &way{more: make(chan struct{}, 1)} }

func (w *way) put(c chunk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.chunks = append(w.chunks, c)
	}
	signal(w.more)
}

func (w *way) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	signal(w.more)
}

// take returns what comes next, if it is known, and whether that is the end.
func (w *way) take() (c chunk, ok, end bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.chunks) == 0 {
		return c, false, w.closed
	}
	c = w.chunks[0]
	w.chunks = w.chunks[1:]
	return c, true, false
}

// wireConn is one end of a connection. A deadline counts for the reads that
// begin later.
type wireConn struct {
	host, peer *wireHost
	delay      time.Duration
	in, out    *way
	rest       []byte // of what was read last
	closed     atomic.Bool
	deadline   atomic.Pointer[time.Time]
}

func (c *wireConn) Read(p []byte) (int, error) {
	var late <-chan time.Time
	if d := c.deadline.Load(); d != nil && !d.IsZero() {
		t := time.NewTimer(time.Until(*d))
		defer t.Stop()
		late = t.C
	}
	for len(c.rest) == 0 {
		got, ok, end := c.in.take()
		switch {
		case c.closed.Load():
			return 0, net.ErrClosed
		case ok:
			time.Sleep(time.Until(got.at))
			c.rest = got.b
			continue
		case end:
			return 0, io.EOF
		}
		select {
		case <-c.in.more:
		case <-late:
			return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *wireConn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	if !c.host.down.Load() {
		c.host.w.streamBytes.Add(int64(len(p)))
		if !c.peer.down.Load() {
			c.out.put(chunk{bytes.Clone(p), time.Now().Add(c.delay)})
		}
	}
	return len(p), nil
}

func (c *wireConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	signal(c.in.more)
	if !c.host.down.Load() {
		c.out.close()
	}
	return nil
}

func (c *wireConn) LocalAddr() net.Addr  { return c.host.Addr() }
func (c *wireConn) RemoteAddr() net.Addr { return c.peer.Addr() }

func (c *wireConn) SetDeadline(t time.Time) error {
	c.deadline.Store(&t)
	return nil
}
func (c *wireConn) SetReadDeadline(t time.Time) error { return c.SetDeadline(t) }
func (c *wireConn) SetWriteDeadline(time.Time) error  { return nil }
