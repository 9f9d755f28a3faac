package disqueaof

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Log is what the commands of a file leave when they are all executed.
type Log struct {
	Jobs    map[ID]*Job // those that are live, whatever their TTL says
	Loaded  int64       // LOADJOBs
	Removed int64       // DELJOBs
	Size    int64       // bytes of the commands
	Cut     int64       // bytes of a last command that is not whole, which was not executed; 0: there is none
}

// CorruptError says that a file is none that Disque wrote, or no longer.
type CorruptError struct {
	Offset int64 // where the first command begins that cannot be executed
	Err    error // what is wrong with it
}

// Error names the place and what is wrong there.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt at offset %d: %v", e.Offset, e.Err)
}

// Unwrap returns what is wrong.
func (e *CorruptError) Unwrap() error { return e.Err }

// seldom is how many commands are executed between two calls of progress.
const seldom = 256

// Read executes the commands of a log. It keeps the live jobs in memory, and beside
// them about twice the longest command, which has at most about 1 GiB. progress is
// called now and then with the bytes that were read and the jobs that are live.
// The end of the input within a command is no error: a node that was killed leaves
// such a file. Other errors are a *CorruptError, or of the input.
func Read(in io.Reader, progress func(done int64, live int)) (*Log, error) {
	r, l := newReader(in), &Log{Jobs: map[ID]*Job{}}
	for n := 0; ; n++ {
		if n%seldom == 0 {
			progress(r.offset, len(l.Jobs))
		}
		args, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return l, nil
		case errors.Is(err, errCut):
			if err = r.cutRightly(args); err == nil {
				l.Cut = r.offset - l.Size
				return l, nil
			}
		case err == nil:
			err = l.execute(args)
		}
		if failed := (*inputError)(nil); errors.As(err, &failed) {
			return nil, fmt.Errorf("at offset %d: %w", r.offset, failed.err)
		}
		if err != nil {
			return nil, &CorruptError{l.Size, err}
		}
		l.Size = r.offset
	}
}

// cutRightly reports an error if the command that the input ends in is longer than
// commands are. A wrong length in the middle of a file would swallow all behind it.
func (r *reader) cutRightly(args [][]byte) error {
	if len(args) < 2 {
		return nil
	}
	last, says := args[len(args)-1], r.announced()
	switch name(args) {
	case "LOADJOB":
		if len(last) < atID {
			return nil
		}
		if n := int64(binary.LittleEndian.Uint32(last)) + atID; n != int64(says) {
			return fmt.Errorf("LOADJOB of %d bytes: %w: %d", says, errLength, n)
		}
	default:
		if says > IDLen {
			return fmt.Errorf("%s: an argument of %d bytes", name(args), says)
		}
	}
	return nil
}

func name(args [][]byte) string { return strings.ToUpper(string(args[0])) }

// execute does what a command says, as Disque does when it loads it.
func (l *Log) execute(args [][]byte) error {
	switch name(args) {
	case "LOADJOB":
		if len(args) != 2 {
			return fmt.Errorf("LOADJOB has %d arguments, not one", len(args)-1)
		}
		return l.load(args[1])
	case "DELJOB", "ACKJOB":
		l.Removed++
		return each(args, func(id ID) { delete(l.Jobs, id) })
	case "DEQUEUE":
		return each(args, l.take)
	case "SELECT":
		return nil
	}
	return fmt.Errorf("%.60q is no command of an append-only file of Disque", args[0])
}

// load makes a job. One that is known stays as it is, as in Disque.
func (l *Log) load(serialized []byte) error {
	l.Loaded++
	j, err := ParseJob(bytes.Clone(serialized))
	if err != nil {
		return fmt.Errorf("LOADJOB: %w", err)
	}
	if _, known := l.Jobs[j.ID]; !known && j.State != Acked {
		l.Jobs[j.ID] = j
	}
	return nil
}

// take notes that a job left its queue, by GETJOB if the module wrote it.
func (l *Log) take(id ID) {
	if j := l.Jobs[id]; j != nil {
		j.State, j.Delivered = Active, true
	}
}

// each calls do with the ids of a command.
func each(args [][]byte, do func(ID)) error {
	for _, a := range args[1:] {
		id, err := parseID(a)
		if err != nil {
			return fmt.Errorf("%s: %w", name(args), err)
		}
		do(id)
	}
	return nil
}
