package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/disqo/disqo/server/disqueaof"
)

// ledger is the file that says which jobs were put, so that an import that stopped
// goes on without putting them twice. It is text, a line for each thing that happened:
//
//	old-id new-id   the job was put, and this is its new id
//	old-id ?        the job is about to be put; only of those with RETRY 0
//	old-id -        it was refused
//
// A job with RETRY 0 of which nothing more than ? is known may have been put: it is not
// put again. One with RETRY above 0 has no such line, and is: rather twice than never.
type ledger struct {
	f    *os.File
	out  *bufio.Writer
	past map[disqueaof.ID]bool // what was there when it was opened: true if put for certain
}

// openLedger makes a ledger, or goes on with the one that is there if resume says so.
func openLedger(path string, resume bool) (*ledger, error) {
	mode := os.O_RDWR | os.O_CREATE | os.O_EXCL
	if resume {
		mode = os.O_RDWR
	}
	f, err := os.OpenFile(path, mode, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil, fmt.Errorf("%s says that an import has begun: --resume goes on with it; to put all jobs once more, or elsewhere, name another file by --progress", path)
	case err != nil && resume:
		return nil, fmt.Errorf("--resume goes on with what a --progress file says: %w", err)
	case err != nil:
		return nil, fmt.Errorf("which jobs were put cannot be kept, see --progress: %w", err)
	}
	l := &ledger{f: f, out: bufio.NewWriter(f), past: map[disqueaof.ID]bool{}}
	if err := l.load(); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// load reads what is there. A last line that is cut is taken away.
func (l *ledger) load() error {
	in := bufio.NewReader(l.f)
	size := int64(0)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			if err := l.f.Truncate(size); err != nil {
				return err
			}
			_, err = l.f.Seek(size, io.SeekStart)
			return err
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		id, what, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
		if !ok || len(id) != disqueaof.IDLen || len(what) != 1 && len(what) != disqueaof.IDLen {
			return fmt.Errorf("line %d is none of a --progress file", n)
		}
		size += int64(len(line))
		if string(what) == "-" {
			delete(l.past, disqueaof.ID(id))
		} else {
			l.past[disqueaof.ID(id)] = string(what) != "?"
		}
	}
}

// note writes a line. It is in the file after flush; errors come then.
func (l *ledger) note(j *disqueaof.Job, what string) {
	_, _ = l.out.Write(j.ID[:])
	_, _ = l.out.WriteString(" " + what + "\n")
}

// begin notes that jobs are about to be put, and returns when that is on disk.
func (l *ledger) begin(jobs []*disqueaof.Job) error {
	once := false
	for _, j := range jobs {
		if j.Retry == 0 {
			l.note(j, "?")
			once = true
		}
	}
	if !once {
		return nil
	}
	if err := l.flush(); err != nil {
		return err
	}
	return l.f.Sync()
}

func (l *ledger) flush() error {
	if err := l.out.Flush(); err != nil {
		return fmt.Errorf("which jobs were put: %w", err)
	}
	return nil
}

func (l *ledger) close() error {
	return errors.Join(l.flush(), l.f.Close())
}
