package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answering returns a connection to something that answers with these bytes, and
// then ends.
func answering(t *testing.T, answer string) *Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() {
		_, _ = theirs.Read(make([]byte, 1024))
		_, _ = io.WriteString(theirs, answer)
		_ = theirs.Close()
	}()
	return &Conn{nc: ours, r: bufio.NewReaderSize(ours, readBytes)}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestReplies(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]any{
		"+OK\r\n":                        "OK",
		":-12\r\n":                       int64(-12),
		"$5\r\na\r\nbc\r\n":              "a\r\nbc",
		"$0\r\n\r\n":                     "",
		"$-1\r\n":                        nil,
		"*-1\r\n":                        nil,
		"*0\r\n":                         []any{},
		"*2\r\n$1\r\n7\r\n*1\r\n+x\r\n":  []any{"7", []any{"x"}},
		"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n": []any{[]any{[]any{[]any{int64(1)}}}},
		"+" + strings.Repeat("x", 60000) + "\r\n": strings.Repeat("x", 60000),
	} {
		got, err := answering(t, answer).Ask(soon(t), []string{"PING"})
		require.NoError(t, err, "%.80q", answer)
		require.Equal(t, []any{want}, got)
	}
}

func TestRepliesOfOthers(t *testing.T) {
	t.Parallel()
	const not = "not a reply of a broker: "
	for answer, want := range map[string]string{
		"-NOAUTH Authentication required.\r\n": "the broker says: NOAUTH Authentication required.",
		"*2\r\n+a\r\n-ERR b\r\n":               "the broker says: ERR b",
		"HTTP/1.1 400 Bad Request\r\n":         not,
		"+no end\n":                            not,
		"\r\n":                                 not,
		"\n":                                   not,
		"$99999999999\r\n":                     not, // what it takes to keep is not asked for
		"$-2\r\n":                              not,
		"$x\r\n":                               not + `"$x"`,
		"*99999999\r\n":                        not,
		strings.Repeat("*1\r\n", 9):            not,
		":1x\r\n":                              not,
		strings.Repeat("x", 2*readBytes):       not,
		"":                                     "EOF; does the port speak TLS?",
		"$5\r\nabc":                            "unexpected EOF",
		"*2\r\n:1\r\n":                         "EOF",
	} {
		_, err := answering(t, answer).Ask(soon(t), []string{"PING"})
		require.ErrorContains(t, err, want, "%.80q", answer)
	}
}
