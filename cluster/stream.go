package cluster

import (
	"errors"
	"net"
	"sync"
)

// replay is a connection whose first byte was read already.
type replay struct {
	net.Conn
	first []byte
}

func (r *replay) Read(p []byte) (int, error) {
	if len(r.first) > 0 && len(p) > 0 {
		n := copy(p, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(p)
}

var errStreamLong = errors.New("gossip connection brought too much")

// stream is a connection of memberlist's. It brings a bounded number of bytes
// and is closed with the bus.
type stream struct {
	net.Conn
	bus  *bus
	once sync.Once
	left int // bytes it may still bring
}

// stream makes one of a connection whose first bytes were read already. On an
// error the connection is closed.
func (b *bus) stream(nc net.Conn, first []byte) (*stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.ctx.Err()
	if err == nil && b.streams >= streamsMax {
		err = errStreams
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	b.streams++
	b.open[nc] = struct{}{}
	return &stream{Conn: &replay{Conn: nc, first: first}, bus: b, left: streamBytesMax}, nil
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, errStreamLong
	}
	n, err := s.Conn.Read(p[:min(len(p), s.left)])
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
		s.bus.streams--
		delete(s.bus.open, s.Conn.(*replay).Conn)
	})
	return s.Conn.Close()
}
