package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// blanks are the bytes that separate words, those of C's isspace.
const blanks = " \t\r\n\v\f"

// shownBytesMax bounds how much of a bad line an error repeats.
const shownBytesMax = 128

var errQuotes = errors.New("unbalanced quotes, or no space after a closing quote")

// isComment reports whether a line holds no directive.
func isComment(line string) bool {
	line = strings.Trim(line, blanks)
	return line == "" || line[0] == '#'
}

// splitArgs cuts a line into words as Redis does. A word may hold quoted
// parts: "..." with \n \r \t \b \a, \xHH and \ before any other byte, or
// '...' in which only \' is special. A closing quote ends the word.
func splitArgs(line string) ([]string, error) {
	var args []string
	for {
		line = strings.TrimLeft(line, blanks)
		if line == "" {
			return args, nil
		}
		word, rest, err := nextWord(line)
		if err != nil {
			return nil, err
		}
		args, line = append(args, word), rest
	}
}

// nextWord reads one word from the start of line, which is not blank.
func nextWord(line string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		c := line[i]
		if strings.IndexByte(blanks, c) >= 0 {
			return b.String(), line[i:], nil
		}
		if c != '"' && c != '\'' {
			b.WriteByte(c)
			continue
		}
		n := unquote(&b, line[i:])
		rest = line[i+n:]
		if n == 0 || rest != "" && strings.IndexByte(blanks, rest[0]) < 0 {
			return "", "", errQuotes
		}
		return b.String(), rest, nil
	}
	return b.String(), "", nil
}

// unquote adds to b what the quoted string at the start of s means and returns
// its length with both quotes, 0 when the closing one is missing.
func unquote(b *strings.Builder, s string) int {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return i + 1
		case s[i] != '\\' || i+1 == len(s) || quote == '\'' && s[i+1] != '\'':
			b.WriteByte(s[i])
		case quote == '"' && s[i+1] == 'x' && i+3 < len(s) && isHex(s[i+2]) && isHex(s[i+3]):
			v, _ := strconv.ParseUint(s[i+2:i+4], 16, 8)
			b.WriteByte(byte(v))
			i += 3
		default:
			b.WriteByte(unescape(s[i+1]))
			i++
		}
	}
	return 0
}

// unescape returns the byte that \c stands for.
func unescape(c byte) byte {
	if i := strings.IndexByte("nrtba", c); i >= 0 {
		return "\n\r\t\b\a"[i]
	}
	return c
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// joinArgs is the inverse of splitArgs.
func joinArgs(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = quote(arg)
	}
	return strings.Join(quoted, " ")
}

// quote returns s as one word of a line, quoted only where it has to be.
func quote(s string) string {
	plain := escape(s)
	if s != "" && plain == s && !strings.Contains(s, " ") && !strings.Contains(s, "'") {
		return s
	}
	return `"` + plain + `"`
}

// escape writes quotes, backslashes and everything that is not printable as \
// escapes, so that the result is one line of text.
func escape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == utf8.RuneError && n == 1 || !unicode.IsPrint(r):
			for _, c := range []byte(s[i : i+n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// printable makes text from a user fit for one line of an error message: short
// and without control characters.
func printable(s string) string {
	s = strings.Trim(s, blanks)
	if len(s) > shownBytesMax {
		s = s[:shownBytesMax] + "..."
	}
	return visible(s)
}

// visible replaces what a terminal could not show, or could be confused by.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
