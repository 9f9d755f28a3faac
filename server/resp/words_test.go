package resp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		line string
		want []string // nil: no words
		bad  bool
	}{
		{line: ""},
		{line: " \t\r\n\v\f"},
		{line: "PING", want: []string{"PING"}},
		{line: "  a\tb \r c  ", want: []string{"a", "b", "c"}},
		{line: "a\vb \vc", want: []string{"a\vb", "c"}},
		{line: "nul\x00byte \xff", want: []string{"nul\x00byte", "\xff"}},
		{line: `a\n \"`, bad: true},
		{line: `a\n b\`, want: []string{`a\n`, `b\`}},
		{line: `"a b" c`, want: []string{"a b", "c"}},
		{line: `"\n\r\t\b\a\\\"\x41\xfF\q\'"`, want: []string{"\n\r\t\b\a\\\"A\xffq'"}},
		{line: `"\x4" "\x4g" "\x" "\xg1"`, want: []string{"x4", "x4g", "x", "xg1"}},
		{line: `"it's"`, want: []string{"it's"}},
		{line: `'a "b" \n \\ c' d`, want: []string{`a "b" \n \\ c`, "d"}},
		{line: `'it\'s' '\\'`, bad: true},
		{line: `'it\'s' '\\' x'`, want: []string{"it's", `\' x`}},
		{line: `pre"fix" pre'fix'`, want: []string{"prefix", "prefix"}},
		{line: `"" '' x ""`, want: []string{"x"}},
		{line: `""`},
		{line: "\"a\"\v'b'\f", want: []string{"a", "b"}},
		{line: `"a"b`, bad: true},
		{line: `'a'b`, bad: true},
		{line: `"a"'b'`, bad: true},
		{line: `"`, bad: true},
		{line: `'`, bad: true},
		{line: `"a\`, bad: true},
		{line: `"a\"`, bad: true},
		{line: `'a\'`, bad: true},
		{line: `x "a`, bad: true},
	} {
		words, n, ok := split(nil, []byte(row.line), 100)
		require.Equal(t, row.bad, !ok, row.line)
		reference, refOK := refWords(row.line)
		require.Equal(t, row.bad, !refOK, "reference: %s", row.line)
		if row.bad {
			continue
		}
		require.Equal(t, row.want, toStrings(words), row.line)
		require.Equal(t, row.want, reference, "reference: %s", row.line)
		require.Len(t, row.want, n, row.line)
	}
}

// Words beyond the limit are counted, not kept: 64 KiB of "a a a" would be 768 KiB of slices.
func TestSplitKeepsNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	words, n, ok := split(nil, []byte(strings.Repeat("a ", 30_000)), 3)
	require.True(t, ok)
	require.Equal(t, 30_000, n)
	require.Len(t, words, 3)
	require.LessOrEqual(t, cap(words), 4)
}

// What MONITOR shows can be typed back.
func TestSplitReadsWhatAppendQuotedWrites(t *testing.T) {
	t.Parallel()
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	words, n, ok := split(nil, AppendQuoted(nil, all), 1)
	require.True(t, ok)
	require.Equal(t, 1, n)
	require.Equal(t, all, words[0])
}

func toStrings(words [][]byte) (out []string) {
	for _, word := range words {
		out = append(out, string(word))
	}
	return out
}
