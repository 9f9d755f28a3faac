package load

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// goroutines is a poller with a goroutine for each socket that reads, for
// systems without epoll. The generator takes more of the processor by it.
type goroutines struct {
	timeout time.Duration // of a write
	sockets []*netSocket
	ready   chan int // sockets with something to read
	wg      sync.WaitGroup
	quit    chan struct{}
}

// netSocket is one socket. Its reader and the generator own buf in turns.
type netSocket struct {
	nc   net.Conn
	buf  []byte
	rest []byte        // of what was read
	err  error         // that ended the reader
	next chan struct{} // tells the reader to go on
}

const netBuffer = 64 << 10 // bytes that are read at once

func newGoroutines(timeout time.Duration) *goroutines {
	return &goroutines{timeout: timeout, ready: make(chan int), quit: make(chan struct{})}
}

func (p *goroutines) dial(addr string, timeout time.Duration) (int, error) {
	nc, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return 0, err
	}
	s, number := &netSocket{nc: nc, buf: make([]byte, netBuffer), next: make(chan struct{}, 1)}, len(p.sockets)
	p.sockets = append(p.sockets, s)
	p.wg.Go(func() {
		for s.err == nil {
			var n int
			n, s.err = nc.Read(s.buf)
			s.rest = s.buf[:n]
			select {
			case p.ready <- number:
			case <-p.quit:
				return
			}
			select {
			case <-s.next:
			case <-p.quit:
				return
			}
		}
	})
	return number, nil
}

func (p *goroutines) wait(timeout time.Duration, ready func(socket int) error) error {
	t := time.NewTimer(timeout)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case socket := <-p.ready:
		for s := p.sockets[socket]; len(s.rest) > 0 || s.err != nil; {
			if err := ready(socket); err != nil {
				return err
			}
		}
		p.sockets[socket].next <- struct{}{}
		return nil
	}
}

func (p *goroutines) read(socket int, b []byte) (int, error) {
	s := p.sockets[socket]
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	if n == 0 && s.err != nil {
		return 0, fmt.Errorf("load: reading: %w", s.err)
	}
	return n, nil
}

func (p *goroutines) write(socket int, b []byte) (int, error) {
	nc := p.sockets[socket].nc
	if err := nc.SetWriteDeadline(time.Now().Add(p.timeout)); err != nil {
		return 0, fmt.Errorf("load: writing: %w", err)
	}
	n, err := nc.Write(b)
	if err != nil {
		return n, fmt.Errorf("load: writing: %w", err)
	}
	return n, nil
}

func (p *goroutines) close() {
	close(p.quit)
	for _, s := range p.sockets {
		_ = s.nc.Close()
	}
	p.wg.Wait()
}
