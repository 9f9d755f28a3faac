package cluster

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// replay is a connection whose first byte was read already.
type replay struct {
	net.Conn
	first []byte
}

// NetConn returns the connection itself.
func (r *replay) NetConn() net.Conn { return r.Conn }

func (r *replay) Read(p []byte) (int, error) {
	if len(r.first) > 0 && len(p) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

// opening reads the first byte of a connection, which is still to be read by
// who gets it, or the id to which the connection is addressed.
func (b *bus) opening(nc net.Conn) (first, to []byte, err error) {
	if err := nc.SetReadDeadline(time.Now().Add(b.decideTime)); err != nil {
		return nil, nil, err
	}
	first = make([]byte, 1)
	if _, err := io.ReadFull(nc, first); err != nil {
		return nil, nil, err
	}
	if first[0] == byteTo {
		to = make([]byte, IDLen/2)
		if _, err := io.ReadFull(nc, to); err != nil {
			return nil, nil, err
		}
		first = nil
	}
	return first, to, nc.SetReadDeadline(time.Time{})
}

var errStreamLong = errors.New("gossip connection brought too much")

// stream is a connection of memberlist's. It brings a bounded number of bytes,
// announces no more, and is closed with the bus.
type stream struct {
	net.Conn
	bus  *bus
	in   bool // somebody else opened it
	once sync.Once

	r    io.Reader     // what it brings
	head *bufio.Reader // r until what it announces was looked at; nil if nobody needs to
	left int           // bytes it may still bring
}

// stream makes one of a connection whose first bytes were read already. in says
// that somebody else opened it. On an error the connection is closed.
func (b *bus) stream(nc net.Conn, first []byte, in bool) (*stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.ctx.Err()
	if err == nil && !in && b.streams >= streamsMax {
		err = errStreams
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	if in {
		b.inbound.Enter(nc)
	} else {
		b.streams++
	}
	b.open[nc] = struct{}{}
	s := &stream{Conn: nc, bus: b, in: in, r: &replay{Conn: nc, first: first}, left: streamBytesMax}
	if b.plain {
		s.head = bufio.NewReaderSize(s.r, headBytesMax)
		s.r = s.head
	}
	return s, nil
}

func (s *stream) Read(p []byte) (int, error) {
	if s.head != nil {
		if err := look(s.head); err != nil {
			return 0, err
		}
		s.head = nil
	}
	if s.left <= 0 {
		return 0, errStreamLong
	}
	n, err := s.r.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// Write closes the connection when it fails: memberlist does not always.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	if err != nil {
		_ = s.Close()
	}
	return n, err
}

// Close closes the connection; it may be called more than once.
func (s *stream) Close() error {
	s.once.Do(func() {
		s.bus.mu.Lock()
		defer s.bus.mu.Unlock()
		if s.in {
			s.bus.inbound.Leave(s.Conn)
		} else {
			s.bus.streams--
		}
		delete(s.bus.open, s.Conn)
	})
	return s.Conn.Close()
}
