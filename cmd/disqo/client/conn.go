package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/tidwall/redcon"
)

// Bounds of a reply: far above what a broker says, and far below what would hurt.
// The longest line is what the reader's buffer holds.
const (
	bulkBytesMax = 16 << 20 // INFO and CLUSTER NODES of a thousand nodes are 300 KB
	arrayMax     = 1 << 16  // a page of QSCAN has some thousand names
	depthMax     = 4        // QSTAT has a list in its list
	readBytes    = 64 << 10
)

// Conn is a connection to a broker. It belongs to one goroutine.
type Conn struct {
	nc     net.Conn
	r      *bufio.Reader
	secure bool
	heard  bool // a reply has come
}

// Refusal is an error that the broker answered.
type Refusal string

func (r Refusal) Error() string { return "the broker says: " + string(r) }

// Dial connects, and says who it is if there is a password; ctx must have a deadline.
// What the broker answers to a wrong password is a Refusal.
func Dial(ctx context.Context, o *Options) (*Conn, error) {
	nc, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &Conn{nc: nc, r: bufio.NewReaderSize(nc, readBytes), secure: o.TLS}
	if o.Password != "" {
		auth := []string{"AUTH", o.User, o.Password}
		if o.User == "" {
			auth = []string{"AUTH", o.Password}
		}
		if _, err := c.Ask(ctx, auth); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

func connect(ctx context.Context, o *Options) (net.Conn, error) {
	if !o.TLS {
		return new(net.Dialer).DialContext(ctx, "tcp", o.Addr)
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	nc, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", o.Addr)
	if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
		return nil, fmt.Errorf("%w (--cacert says which CA to trust, --sni for which name the certificate is)", untrusted)
	}
	return nc, err
}

// Close ends the connection.
func (c *Conn) Close() { _ = c.nc.Close() }

// AppendCommand appends a command as it is sent.
func AppendCommand(b []byte, words ...string) []byte {
	b = redcon.AppendArray(b, len(words))
	for _, w := range words {
		b = redcon.AppendBulkString(b, w)
	}
	return b
}

// Ask sends commands, as one pipeline, and returns their replies. An error reply is an
// error, and so is the end of ctx, which must have a deadline; the connection is of no
// use after either.
func (c *Conn) Ask(ctx context.Context, commands ...[]string) ([]any, error) {
	deadline, _ := ctx.Deadline()
	var out []byte
	for _, words := range commands {
		out = AppendCommand(out, words...)
	}
	defer context.AfterFunc(ctx, func() { _ = c.nc.SetDeadline(time.Unix(1, 0)) })()
	if err := c.Send(out, deadline); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = c.Reply(); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// Send sends commands as AppendCommand made them. All must be sent and answered by the
// deadline.
func (c *Conn) Send(commands []byte, deadline time.Time) error {
	if err := c.nc.SetDeadline(deadline); err != nil {
		return err
	}
	_, err := c.nc.Write(commands)
	return err
}

// Reply reads the next reply: string, int64, nil or []any. An error that the broker
// answered is a Refusal; after any other error the connection is of no use.
func (c *Conn) Reply() (any, error) {
	v, err := c.reply(depthMax)
	if err == io.EOF && !c.heard && !c.secure {
		err = fmt.Errorf("%w; does the port speak TLS?", err)
	}
	c.heard = true
	return v, err
}

// reply reads one reply, with at most so many arrays in each other.
func (c *Conn) reply(depth int) (any, error) {
	line, err := c.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || err == nil && (len(line) < 3 || line[len(line)-2] != '\r') {
		return nil, fmt.Errorf("not a reply of a broker: %.64q", line)
	}
	if err != nil {
		return nil, err
	}
	kind, text := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+':
		return text, nil
	case '-':
		return nil, Refusal(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
	case kind == ':':
		return n, nil
	case n == -1 && (kind == '$' || kind == '*'):
		return nil, nil
	case kind == '$' && n >= 0 && n <= bulkBytesMax:
		return c.bulk(int(n))
	case kind == '*' && n >= 0 && n <= arrayMax && depth > 0:
		return c.array(int(n), depth-1)
	}
	return nil, fmt.Errorf("not a reply of a broker: %.64q", string(kind)+text)
}

func (c *Conn) bulk(n int) (any, error) {
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}

func (c *Conn) array(n, depth int) (any, error) {
	list := make([]any, n)
	for i := range list {
		var err error
		if list[i], err = c.reply(depth); err != nil {
			return nil, err
		}
	}
	return list, nil
}
