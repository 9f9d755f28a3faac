package load

import (
	"bytes"

	"github.com/tidwall/redcon"
)

// cutLine returns the first line without its end, and its length with it; 0
// if it is not whole.
func cutLine(b []byte) (line []byte, used int) {
	if i := bytes.IndexByte(b, '\n'); i > 0 {
		return b[:i-1], i + 1
	}
	return b, 0
}

// decimal reads a number; ok is false if there is none.
func decimal(b []byte) (n int, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	for _, c := range b {
		if c < '0' || c > '9' || n > 1<<40 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		n = -n
	}
	return n, len(b) > 0
}

// reader walks through a reply. After an error, or where the reply is not
// whole, it stands still.
type reader struct {
	b    []byte
	at   int
	more bool // the reply is not whole
	err  error
}

// used is what protocol's parsers return.
func (r *reader) used() (int, error) {
	if r.err != nil || r.more {
		return 0, r.err
	}
	return r.at, nil
}

func (r *reader) fine() bool { return r.err == nil && !r.more }

// head reads a line of the given kind with a number.
func (r *reader) head(kind byte) int {
	if !r.fine() {
		return 0
	}
	line, used := cutLine(r.b[r.at:])
	if used == 0 {
		r.more = true
		return 0
	}
	n, ok := 0, false
	if len(line) > 0 && line[0] == kind {
		n, ok = decimal(line[1:])
	}
	if !ok {
		r.err = unexpected(r.b[r.at:])
		return 0
	}
	r.at += used
	return n
}

// bulk reads a text; it is valid as long as b is.
func (r *reader) bulk() []byte {
	n := r.head('$')
	if !r.fine() {
		return nil
	}
	if n < 0 {
		r.err = errNull
		return nil
	}
	if len(r.b)-r.at < n+2 {
		r.more = true
		return nil
	}
	text := r.b[r.at : r.at+n]
	r.at += n + 2
	return text
}

// null reads a null, if there is one, of an array or of a text.
func (r *reader) null() bool {
	if rest := r.b[r.at:]; r.fine() && len(rest) >= 5 && rest[1] == '-' && rest[2] == '1' && (rest[0] == '*' || rest[0] == '$') {
		r.at += 5
		return true
	}
	return false
}

// integer reads a number that must be the one given.
func integer(b []byte, want int) (int, error) {
	r := reader{b: b}
	if n := r.head(':'); r.fine() && n != want {
		return 0, unexpected(b)
	}
	return r.used()
}

// command appends a command.
func command(out []byte, args ...string) []byte { return commandOf(out, nil, args...) }

// commandOf appends a command with a list of ids.
func commandOf(out []byte, ids [][]byte, args ...string) []byte {
	out = redcon.AppendArray(out, len(args)+len(ids))
	for _, a := range args {
		out = redcon.AppendBulkString(out, a)
	}
	for _, id := range ids {
		out = redcon.AppendBulk(out, id)
	}
	return out
}
