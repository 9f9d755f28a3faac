package resp

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// reference says what a decoder must make of in, all of it at hand. It is slow and keeps no state: each command is
// read from its first byte with regular expressions. partial means that the input ends inside a command.
func reference(in []byte, lim *Limits) (events []event, partial bool) {
	for len(in) > 0 {
		read := refInline
		if in[0] == '*' {
			read = refMultibulk
		}
		e, size := read(in, lim)
		switch {
		case size == refMore:
			return events, true
		case size == refFatal:
			return append(events, e), false
		case e.Err != "" || len(e.Args) > 0:
			events = append(events, e)
		}
		in = in[size:]
	}
	return events, false
}

// What the reference returns in place of the size of a command.
const (
	refMore  = -1
	refFatal = -2
)

var (
	refCount = regexp.MustCompile(`^\*(0|-?[1-9][0-9]*)\r$`)
	refBulk  = regexp.MustCompile(`^\$(0|-?[1-9][0-9]*)\r$`)
)

func refMultibulk(in []byte, lim *Limits) (event, int) {
	count, size, err := refNumber(in, refCount, "too big mbulk count string", "invalid multibulk length")
	switch {
	case size == refMore:
		return event{}, refMore
	case err != "":
		return failed(proto + err), refFatal
	case count > 1048576:
		return failed(proto + "invalid multibulk length"), refFatal
	case lim.Unauthenticated && count > int64(lim.UnauthArgs):
		return failed(proto + "unauthenticated multibulk length"), refFatal
	case count > int64(lim.MaxArgs):
		return failed(fmt.Sprintf("%stoo many arguments (%d), the limit is %d (max-arguments)", proto, count, lim.MaxArgs)), refFatal
	}
	var args []string
	var tooLarge, tooLong bool
	var oversized int64
	for range count {
		if size == len(in) {
			return event{}, refMore
		}
		if c := in[size]; c != '$' {
			shown := string(rune(c))
			if c < 32 || c > 126 {
				shown = fmt.Sprintf("\\x%02x", c)
			}
			return failed(proto + "expected '$', got '" + shown + "'"), refFatal
		}
		n, header, err := refNumber(in[size:], refBulk, "too big bulk count string", "invalid bulk length")
		switch {
		case header == refMore:
			return event{}, refMore
		case err != "":
			return failed(proto + err), refFatal
		case n < 0 || n > 512*1024*1024:
			return failed(proto + "invalid bulk length"), refFatal
		case lim.Unauthenticated && n > lim.UnauthBulk:
			return failed(proto + "unauthenticated bulk length"), refFatal
		}
		begin := size + header
		end := begin + int(n)
		switch {
		case tooLarge || tooLong:
		case n > lim.MaxBulk:
			tooLarge, oversized = true, n
		case int64(end+2) > lim.MaxCommand:
			tooLong = true
		}
		if len(in) < end+2 {
			return event{}, refMore
		}
		if string(in[end:end+2]) != "\r\n" {
			return failed(proto + "expected CRLF after bulk"), refFatal
		}
		args = append(args, string(in[begin:end]))
		size = end + 2
	}
	switch {
	case tooLarge:
		return failed(fmt.Sprintf("job of %d bytes exceeds max-job-size %d", oversized, lim.MaxBulk)), size
	case tooLong:
		return failed(fmt.Sprintf("command of %d bytes exceeds the limit of %d", size, lim.MaxCommand)), size
	}
	return event{Raw: string(in[:size]), Args: args}, size
}

// refNumber reads the number on the first line of in, and the size of that line.
func refNumber(in []byte, form *regexp.Regexp, tooBig, invalid string) (n int64, size int, err string) {
	line, _, found := bytes.Cut(in, []byte("\n"))
	if len(line) > 65536 {
		return 0, 0, tooBig
	}
	if !found {
		return 0, refMore, ""
	}
	match := form.FindSubmatch(line)
	if match == nil {
		return 0, 0, invalid
	}
	n, e := strconv.ParseInt(string(match[1]), 10, 64)
	if e != nil {
		return 0, 0, invalid
	}
	return n, len(line) + 1, ""
}

func refInline(in []byte, lim *Limits) (event, int) {
	line, _, found := bytes.Cut(in, []byte("\n"))
	if len(line) > lim.MaxInline {
		return failed(proto + "too big inline request"), refFatal
	}
	if !found {
		return event{}, refMore
	}
	args, ok := refWords(string(line))
	if !ok {
		return failed(proto + "unbalanced quotes in request"), refFatal
	}
	switch n := len(args); {
	case lim.Unauthenticated && n > lim.UnauthArgs:
		return failed(proto + "unauthenticated multibulk length"), refFatal
	case n > lim.MaxArgs:
		return failed(fmt.Sprintf("%stoo many arguments (%d), the limit is %d (max-arguments)", proto, n, lim.MaxArgs)), refFatal
	}
	for _, arg := range args {
		if n := int64(len(arg)); lim.Unauthenticated && n > lim.UnauthBulk {
			return failed(proto + "unauthenticated bulk length"), refFatal
		} else if n > lim.MaxBulk {
			return failed(fmt.Sprintf("job of %d bytes exceeds max-job-size %d", n, lim.MaxBulk)), len(line) + 1
		}
	}
	return event{Raw: string(in[:len(line)+1]), Args: args}, len(line) + 1
}

var (
	refSpace  = regexp.MustCompile(`^[ \t\n\v\f\r]+`)
	refPlain  = regexp.MustCompile(`(?s)^[^ \t\n\r"']*`)
	refDouble = regexp.MustCompile(`(?s)^"((?:[^"\\]|\\.)*)"([ \t\n\v\f\r]|$)`)
	refSingle = regexp.MustCompile(`(?s)^'((?:[^'\\]|\\+'|\\+[^'\\])*)'([ \t\n\v\f\r]|$)`)
	refEscape = regexp.MustCompile(`(?s)\\(x[0-9a-fA-F]{2}|.)`)
)

// refWords splits as sdssplitargs does. Go's regular expressions work on runes, so each byte is made a rune first.
func refWords(line string) (words []string, ok bool) {
	rest := latin1(line)
	for {
		rest = rest[len(refSpace.FindString(rest)):]
		if rest == "" {
			return words, true
		}
		word := refPlain.FindString(rest)
		rest = rest[len(word):]
		if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
			quoted := map[byte]*regexp.Regexp{'"': refDouble, '\'': refSingle}[rest[0]].FindStringSubmatch(rest)
			if quoted == nil {
				return nil, false
			}
			if rest[0] == '"' {
				word += refEscape.ReplaceAllStringFunc(quoted[1], refUnescape)
			} else {
				word += strings.ReplaceAll(quoted[1], `\'`, `'`)
			}
			rest = rest[len(quoted[1])+2:]
		}
		if word != "" {
			words = append(words, fromLatin1(word))
		}
	}
}

func refUnescape(escape string) string {
	if len(escape) == 4 && escape[1] == 'x' {
		code, _ := strconv.ParseUint(escape[2:], 16, 8)
		return string(rune(code))
	}
	if plain, ok := map[string]string{`\n`: "\n", `\r`: "\r", `\t`: "\t", `\b`: "\b", `\a`: "\a"}[escape]; ok {
		return plain
	}
	return escape[1:]
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func fromLatin1(s string) string {
	var out []byte
	for _, r := range s {
		out = append(out, byte(r))
	}
	return string(out)
}
