package replication

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// A reader begins with a buffer of readBuffer bytes and keeps one that a large
// frame needed up to readKeep.
const (
	readBuffer = 32 << 10
	readKeep   = 256 << 10
)

// frame is one message. The payload belongs to the reader, until its next fill.
type frame struct {
	typ     byte
	payload []byte
}

// piece is a part of a frame that is larger than the buffer.
type piece struct {
	next *piece
	n    int
	b    [32<<10 - 16]byte
}

// frameReader takes a stream of bytes apart. A length that lies costs nothing:
// until a frame is complete and its checksum right, what the reader allocated
// is at most what arrived and 64 KiB.
type frameReader struct {
	r   io.Reader
	max int // what a frame's length may say

	buf        []byte
	head, tail int // buf[head:tail] arrived and was not handed out
	want       int // size of the frame at head, or of its head if that is not there yet

	first, last *piece // what follows tail, if the frame is larger than buf
	more        int    // bytes in the pieces
}

func newFrameReader(r io.Reader, most int) *frameReader {
	return &frameReader{r: r, max: most, buf: make([]byte, readBuffer), want: FrameOverhead}
}

// next returns the next frame if it is there. If it is not, and there is no
// error either, more has to be read by fill. An error is final.
func (f *frameReader) next() (frame, bool, error) {
	there := f.buf[f.head:f.tail]
	f.want = FrameOverhead
	if len(there) < FrameOverhead {
		return frame{}, false, nil
	}
	length := int64(binary.LittleEndian.Uint32(there))
	if length < FrameOverhead-frameSum || length > int64(f.max) {
		return frame{}, false, fmt.Errorf("a frame's length is %d, which is not in %d..%d", length, FrameOverhead-frameSum, f.max)
	}
	f.want = frameSum + int(length)
	if len(there)+f.more < f.want {
		return frame{}, false, nil
	}
	there = there[:min(f.want, len(there))]
	if has, says := f.sum(there[frameSum:]), binary.LittleEndian.Uint32(there[4:]); has != says {
		return frame{}, false, fmt.Errorf("a frame of %d bytes has checksum %08x, not %08x", f.want, has, says)
	}
	version, typ := there[frameSum], there[frameSum+1]
	if version != Version && typ != typeHello && typ != typeBye {
		return frame{}, false, fmt.Errorf("a frame has version %d, this node speaks %d", version, Version)
	}
	if f.first != nil {
		there = f.join(there)
	}
	f.head += f.want
	return frame{typ: typ, payload: there[FrameOverhead:]}, true, nil
}

// sum is the checksum of the body that begins with b.
func (f *frameReader) sum(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	for p := f.first; p != nil; p = p.next {
		sum = crc32.Update(sum, castagnoli, p.b[:p.n])
	}
	return sum
}

// join puts a frame's beginning and its pieces into one new buffer.
func (f *frameReader) join(begin []byte) []byte {
	whole := append(make([]byte, 0, f.want), begin...)
	for p := f.first; p != nil; p = p.next {
		whole = append(whole, p.b[:p.n]...)
	}
	f.buf, f.head, f.tail = whole, 0, len(whole)
	f.first, f.last, f.more = nil, nil, 0
	return whole
}

// fill reads once, and returns how many bytes came. The end of the stream is io.EOF between two frames, and
// io.ErrUnexpectedEOF within one.
func (f *frameReader) fill() (int, error) {
	if f.head > 0 {
		f.head, f.tail = 0, copy(f.buf, f.buf[f.head:f.tail])
	}
	if f.tail == 0 && len(f.buf) > readKeep {
		f.buf = make([]byte, readBuffer)
	}
	n, err := f.r.Read(f.space())
	if f.last != nil {
		f.last.n += n
		f.more += n
	} else {
		f.tail += n
	}
	if n > 0 {
		return n, nil // an error comes again
	}
	if err == io.EOF && f.tail > 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// space is where to read: the buffer, or a piece if the frame does not fit.
func (f *frameReader) space() []byte {
	if f.want <= len(f.buf) {
		return f.buf[f.tail:]
	}
	if f.last == nil && f.tail < len(f.buf) {
		return f.buf[f.tail:]
	}
	if f.last == nil || f.last.n == len(f.last.b) {
		p := &piece{}
		if f.last == nil {
			f.first = p
		} else {
			f.last.next = p
		}
		f.last = p
	}
	left := f.want - f.tail - f.more
	return f.last.b[f.last.n:min(f.last.n+left, len(f.last.b))]
}
