package top

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// marksMax is how many combining marks may stand on one character: a script
// needs two or three, a name of nothing else would paint over other lines.
const marksMax = 3

// printable returns text that cannot do anything to a terminal: what is not
// printable, UTF-8 or not, is written as Go would. Doing it twice changes nothing.
func printable(s string) string {
	var b strings.Builder
	marks := marksMax // none may be the first
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		marks++
		if !unicode.Is(unicode.M, r) {
			marks = 0
		}
		if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) || marks > marksMax {
			quoted := strconv.QuoteToASCII(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

// name is printable for a queue's name, which may be anything: no two look alike
// because one holds what the other is quoted as.
func name(s string) string {
	if s == "" {
		return `""`
	}
	return printable(strings.ReplaceAll(s, `\`, `\\`))
}

// cells is how wide a terminal shows a printable character.
func cells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// fit cuts printable text to a number of cells, and says how many it takes. What
// was cut ends with a tilde.
func fit(s string, most int) (text string, used int) {
	end, endUsed := 0, 0 // where the tilde would be
	for i, r := range s {
		n := cells(r)
		if used+n > most {
			if most < 1 {
				return "", 0
			}
			return s[:end] + "~", endUsed + 1
		}
		if used+n < most {
			end, endUsed = i+utf8.RuneLen(r), used+n
		}
		used += n
	}
	return s, used
}

// left is text in a column, and right a figure in one.
func left(s string, columns int) string {
	s, used := fit(s, columns)
	return s + strings.Repeat(" ", columns-used)
}

func right(s string, columns int) string {
	return strings.Repeat(" ", max(0, columns-utf8.RuneCountInString(s))) + s
}

// style is how a terminal shows text: the parameter of SGR.
type style string

const (
	plain  style = ""
	strong style = "1"
	header style = "7"
	good   style = "32"
	warn   style = "33"
	bad    style = "31"
)

// span is text of one style, line what stands beside each other.
type span struct {
	style style
	text  string
}

type line []span

// render returns the line for a terminal of that width. It is the one way by which
// text comes onto a terminal.
func (l line) render(columns int, color bool) string {
	var b strings.Builder
	for _, s := range l {
		text, used := fit(printable(s.text), columns)
		columns -= used
		if color && s.style != plain && text != "" {
			text = "\x1b[" + string(s.style) + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
	}
	return strings.TrimRight(b.String(), " ")
}
