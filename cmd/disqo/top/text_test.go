package top

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"mail":                            "mail",
		"":                                `""`,
		"two words":                       "two words",
		"Grüße 日本 😀":                      "Grüße 日本 😀",
		"\x1b]0;owned\a":                  `\x1b]0;owned\a`,
		"\x1b[2J\r\n\x00\x7f":             `\x1b[2J\r\n\x00\x7f`,
		"\u009b31m":                       `\u009b31m`, // CSI in one character
		"\xff\xfe":                        `\xff\xfe`,  // no UTF-8
		"\xc2\x9b and a half \xe6":        `\u009b and a half \xe6`,
		"a\u202eb\u200d\ufeff\u2028":      `a\u202eb\u200d\ufeff\u2028`, // turns the text round; not to be seen
		`\x1b`:                            `\\x1b`,
		"e\u0301":                         "e\u0301",
		"\u0301x":                         `\u0301x`, // would stand on what is before it
		"z" + strings.Repeat("\u0301", 5): "z\u0301\u0301\u0301" + `\u0301\u0301`,
	} {
		got := name(given)
		require.Equal(t, want, got)
		require.Equal(t, got, printable(got), "as it is for good")
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text  string
		cells int
		want  string
		used  int
	}{
		{"mail", 4, "mail", 4},
		{"mail", 9, "mail", 4},
		{"mail", 3, "ma~", 3},
		{"mail", 1, "~", 1},
		{"mail", 0, "", 0},
		{"", 0, "", 0},
		{"日本", 4, "日本", 4},
		{"日本", 3, "日~", 3},
		{"日本", 2, "~", 1}, // none is cut in half
		{"e\u0301e\u0301", 2, "e\u0301e\u0301", 2},
		{"e\u0301ee", 2, "e\u0301~", 2},
		{"Ａ😀", 4, "Ａ😀", 4},
	} {
		got, used := fit(test.text, test.cells)
		require.Equal(t, test.want, got, "%q in %d", test.text, test.cells)
		require.Equal(t, test.used, used, "%q in %d", test.text, test.cells)
	}
	require.Equal(t, "日~ ", left("日本語", 4))
	require.Equal(t, "  12", right("12", 4))
	require.Equal(t, "12345", right("12345", 4), "a figure is never cut")
}

// Whatever a line is made of, a terminal is told nothing but the line's styles,
// and the line is no wider than it.
func TestRenderedLinesAreHarmless(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		text := make([]byte, rnd.IntN(30))
		for i := range text {
			text[i] = byte(rnd.Uint32())
		}
		if rnd.IntN(2) == 0 {
			text = utf8.AppendRune(text, rune(rnd.IntN(0x30000)))
		}
		columns := rnd.IntN(40)
		l := line{{plain, string(text)}, {bad, string(text)}}
		shown := l.render(columns, false)
		width := 0
		for _, r := range shown {
			require.False(t, r < ' ' || r >= 0x7f && r < 0xa0, "%q of %q", shown, text)
			width += cells(r)
		}
		require.True(t, utf8.ValidString(shown))
		require.LessOrEqual(t, width, columns, "%q", shown)
		colored := l.render(columns, true)
		colored = strings.Replace(strings.Replace(colored, "\x1b[31m", "", 1), "\x1b[0m", "", 1)
		require.Equal(t, shown, strings.TrimRight(colored, " "))
	}
}
