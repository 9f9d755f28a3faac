package resp

// maxEcho is how much of a client's input an error text repeats, in bytes.
const maxEcho = 128

const hexDigits = "0123456789abcdef"

// AppendQuoted appends b to dst between double quotes, as MONITOR shows arguments: printable ASCII as it is, the rest
// with C's escapes (\n \r \t \a \b \\ \" or \xHH). An inline command reads it back unchanged.
func AppendQuoted(dst, b []byte) []byte {
	dst = append(dst, '"')
	for _, c := range b {
		switch c {
		case '\\', '"':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\a':
			dst = append(dst, '\\', 'a')
		case '\b':
			dst = append(dst, '\\', 'b')
		default:
			if printable(c) {
				dst = append(dst, c)
			} else {
				dst = append(dst, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
			}
		}
	}
	return append(dst, '"')
}

// Echo returns client input for use in an error text: its first 128 bytes at most, each CR and LF a space.
func Echo(b []byte) string {
	if len(b) > maxEcho {
		b = b[:maxEcho]
	}
	shown := make([]byte, len(b))
	for i, c := range b {
		if c == '\r' || c == '\n' {
			c = ' '
		}
		shown[i] = c
	}
	return string(shown)
}

// printable is C's isprint in the C locale.
func printable(c byte) bool { return ' ' <= c && c <= '~' }
