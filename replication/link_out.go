package replication

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/disqo/disqo/store"
)

const (
	// byeTime bounds the last write on a connection.
	byeTime = time.Second

	// A connection that is left for another one has renewTime to end in good order, and
	// the other one as long to begin.
	renewTime = time.Second
)

var errNoPeer = errors.New("the node is no peer any more")

// link is an established outbound connection. One that is renewed leaves its outbox to
// the next.
type link struct {
	peer    *peer
	nc      net.Conn
	frames  *frameReader
	session uint64
	terms   bool   // the peer knows the terms of jobs
	boot    uint64 // of the peer's process
	out     *outbox
	over    chan struct{} // closed when the connection is
}

// dial connects to the peer, and returns when both know that they can talk. out is what
// waits for the peer.
func (p *peer) dial(ctx context.Context, out *outbox, within time.Duration) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	p.mu.Lock()
	p.redial, p.dialled = cancel, time.Now()
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.redial = nil
		p.mu.Unlock()
	}()
	p.ask(p.links.o.Now())
	nc, err := p.links.o.Dial(ctx, p.id)
	if err != nil {
		return nil, err
	}
	tune(nc)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	k, err := p.introduce(nc, out)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("%s: %w", nc.RemoteAddr(), err)
	}
	return k, nil
}

// introduce exchanges hellos.
func (p *peer) introduce(nc net.Conn, out *outbox) (*link, error) {
	k := &link{peer: p, nc: nc, frames: newFrameReader(nc, maxHello), session: newSession(), out: out, over: make(chan struct{})}
	self := p.links.hello(k.session)
	began := time.Now()
	greeting := appendHelloFrame([]byte{'D'}, &self)
	if _, err := nc.Write(greeting); err != nil {
		return nil, err
	}
	p.links.wrote(1, int64(len(greeting)))
	f, err := p.links.first(k.frames)
	if err != nil {
		return nil, err
	}
	other, err := parseHello(f.payload)
	if err == nil {
		err = self.meets(&other)
	}
	if err == nil && other.ID != p.id {
		err = fmt.Errorf("found node %x, not %x", other.ID, p.id)
	}
	if err != nil {
		p.links.bye(nc, err)
		return nil, err
	}
	k.terms, k.boot = other.Terms, other.Boot
	p.answered(time.Since(began))
	return k, nil
}

// first reads the frame that a connection has to begin with: a hello.
func (l *Links) first(r *frameReader) (frame, error) {
	for {
		f, ok, err := r.next()
		if err != nil {
			return f, err
		}
		if !ok {
			if err := l.fill(r); err != nil {
				return f, err
			}
			continue
		}
		l.framesReceived.Add(1)
		switch f.typ {
		case typeHello:
			return f, nil
		case typeBye:
			return f, fmt.Errorf("the other node says: %.256q", f.payload)
		}
		return f, fmt.Errorf("a frame of type %d in place of a hello", f.typ)
	}
}

// bye tries to say why a connection is closed.
func (l *Links) bye(nc net.Conn, reason error) {
	b := appendByeFrame(nil, reason.Error())
	if nc.SetWriteDeadline(time.Now().Add(byeTime)) != nil {
		return
	}
	if _, err := nc.Write(b); err == nil {
		l.wrote(1, int64(len(b)))
	}
}

// serve sends and listens until the connection is left for another one, and returns nil
// then, or the outbox fails, and returns why.
func (k *link) serve() error {
	var wg sync.WaitGroup
	k.out.stay()
	k.peer.link.Store(k)
	wg.Go(k.write)
	wg.Go(func() { k.out.left(k.listen()) })
	k.peer.links.o.Changed()
	_ = k.out.await()
	k.nc.Close()
	close(k.over)
	wg.Wait()
	return k.out.await() // the writer may have failed since
}

// part sends what waits for the peer, closes this side of the connection, and returns when
// the peer has closed the other, or ctx ends.
func (p *peer) part(ctx context.Context) {
	k := p.link.Load()
	if k == nil || !k.out.drain(ctx) {
		return
	}
	if k = p.link.Load(); k != nil && k.half() {
		k.await(ctx)
	}
}

// half closes this side of the connection.
func (k *link) half() bool {
	half, ok := k.nc.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// await returns when the connection is over, or ctx is.
func (k *link) await(ctx context.Context) {
	select {
	case <-k.over:
	case <-ctx.Done():
	}
}

// renew leaves the connection for another one: what was sent is read to the end by the
// peer, who closes then, and what waits goes over the next one.
func (k *link) renew(ctx context.Context) {
	k.out.leave()
	k.await(ctx)
	k.nc.Close()
}

// write sends what is in the outbox. Each write has a deadline of its own.
func (k *link) write() {
	l := k.peer.links
	for {
		out, ok := k.out.take()
		if !ok {
			if k.out.leaves() && (!k.half() || k.nc.SetReadDeadline(time.Now().Add(renewTime)) != nil) {
				k.nc.Close()
			}
			return
		}
		for !out.empty() {
			b := out.head()
			err := k.nc.SetWriteDeadline(time.Now().Add(l.o.OutboxAge))
			if err == nil {
				_, err = k.nc.Write(b)
			}
			if err != nil {
				k.out.fail(err)
				return
			}
			l.bytesSent.Add(int64(len(b)))
			k.out.sent(&out)
		}
		l.framesSent.Add(out.frames)
	}
}

// listen reads what comes back, and returns why it cannot any more. Its reads
// end when serve closes the connection, which it does when pongs stay away.
func (k *link) listen() error {
	l := k.peer.links
	for {
		f, ok, err := k.frames.next()
		if err != nil {
			return err
		}
		if !ok {
			if err := l.fill(k.frames); err != nil {
				return err
			}
			continue
		}
		l.framesReceived.Add(1)
		switch f.typ {
		case typePong:
			if err := k.peer.ponged(f.payload); err != nil {
				return err
			}
		case typeBye:
			return fmt.Errorf("the other node says: %.256q", f.payload)
		case typeRenew:
			k.out.leave()
		case typeHello, typePing:
			return fmt.Errorf("a frame of type %d on the way back", f.typ)
		}
	}
}

// tune sets what a TCP connection needs, under whatever it is wrapped in.
func tune(nc net.Conn) {
	for {
		switch c := nc.(type) {
		case *net.TCPConn:
			c.SetNoDelay(true)
			c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
			return
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return
		}
	}
}

func hexID(id store.NodeID) string { return hex.EncodeToString(id[:]) }
