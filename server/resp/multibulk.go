package resp

import "bytes"

// frame is how far a command that is not yet complete was understood, so that no byte is looked at twice. The zero
// value stands before a command. Offsets count from Decoder.r: the buffer may move between two looks.
//
//	*2\r\n$6\r\nADDJOB\r\n$1048576\r\n.....
//	                                  ^ pos    args 2, left 1, bulk 1048576, inBulk
type frame struct {
	pos    int  // everything before was validated
	seen   int  // so many bytes from pos hold no LF (a header or an inline command)
	args   int  // arguments declared
	left   int  // arguments not yet complete
	bulk   int  // if inBulk: payload bytes at pos, CRLF excluded
	inBulk bool // the header of the argument was read, its payload was not

	over    *TooLargeError // set: the command is too large and is dropped as it arrives
	dropped int64          // if over: bytes of it dropped so far
}

// scan moves on through the multibulk command at buf[r:] as far as the buffer reaches, and returns true at its end.
func (d *Decoder) scan(lim *Limits) (bool, error) {
	f := &d.frame
	if f.left == 0 {
		if ok, err := d.scanCount(lim); !ok {
			return false, err
		}
	}
	for ; f.left > 0; f.left-- {
		if !f.inBulk {
			if ok, err := d.scanBulk(lim); !ok {
				return false, err
			}
		}
		if ok, err := d.scanPayload(); !ok {
			return false, err
		}
	}
	return true, nil
}

// scanCount reads "*N". A count of zero or less is a command without arguments.
func (d *Decoder) scanCount(lim *Limits) (bool, error) {
	n, ok, err := d.scanHeader(errCountLine, errCount)
	if !ok {
		return false, err
	}
	if err := lim.checkCount(n); err != nil {
		return false, err
	}
	d.frame.args = int(max(n, 0))
	d.frame.left = d.frame.args
	return true, nil
}

// scanBulk reads "$N" and decides here, before any of the payload, whether the command is too large to keep.
func (d *Decoder) scanBulk(lim *Limits) (bool, error) {
	f := &d.frame
	at := d.r + f.pos
	if at == d.w {
		return false, nil
	}
	if d.buf[at] != '$' {
		return false, errNotBulk(d.buf[at])
	}
	n, ok, err := d.scanHeader(errBulkLine, errBulk)
	if !ok {
		return false, err
	}
	if err := lim.checkBulk(n); err != nil {
		return false, err
	}
	f.bulk, f.inBulk = int(n), true
	if f.over == nil {
		f.over = lim.oversized(n, int64(f.pos)+n+2)
	}
	if f.over != nil {
		d.drop(f.pos)
	}
	return true, nil
}

// scanPayload passes over the payload without looking at it, and over the CRLF behind it.
func (d *Decoder) scanPayload() (bool, error) {
	f := &d.frame
	if f.over != nil {
		n := min(f.bulk, d.w-d.r)
		d.drop(n)
		f.bulk -= n
	}
	end := d.r + f.pos + f.bulk
	if d.w < end+2 {
		return false, nil
	}
	if d.buf[end] != '\r' || d.buf[end+1] != '\n' {
		return false, errCRLF
	}
	f.pos += f.bulk + 2
	f.bulk, f.inBulk = 0, false
	if f.over != nil {
		d.drop(f.pos)
	}
	return true, nil
}

// drop forgets the next n bytes of a command that is too large.
func (d *Decoder) drop(n int) {
	d.r += n
	d.frame.pos = 0
	d.frame.dropped += int64(n)
}

// scanHeader reads the number of the "*N\r\n" or "$N\r\n" at pos. The caller has seen the first byte.
func (d *Decoder) scanHeader(tooBig, invalid *ProtocolError) (n int64, ok bool, err error) {
	f := &d.frame
	b := d.buf[d.r+f.pos : d.w]
	end, found, fits := lineEnd(b, f.seen, ProtoMaxHeader)
	switch {
	case !fits:
		return 0, false, tooBig
	case !found:
		f.seen = len(b)
		return 0, false, nil
	case b[end-1] != '\r':
		return 0, false, invalid
	}
	if n, ok = parseInt(b[1 : end-1]); !ok {
		return 0, false, invalid
	}
	f.pos += end + 1
	f.seen = 0
	return n, true, nil
}

// lineEnd finds the LF of the line at b, of which the first seen bytes hold none. The line does not fit if more than
// limit bytes come before the LF; that is known without the LF.
func lineEnd(b []byte, seen, limit int) (end int, found, fits bool) {
	i := bytes.IndexByte(b[seen:], '\n')
	if i < 0 {
		return 0, false, len(b) <= limit
	}
	end = seen + i
	return end, true, end <= limit
}

// parseInt reads a decimal as Disque's string2ll does: no sign but '-', no leading zero, no space, within 64 bits.
func parseInt(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && (negative || len(b) > 1) {
		return 0, false
	}
	var n uint64 // 19 digits always fit
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true
	case n < 1<<63:
		return int64(n), true
	}
	return 0, false
}
