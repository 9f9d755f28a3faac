package top

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

// Bounds of a reply: far above what a broker says, and far below what would hurt.
// The longest line is what the reader's buffer holds.
const (
	bulkBytesMax  = 16 << 20 // INFO and CLUSTER NODES of a thousand nodes are 300 KB
	arrayMax      = 1 << 16  // a page of QSCAN has scanPage names
	depthMax      = 4        // QSTAT has a list in its list
	readBytes     = 64 << 10
	longestAnswer = 5 * time.Second // from the first command of a sample to its last reply
)

// conn is a connection to a broker.
type conn struct {
	nc net.Conn
	r  *bufio.Reader
}

// refusal is an error that the broker answered.
type refusal string

func (r refusal) Error() string { return "the broker says: " + string(r) }

// dial connects, and says who it is if there is a password.
func dial(ctx context.Context, o *options) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", o.addr)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, r: bufio.NewReaderSize(nc, readBytes)}
	if o.password != "" {
		if _, err := c.ask(ctx, []string{"AUTH", o.user, o.password}); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	return c, nil
}

// ask sends commands, as one pipeline, and returns their replies: string, int64,
// nil or []any. An error reply is an error, and so is the end of ctx, which must
// have a deadline; the connection is of no use after either.
func (c *conn) ask(ctx context.Context, commands ...[]string) ([]any, error) {
	deadline, _ := ctx.Deadline()
	if err := c.nc.SetDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.nc.SetDeadline(time.Unix(1, 0)) })()
	var out []byte
	for _, args := range commands {
		out = redcon.AppendArray(out, len(args))
		for _, a := range args {
			out = redcon.AppendBulkString(out, a)
		}
	}
	if _, err := c.nc.Write(out); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = c.reply(depthMax); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// reply reads one reply, with at most so many arrays in each other.
func (c *conn) reply(depth int) (any, error) {
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
		return nil, refusal(text)
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
	return nil, fmt.Errorf("not a reply of a broker: %.64q", text)
}

func (c *conn) bulk(n int) (any, error) {
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return nil, err
	}
	return string(b[:n]), nil
}

func (c *conn) array(n, depth int) (any, error) {
	list := make([]any, n)
	for i := range list {
		var err error
		if list[i], err = c.reply(depth); err != nil {
			return nil, err
		}
	}
	return list, nil
}
