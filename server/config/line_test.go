package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplitArgs(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"":                           nil,
		" \t\r\v\f":                  nil,
		"a  b\tc\r":                  {"a", "b", "c"},
		`a "" ''`:                    {"a", "", ""},
		`"a b" 'c d'`:                {"a b", "c d"},
		`a"b c"`:                     {"ab c"},
		`"\n\r\t\b\a\x41\xff\q\"\\"`: {"\n\r\t\b\aA\xffq\"\\"},
		`"\xZZ\x4"`:                  {"xZZx4"},
		`'it\'s \n "x"'`:             {`it's \n "x"`},
		`back\slash`:                 {`back\slash`},
		"ä \u00a0 x":                 {"ä", "\u00a0", "x"},
	} {
		args, err := splitArgs(line)
		require.NoError(t, err, line)
		require.Equal(t, want, args, line)
	}
	for _, line := range []string{`"`, `a "b`, `'`, `a 'b`, `"a"b`, `'a'"b"`, `"a\`, `"a\"`, `'a\'`} {
		_, err := splitArgs(line)
		require.ErrorIs(t, err, errQuotes, line)
	}
}

func TestQuoteIsTheInverse(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for word, want := range map[string]string{
		"":                     `""`,
		"plain":                "plain",
		"/srv/ä":               "/srv/ä",
		"a b":                  `"a b"`,
		"it's":                 `"it's"`,
		`say "hi"`:             `"say \"hi\""`,
		`c:\x`:                 `"c:\\x"`,
		"line\nline":           `"line\x0aline"`,
		"\xff\u00a0\u2028":     `"\xff\xc2\xa0\xe2\x80\xa8"`,
		"#hash":                "#hash",
		string(all):            "",
		strings.Repeat(`\`, 3): `"\\\\\\"`,
	} {
		line := quote(word)
		if want != "" {
			require.Equal(t, want, line)
		}
		require.NotContains(t, line, "\n")
		args, err := splitArgs("name " + line)
		require.NoError(t, err)
		require.Equal(t, []string{"name", word}, args)
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a?b?", printable(" a\x00b\x1b\r\n"))
	require.Equal(t, strings.Repeat("x", shownBytesMax)+"...", printable(strings.Repeat("x", 1000)))
}
