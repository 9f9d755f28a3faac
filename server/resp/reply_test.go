package resp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReply(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		write        func(*Reply)
		resp2, resp3 string // resp3 "": the same
	}{
		"status":         {write: func(r *Reply) { r.Status("OK") }, resp2: "+OK\r\n"},
		"status, lines":  {write: func(r *Reply) { r.Status("a\r\n:1\r\n") }, resp2: "+a  :1  \r\n"},
		"error":          {write: func(r *Reply) { r.Error("ERR syntax error") }, resp2: "-ERR syntax error\r\n"},
		"error, lines":   {write: func(r *Reply) { r.Error("ERR '\r\n+OK\r\n'") }, resp2: "-ERR '  +OK  '\r\n"},
		"int":            {write: func(r *Reply) { r.Int(7) }, resp2: ":7\r\n"},
		"int, negative":  {write: func(r *Reply) { r.Int(-1) }, resp2: ":-1\r\n"},
		"int, min":       {write: func(r *Reply) { r.Int(-1 << 63) }, resp2: ":-9223372036854775808\r\n"},
		"bulk":           {write: func(r *Reply) { r.Bulk([]byte("a\r\nb")) }, resp2: "$4\r\na\r\nb\r\n"},
		"bulk, nil":      {write: func(r *Reply) { r.Bulk(nil) }, resp2: "$0\r\n\r\n"},
		"bulk string":    {write: func(r *Reply) { r.BulkString("0123456789") }, resp2: "$10\r\n0123456789\r\n"},
		"array":          {write: func(r *Reply) { r.Array(2); r.Int(1); r.Int(2) }, resp2: "*2\r\n:1\r\n:2\r\n"},
		"array, empty":   {write: func(r *Reply) { r.Array(0) }, resp2: "*0\r\n"},
		"map":            {write: func(r *Reply) { r.Int(9); r.Map(1); r.Int(1); r.Int(2) }, resp2: ":9\r\n*2\r\n:1\r\n:2\r\n", resp3: ":9\r\n%1\r\n:1\r\n:2\r\n"},
		"map, large":     {write: func(r *Reply) { r.Map(12) }, resp2: "*24\r\n", resp3: "%12\r\n"},
		"null":           {write: func(r *Reply) { r.Null() }, resp2: "$-1\r\n", resp3: "_\r\n"},
		"null array":     {write: func(r *Reply) { r.NullArray() }, resp2: "*-1\r\n", resp3: "_\r\n"},
		"null in arrays": {write: func(r *Reply) { r.Array(1); r.Null() }, resp2: "*1\r\n$-1\r\n", resp3: "*1\r\n_\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for proto, want := range map[int]string{0: row.resp2, 2: row.resp2, 3: row.resp3} {
				if want == "" {
					want = row.resp2
				}
				r := Reply{B: []byte("before"), Proto: proto}
				row.write(&r)
				require.Equal(t, "before"+want, string(r.B), "protocol %d", proto)
			}
		})
	}
}

func TestAppendQuoted(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       `""`,
		"ADDJOB":                 `"ADDJOB"`,
		"a \"b\" \\":             `"a \"b\" \\"`,
		"\n\r\t\a\b":             `"\n\r\t\a\b"`,
		"\x00\x1b[2J\x7f\xff~ '": `"\x00\x1b[2J\x7f\xff~ '"`,
	} {
		require.Equal(t, "> "+want, string(AppendQuoted([]byte("> "), []byte(in))))
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "",
		"foo":                    "foo",
		"a\r\nb\n":               "a  b ",
		"\x00\xff":               "\x00\xff",
		strings.Repeat("x", 128): strings.Repeat("x", 128),
		strings.Repeat("x", 129): strings.Repeat("x", 128),
	} {
		input := []byte(in)
		require.Equal(t, want, Echo(input))
		require.Equal(t, in, string(input), "the input is not ours to change")
	}
}
