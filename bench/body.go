package bench

import "encoding/binary"

// bodySpread is by how many bytes bodies of a torture differ in length.
const bodySpread = 120

// appendBody appends the body of job n: its number, and bytes that follow from
// it, so that a mangled or cut body is noticed.
func appendBody(dst []byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, n)
	for i := range n * 7 % bodySpread {
		dst = append(dst, byte(n*31+i))
	}
	return dst
}

// bodySize is the length of the body of job n.
func bodySize(n uint64) int { return 8 + int(n*7%bodySpread) }

// bodyNumber returns the number in a body, and whether the body is as it was
// sent.
func bodyNumber(b []byte) (n uint64, ok bool) {
	if len(b) < 8 {
		return 0, false
	}
	n = binary.BigEndian.Uint64(b)
	if len(b) != bodySize(n) {
		return n, false
	}
	for i, x := range b[8:] {
		if x != byte(n*31+uint64(i)) {
			return n, false
		}
	}
	return n, true
}
