package resp

// split appends the words of line to dst, at most `most` of them, and counts all. Words alias line, which is written
// to where it has quotes. An empty word ("") is none. False means unbalanced quotes. The rules are sdssplitargs':
//
//	word      plain bytes up to a separator, then possibly one quoted part, which ends the word
//	"..."     with \n \r \t \b \a \xHH, and \c for any other c
//	'...'     with \' only
//
// A NUL is a byte like any other.
func split(dst [][]byte, line []byte, most int) (words [][]byte, n int, balanced bool) {
	for {
		for len(line) > 0 && space(line[0]) {
			line = line[1:]
		}
		if len(line) == 0 {
			return dst, n, true
		}
		var word []byte
		if word, line, balanced = cutWord(line); !balanced {
			return dst, n, false
		}
		if len(word) == 0 {
			continue
		}
		if n < most {
			dst = append(dst, word)
		}
		n++
	}
}

// cutWord cuts the word off the front of line, which does not begin with a space.
func cutWord(line []byte) (word, rest []byte, balanced bool) {
	for i, c := range line {
		switch c {
		case ' ', '\t', '\r', '\n':
			return line[:i], line[i:], true
		case '"':
			word, rest, balanced = unquoteDouble(line[:i], line[i+1:])
		case '\'':
			word, rest, balanced = unquoteSingle(line[:i], line[i+1:])
		default:
			continue
		}
		// The closing quote must be followed by a space or by nothing at all.
		return word, rest, balanced && (len(rest) == 0 || space(rest[0]))
	}
	return line, nil, true
}

// unquoteDouble appends to word what comes before the closing quote. Word may end where in begins: what is written is
// never longer than what was read.
func unquoteDouble(word, in []byte) (_, rest []byte, closed bool) {
	for i := 0; i < len(in); i++ {
		c := in[i]
		switch {
		case c == '"':
			return word, in[i+1:], true
		case c == '\\' && i+3 < len(in) && in[i+1] == 'x' && unhex(in[i+2]) >= 0 && unhex(in[i+3]) >= 0:
			c = byte(unhex(in[i+2])<<4 | unhex(in[i+3]))
			i += 3
		case c == '\\' && i+1 < len(in):
			i++
			c = unescape(in[i])
		}
		word = append(word, c)
	}
	return nil, nil, false
}

// unquoteSingle is unquoteDouble for single quotes.
func unquoteSingle(word, in []byte) (_, rest []byte, closed bool) {
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '\'' {
			return word, in[i+1:], true
		}
		if c == '\\' && i+1 < len(in) && in[i+1] == '\'' {
			i++
			c = '\''
		}
		word = append(word, c)
	}
	return nil, nil, false
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

// unhex is -1 for what is not a hexadecimal digit.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// space is C's isspace: what may stand between words. Inside a plain word, \v and \f are ordinary.
func space(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}
