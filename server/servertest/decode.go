package servertest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Failure is an error reply, without the minus sign.
type Failure string

// Decode turns the bytes of one reply into a string (bulk or status), int64,
// nil, Failure or []any; a map is the list of its keys and values.
func Decode(t testing.TB, raw string) any {
	t.Helper()
	v, rest := decodeOne(t, raw)
	require.Empty(t, rest, "something follows the reply %q", raw)
	return v
}

// decodeOne returns the first value of raw and what follows it.
func decodeOne(t testing.TB, raw string) (v any, rest string) {
	t.Helper()
	line, rest, whole := strings.Cut(raw, "\r\n")
	require.True(t, whole && line != "", "no reply: %q", raw)
	kind, text := line[0], line[1:]
	switch kind {
	case '+':
		return text, rest
	case '-':
		return Failure(text), rest
	case '_':
		return nil, rest
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err, "%q", raw)
	switch {
	case kind == ':':
		return n, rest
	case n < 0:
		return nil, rest
	case kind == '$':
		require.GreaterOrEqual(t, int64(len(rest)), n+2, "a cut bulk string: %q", raw)
		require.Equal(t, "\r\n", rest[n:n+2], "%q", raw)
		return rest[:n], rest[n+2:]
	case kind == '%':
		n *= 2
	default:
		require.Equal(t, byte('*'), kind, "%q", raw)
	}
	list := []any{}
	for range n {
		v, rest = decodeOne(t, rest)
		list = append(list, v)
	}
	return list, rest
}
