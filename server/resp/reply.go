package resp

import "github.com/tidwall/redcon"

// Reply appends RESP to B in protocol version Proto: 3, or 2 for any other value. It grows B with append and owns
// nothing else; the caller takes B, writes it, and may set it to B[:0] to reuse its memory. Arguments are copied.
type Reply struct {
	B     []byte
	Proto int
}

// Status appends a simple string such as OK. CR and LF in s become spaces.
func (r *Reply) Status(s string) { r.B = redcon.AppendString(r.B, s) }

// Error appends an error; s begins with its code ("ERR syntax error"). CR and LF in s become spaces.
func (r *Reply) Error(s string) { r.B = redcon.AppendError(r.B, s) }

// Int appends an integer.
func (r *Reply) Int(n int64) { r.B = redcon.AppendInt(r.B, n) }

// Bulk appends a binary-safe string. A nil b is an empty string, not a null.
func (r *Reply) Bulk(b []byte) { r.B = redcon.AppendBulk(r.B, b) }

// BulkString is Bulk for a string.
func (r *Reply) BulkString(s string) { r.B = redcon.AppendBulkString(r.B, s) }

// Array opens an array: the next n replies are its elements.
func (r *Reply) Array(n int) { r.B = redcon.AppendArray(r.B, n) }

// Map opens a map: the next 2n replies are its keys and values in turn. RESP2 has no maps; there it is an array of 2n.
func (r *Reply) Map(n int) {
	if r.Proto != 3 {
		r.Array(2 * n)
		return
	}
	at := len(r.B)
	r.Array(n)
	r.B[at] = '%'
}

// Null appends "no such thing": RESP2's null bulk, RESP3's null.
func (r *Reply) Null() {
	if r.Proto == 3 {
		r.B = append(r.B, "_\r\n"...)
		return
	}
	r.B = redcon.AppendNull(r.B)
}

// NullArray appends "no list": RESP2's null array, RESP3's null.
func (r *Reply) NullArray() {
	if r.Proto == 3 {
		r.Null()
		return
	}
	r.Array(-1)
}
