package disqueaof

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// What a command may have. Disque writes two arguments, and its bodies and names of
// queues have at most 512 MiB each.
const (
	maxArgs    = 1024
	maxName    = 32            // bytes of the first argument
	maxCommand = 1<<30 + 1<<20 // bytes of all arguments
	maxHeader  = 16            // bytes of a line that has a number
)

// readStep is how many bytes of an argument are made room for at a time, so that
// memory is taken for what is there and not for what a length says.
const readStep = 1 << 20

// errCut says that the input ends within a command.
var errCut = errors.New("the input ends within a command")

// inputError is an error of the input, which says nothing of what is in it.
type inputError struct{ err error }

func (e *inputError) Error() string { return e.err.Error() }

// reader reads commands. An error that is neither io.EOF nor errCut nor an *inputError
// says why what it read is no command.
type reader struct {
	in     *bufio.Reader
	offset int64    // how many bytes were read
	buf    []byte   // the arguments of the last command
	ends   []int    // where each ends in buf; cut: where it should
	args   [][]byte // reused
}

func newReader(in io.Reader) *reader { return &reader{in: bufio.NewReaderSize(in, 64<<10)} }

// next returns the arguments of the next command, which live until the one after it;
// io.EOF if there is none. With errCut it returns what there is of the command, its
// last argument perhaps in part.
func (r *reader) next() ([][]byte, error) {
	r.buf, r.ends = r.buf[:0], r.ends[:0]
	if _, err := r.in.Peek(1); errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	n, err := r.header('*', maxArgs)
	if err == nil && n == 0 {
		err = errors.New("a command without a name")
	}
	for i := 0; i < n && err == nil; i++ {
		err = r.argument(i == 0)
	}
	if err != nil && !errors.Is(err, errCut) {
		return nil, err
	}
	r.args = r.args[:0]
	from := 0
	for _, end := range r.ends {
		r.args = append(r.args, r.buf[from:min(end, len(r.buf))])
		from = min(end, len(r.buf))
	}
	return r.args, err
}

// announced returns how long the last argument should be.
func (r *reader) announced() int {
	n := r.ends[len(r.ends)-1]
	if len(r.ends) > 1 {
		n -= r.ends[len(r.ends)-2]
	}
	return n
}

// argument reads a bulk string; the first one is a name.
func (r *reader) argument(name bool) error {
	most := maxCommand - len(r.buf)
	if name {
		most = maxName
	}
	n, err := r.header('$', most)
	if err != nil {
		return err
	}
	end := len(r.buf) + n
	r.ends = append(r.ends, end)
	for have := len(r.buf); have < end; have = len(r.buf) {
		step := min(end-have, readStep)
		r.buf = slices.Grow(r.buf, step)
		got, err := io.ReadFull(r.in, r.buf[have:have+step])
		r.buf = r.buf[:have+got]
		r.offset += int64(got)
		if err != nil {
			return cut(err)
		}
	}
	var crlf [2]byte
	got, err := io.ReadFull(r.in, crlf[:])
	r.offset += int64(got)
	if err != nil {
		return cut(err)
	}
	if string(crlf[:]) != "\r\n" {
		return fmt.Errorf("an argument of %d bytes is followed by %q", n, crlf)
	}
	return nil
}

// header reads a line that is kind and a number from 0 to most.
func (r *reader) header(kind byte, most int) (int, error) {
	var line [maxHeader]byte
	n := 0
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		r.offset++
		if n == 0 && c != kind {
			return 0, fmt.Errorf("%q instead of %q", c, kind)
		}
		if n == maxHeader {
			return 0, fmt.Errorf("a line that does not end: %q", line)
		}
		if c == '\n' {
			break
		}
		line[n] = c
		n++
	}
	if line[n-1] != '\r' {
		return 0, fmt.Errorf("a line that ends without a carriage return: %q", line[:n])
	}
	text := string(line[1 : n-1])
	v, err := strconv.ParseUint(text, 10, 63)
	if err != nil || v > uint64(most) {
		return 0, fmt.Errorf("%c is followed by %q, no number up to %d", kind, text, most)
	}
	return int(v), nil
}

// cut tells the end of the input within a command from errors of the input.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return &inputError{err}
}
