package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/disqo/disqo/cluster/crowd"
)

const (
	// maxInbound bounds inbound links, and maxVisits those of one node: one that
	// ends while the next begins.
	maxInbound = 1024
	maxVisits  = 2

	// maxStrangers bounds the connections that are no links yet, and hostStrangers
	// those from one host: so many nodes of a cluster can begin at once.
	maxStrangers  = 512
	hostStrangers = 64

	// deafTimes is for how many times the time in which a link has to show a sign
	// of life an inbound one may be silent. The other side has given it up long
	// before.
	deafTimes = 3
)

var (
	errTooMany = errors.New("too many links from this node at once")
	errCrowd   = fmt.Errorf("more than %d links to this node", maxInbound)
	errStuck   = errors.New("the link before this one does not end")
)

// visitor is a node that has inbound links.
type visitor struct {
	newest *visit
	visits int
}

// visit is one inbound link.
type visit struct {
	links  *Links
	nc     net.Conn
	frames *frameReader
	hello  Hello         // believed after meet
	before *visit        // the node's visit before this one, which may still receive
	over   chan struct{} // closed after the last Receive
	pong   []byte
}

// welcome serves an inbound connection until it is over.
func (l *Links) welcome(nc net.Conn) {
	defer nc.Close()
	defer context.AfterFunc(l.ctx, func() { nc.Close() })()
	tune(nc)
	v := &visit{links: l, nc: nc, frames: newFrameReader(nc, maxHello), over: make(chan struct{})}
	about := crowd.Stranger(crowd.Host(nc.RemoteAddr()).String())
	err := v.meet()
	if !l.strangers.Leave(nc) {
		return // another one has its place
	}
	if err == nil {
		if l.peer(v.hello.ID) != nil {
			about = who(v.hello.ID)
		}
		err = v.serve()
	} else if !errors.Is(err, io.EOF) {
		l.bye(nc, err)
	}
	if l.ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.EOF) {
		l.lines.Say(slog.LevelWarn, about, "link from a node dropped", "node", hexID(v.hello.ID), "address", nc.RemoteAddr().String(), "error", err)
	}
}

// meet reads the hello of a connection.
func (v *visit) meet() error {
	if err := v.nc.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	var d [1]byte
	if _, err := io.ReadFull(v.nc, d[:]); err != nil {
		return err
	}
	if d[0] != 'D' {
		return fmt.Errorf("a link begins with %q", d[0])
	}
	v.links.bytesReceived.Add(1)
	f, err := v.links.first(v.frames)
	if err != nil {
		return err
	}
	h, err := parseHello(f.payload)
	if err != nil {
		return err
	}
	v.hello = h
	self := v.links.hello(h.Session)
	if err := self.meets(&h); err != nil {
		return err
	}
	return nil
}

// serve takes over from the link that the node had before, and reads.
func (v *visit) serve() error {
	if err := v.enter(); err != nil {
		v.links.bye(v.nc, err)
		return err
	}
	defer v.leave()
	if v.before != nil {
		v.before.nc.Close()
		timer := time.NewTimer(handshakeTime)
		defer timer.Stop()
		select {
		case <-v.before.over:
			v.before = nil
		case <-timer.C:
			v.links.bye(v.nc, errStuck)
			return errStuck
		}
	}
	return v.begin()
}

// enter makes the visit its node's newest.
func (v *visit) enter() error {
	l := v.links
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.in[v.hello.ID]
	switch {
	case n == nil:
		n = &visitor{}
	case n.visits >= maxVisits:
		return errTooMany
	}
	if l.visits >= maxInbound {
		return errCrowd
	}
	l.in[v.hello.ID] = n
	v.before, n.newest = n.newest, v
	n.visits++
	l.visits++
	return nil
}

// leave lets the node's next link begin.
func (v *visit) leave() {
	close(v.over)
	l := v.links
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.in[v.hello.ID]
	if n.newest == v {
		n.newest = v.before // which the next one has to wait for, too
	}
	l.visits--
	if n.visits--; n.visits == 0 {
		delete(l.in, v.hello.ID)
	}
}

// begin introduces this node and hands out frames until the link is over.
func (v *visit) begin() error {
	l := v.links
	v.frames.max = l.o.MaxFrame
	l.o.Heard(v.hello, v.nc.RemoteAddr())
	if p := l.peer(v.hello.ID); p != nil {
		p.kick(true)
	}
	self := l.hello(v.hello.Session)
	if err := v.write(appendHelloFrame(nil, &self)); err != nil {
		return err
	}
	for {
		if err := v.drain(); err != nil {
			l.bye(v.nc, err)
			return err
		}
		silent := deafTimes * max(l.o.Timeout(), minDeaf)
		if err := v.nc.SetReadDeadline(time.Now().Add(silent)); err != nil {
			return err
		}
		if err := l.fill(v.frames); err != nil {
			return err
		}
	}
}

// renew has who dialled go on over another connection, and reads this one to its end.
func (v *visit) renew(ctx context.Context) {
	defer v.nc.Close()
	defer context.AfterFunc(ctx, func() { v.nc.Close() })() // a write may hang
	if v.write(AppendFrame(nil, typeRenew, func(dst []byte) []byte { return dst })) != nil {
		v.nc.Close()
	}
	select {
	case <-v.over:
	case <-ctx.Done():
	}
}

// drain hands out the frames that are there.
func (v *visit) drain() (err error) {
	var f frame
	var ok bool
	all := int64(0)
	for err == nil {
		if f, ok, err = v.frames.next(); !ok {
			break
		}
		all++
		switch {
		case f.typ >= FirstType:
			v.links.o.Receive(v.hello.ID, v.hello.Session, f.typ, f.payload)
		case f.typ == typePing:
			if p := v.links.peer(v.hello.ID); p != nil {
				p.told(f.payload)
			}
			v.pong = AppendFrame(v.pong[:0], typePong, func(dst []byte) []byte { return append(dst, f.payload...) })
			err = v.write(v.pong)
		case f.typ == typeBye:
			err = fmt.Errorf("the other node says: %.256q", f.payload)
		case f.typ == typeHello, f.typ == typePong:
			err = fmt.Errorf("a frame of type %d from who dialled", f.typ)
		}
	}
	v.links.framesReceived.Add(all)
	return err
}

// write sends a frame on the way back.
func (v *visit) write(b []byte) error {
	if err := v.nc.SetWriteDeadline(time.Now().Add(v.links.o.OutboxAge)); err != nil {
		return err
	}
	if _, err := v.nc.Write(b); err != nil {
		return err
	}
	v.links.wrote(1, int64(len(b)))
	return nil
}
