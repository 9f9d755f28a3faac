package aof

import (
	"errors"
	"fmt"
	"io"
)

// chunk is how much of a segment is read at a time, bytes.
const chunk = 1 << 20

// reader reads one file after the other through one buffer, which holds a
// chunk, or the largest batch.
type reader struct {
	fs   FS
	dir  string
	buf  []byte
	file File
	name string
	size int64
	salt uint32 // as the header says, be it damaged or not
	at   int64  // offset of window
	win  []byte
}

// open goes on with another file.
func (r *reader) open(name string) error {
	r.close()
	f, err := r.fs.Open(join(r.dir, name), false)
	if err != nil {
		return fmt.Errorf("aof: opening %s: %w", join(r.dir, name), err)
	}
	size, err := f.Size()
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("aof: size of %s: %w", join(r.dir, name), err)
	}
	r.file, r.name, r.size = f, name, size
	r.at, r.win, r.salt = 0, nil, 0
	if size < SegmentHeader {
		return nil
	}
	b, err := r.bytes(0, SegmentHeader)
	if err == nil {
		r.salt = le.Uint32(b[saltAt:])
	}
	return err
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close() // it was only read
		r.file = nil
	}
}

// bytes returns n bytes of the file at off, valid until the next call. The file
// must have them.
func (r *reader) bytes(off, n int64) ([]byte, error) {
	if off >= r.at && off+n <= r.at+int64(len(r.win)) {
		return r.win[off-r.at:][:n], nil
	}
	want := max(n, min(chunk, r.size-off))
	if int64(len(r.buf)) < want {
		r.buf = make([]byte, max(want, min(chunk, r.size)))
	}
	r.at, r.win = off, r.buf[:want]
	got, err := r.file.ReadAt(r.win, off)
	if int64(got) == want {
		return r.win[:n], nil
	}
	r.win = nil
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("aof: reading %s at %d: %w", join(r.dir, r.name), off, err)
}

// dirt returns the end of the last byte that is not zero at or behind from, or
// from if there is none.
func (r *reader) dirt(from int64) (int64, error) {
	end := from
	for off := from; off < r.size; {
		n := min(chunk, r.size-off)
		b, err := r.bytes(off, n)
		if err != nil {
			return 0, err
		}
		if !isZero(b) {
			last := len(b) - 1
			for b[last] == 0 {
				last--
			}
			end = off + int64(last) + 1
		}
		off += n
	}
	return end, nil
}

// used reports whether anything but zeros stands at or behind from.
func (r *reader) used(from int64) (bool, error) {
	for off := from; off < r.size; {
		n := min(chunk, r.size-off)
		b, err := r.bytes(off, n)
		if err != nil || !isZero(b) {
			return err == nil, err
		}
		off += n
	}
	return false, nil
}

// batch reads the batch at off; why says what is wrong with it, "" if nothing
// is. ok says that the header is right, so that the size is known.
func (r *reader) batch(off int64, segment uint32) (h batchHeader, payload []byte, why string, err error) {
	if off+BatchHeader > r.size {
		return h, nil, "the segment ends here", nil
	}
	b, err := r.bytes(off, BatchHeader)
	if err != nil {
		return h, nil, "", err
	}
	h, ok := decodeBatch(b, segment, r.salt, off)
	if !ok {
		why = "no valid batch header"
		if isZero(b) {
			why = "a hole of zeros"
		}
		return batchHeader{}, nil, why, nil
	}
	size := batchSize(int64(h.length))
	if off+size > r.size {
		return batchHeader{}, nil, "the batch is longer than the segment", nil
	}
	if b, err = r.bytes(off, size); err != nil {
		return h, nil, "", err
	}
	payload = b[BatchHeader : BatchHeader+h.length]
	switch {
	case checksum(payload) != h.sum:
		why = "the checksum of the batch's records is wrong"
	case !isZero(b[BatchHeader+h.length:]):
		why = "the padding of the batch is not zero"
	}
	return h, payload, why, nil
}
