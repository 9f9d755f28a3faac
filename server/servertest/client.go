package servertest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/redcon"
)

// patience bounds every wait of a test.
const patience = 30 * time.Second

// Client is a raw RESP connection. Its methods fail the test on an error and
// belong to the test's goroutine; Conn may be used from any.
type Client struct {
	t    testing.TB
	Conn net.Conn
	r    *bufio.Reader
}

// Dial connects to a TCP address and closes the connection with the test.
func Dial(t testing.TB, addr string) *Client {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return &Client{t: t, Conn: nc, r: bufio.NewReaderSize(nc, 64<<10)}
}

// Command encodes a command as an array of bulk strings.
func Command(args ...string) []byte {
	b := redcon.AppendArray(nil, len(args))
	for _, a := range args {
		b = redcon.AppendBulkString(b, a)
	}
	return b
}

// Send writes bytes as they are.
func (c *Client) Send(raw string) {
	c.t.Helper()
	require.NoError(c.t, c.Conn.SetWriteDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(c.Conn, raw)
	require.NoError(c.t, err)
}

// Raw reads exactly one reply and returns its bytes.
func (c *Client) Raw() string {
	c.t.Helper()
	var b bytes.Buffer
	require.NoError(c.t, c.read(&b))
	return b.String()
}

// Do sends a command and returns the bytes of its reply.
func (c *Client) Do(args ...string) string {
	c.t.Helper()
	c.Send(string(Command(args...)))
	return c.Raw()
}

// Closed waits for the end of the connection and fails on any further byte.
func (c *Client) Closed() {
	c.t.Helper()
	var b bytes.Buffer
	err := c.read(&b)
	require.Error(c.t, err, "unexpected reply %q", b.String())
	require.NotErrorIs(c.t, err, errTimeout, "the connection is still open")
}

// Silent checks that nothing arrives for a while. A wait for nothing cannot be
// a condition; the time is only how hard the check looks.
func (c *Client) Silent(d time.Duration) {
	c.t.Helper()
	require.NoError(c.t, c.Conn.SetReadDeadline(time.Now().Add(d)))
	_, err := c.r.Peek(1)
	var ne net.Error
	require.True(c.t, errors.As(err, &ne) && ne.Timeout(), "expected silence, got %v", err)
}

// Info returns a field of a section of INFO, which must be there.
func (c *Client) Info(section, key string) string {
	c.t.Helper()
	text := c.Do("INFO", section)
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return value
		}
	}
	require.Fail(c.t, "INFO "+section+" has no "+key, text)
	return ""
}

// pollEvery is how often Until asks.
const pollEvery = 3 * time.Millisecond

// Need returns where the first of the programs is that is installed. Without one it
// skips the test; in CI it fails.
func Need(t testing.TB, programs ...string) string {
	t.Helper()
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "%s is not installed", programs[0])
	return ""
}

// Missing skips a test that lacks something of the machine; in CI it fails.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("DISQO_CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Until waits for a condition and fails if it does not come. Unlike
// require.Eventually it asks in the test's goroutine, where a Client may be used.
func Until(t testing.TB, what string, within time.Duration, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(within); !holds(); <-tick.C {
		require.True(t, time.Now().Before(end), "still not so after %s: %s", within, what)
	}
}

// Job adds a job and returns its id.
func (c *Client) Job(queue, body string, options ...string) string {
	c.t.Helper()
	r := c.Do(append([]string{"ADDJOB", queue, body, "0"}, options...)...)
	require.Regexp(c.t, `^\+D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}\r\n$`, r)
	return r[1 : len(r)-2]
}

var errTimeout = errors.New("no reply in time")

func (c *Client) read(b *bytes.Buffer) error {
	if err := c.Conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	err := readReply(c.r, b)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return errTimeout
	}
	return err
}

// readReply copies one reply, RESP2 or RESP3, from r to b.
func readReply(r *bufio.Reader, b *bytes.Buffer) error {
	line, err := r.ReadString('\n')
	b.WriteString(line)
	if err != nil {
		return err
	}
	n := 0
	switch line[0] {
	case '+', '-', ':', '_', ',', '#', '(':
		return nil
	case '$', '*', '%', '~', '>':
		if n, err = strconv.Atoi(line[1 : len(line)-2]); err != nil {
			return fmt.Errorf("bad header %q: %w", line, err)
		}
	default:
		return fmt.Errorf("not a reply: %q", line)
	}
	if n < 0 {
		return nil
	}
	if line[0] == '$' {
		_, err := io.CopyN(b, r, int64(n)+2)
		return err
	}
	if line[0] == '%' {
		n *= 2
	}
	for range n {
		if err := readReply(r, b); err != nil {
			return err
		}
	}
	return nil
}

// DialTLS is Dial for a port that speaks TLS.
func DialTLS(t testing.TB, addr string, config *tls.Config) *Client {
	t.Helper()
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return &Client{t: t, Conn: nc, r: bufio.NewReaderSize(nc, 64<<10)}
}
