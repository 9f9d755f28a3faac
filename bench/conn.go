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

	"github.com/tidwall/redcon"
)

// conn is a connection that writes prepared bytes and reads replies without
// allocating for each.
type conn struct {
	nc      net.Conn
	r       *bufio.Reader
	out     []byte
	timeout time.Duration
	until   time.Time // the deadline that is set
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

// refusal is an error that the broker answered.
type refusal string

func (r refusal) Error() string { return "bench: the broker says: " + string(r) }

// do sends a command and returns its reply, of the given kind, as text.
func (c *conn) do(kind byte, args ...string) (string, error) {
	c.command(args...)
	if err := c.flush(); err != nil {
		return "", err
	}
	if kind != '$' {
		b, err := c.expect(kind)
		return string(b), err
	}
	b, err := c.bulk(nil)
	return string(b), err
}

// command adds a command to what the next flush sends.
func (c *conn) command(args ...string) {
	c.out = redcon.AppendArray(c.out, len(args))
	for _, a := range args {
		c.out = redcon.AppendBulkString(c.out, a)
	}
}

// flush sends what was gathered in out. Its replies have timeout to arrive, or
// an eighth less, as setting a deadline costs more than looking at the clock.
func (c *conn) flush() error {
	if now := time.Now(); c.until.Sub(now) < c.timeout-c.timeout/8 {
		c.until = now.Add(c.timeout)
		if err := c.nc.SetDeadline(c.until); err != nil {
			return err
		}
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
		return nil, refusal(b[1:])
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
	if n < 0 {
		return nil, errors.New("bench: a null where a text was expected")
	}
	if cap(dst) < n+2 {
		dst = make([]byte, n+2)
	}
	if _, err := io.ReadFull(c.r, dst[:n+2]); err != nil {
		return nil, err
	}
	return dst[:n], nil
}
