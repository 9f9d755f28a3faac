package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// conn is a connection that writes prepared bytes and reads replies without
// allocating for each.
type conn struct {
	nc      net.Conn
	r       *bufio.Reader
	out     []byte
	timeout time.Duration
}

func dial(ctx context.Context, addr string, timeout time.Duration) (*conn, error) {
	d := net.Dialer{Timeout: timeout}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{nc: nc, r: bufio.NewReaderSize(nc, 64<<10), timeout: timeout}, nil
}

func (c *conn) close() { _ = c.nc.Close() }

// flush sends what was gathered in out and sets the deadline of its replies.
func (c *conn) flush() error {
	if err := c.nc.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	_, err := c.nc.Write(c.out)
	c.out = c.out[:0]
	return err
}

// line reads a line without its end; it is valid until the next read.
func (c *conn) line() ([]byte, error) {
	b, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(b) < 3 {
		return nil, fmt.Errorf("bench: not a reply: %q", b)
	}
	return b[:len(b)-2], nil
}

// expect reads a one-line reply of the given kind and returns what follows it.
func (c *conn) expect(kind byte) ([]byte, error) {
	b, err := c.line()
	switch {
	case err != nil:
		return nil, err
	case b[0] == kind:
		return b[1:], nil
	case b[0] == '-':
		return nil, errors.New("bench: the broker says: " + string(b[1:]))
	}
	return nil, fmt.Errorf("bench: expected a reply of kind %c, got %q", kind, b)
}

// length reads the header of an array or a bulk string.
func (c *conn) length(kind byte) (int, error) {
	b, err := c.expect(kind)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// bulk reads a bulk string into dst.
func (c *conn) bulk(dst []byte) ([]byte, error) {
	n, err := c.length('$')
	if err != nil {
		return nil, err
	}
	if cap(dst) < n+2 {
		dst = make([]byte, n+2)
	}
	if _, err := io.ReadFull(c.r, dst[:n+2]); err != nil {
		return nil, err
	}
	return dst[:n], nil
}
