package aof

import (
	"errors"
	"io"
	"math"
	"time"
)

// retryFull is how long the keeper waits before it tries again to allocate.
const retryFull = time.Second

// keep makes segments ahead of their use, until stopKeeper.
func (l *Log) keep() {
	defer close(l.keeperDone)
	for {
		var retry <-chan time.Time
		if l.Full() != nil {
			retry = time.After(retryFull)
		}
		select {
		case <-l.stopKeeper:
			return
		case <-l.kickKeeper:
		case <-retry:
		}
		l.provide()
		if l.over() {
			return
		}
	}
}

// over says that nothing more is to be written.
func (l *Log) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err != nil
}

// provide makes the spares that are due, and enlarges the first if somebody
// needs a larger one. A lack of space is the full state, every other error is final.
func (l *Log) provide() {
	l.keepMu.Lock()
	defer l.keepMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.err == nil && l.lacking() {
		if !l.provideOnce() {
			return
		}
	}
	if l.err == nil && l.full != nil {
		l.full = nil
		l.provided()
	}
}

// mostSpares is how many segments are made ahead: one to go on in, and when the
// head is three eighths full one in reserve. Without the reserve nothing is added
// beyond the middle of the head: what is left is what acknowledging and
// reclamation need on a full disk.
const mostSpares = 2

// reserveDue says that the head is so far filled that the reserve is due. mu is
// held.
func (l *Log) reserveDue() bool { return l.off >= l.head.size/8*3 }

// lacking says that there are too few spares, or too small ones. mu is held.
func (l *Log) lacking() bool {
	switch n := len(l.spares); {
	case n == 0:
		return true
	case l.spares[0].size < l.due():
		return true
	default:
		return n < mostSpares && l.reserveDue()
	}
}

// due is the size that the first spare must have; a log that was opened goes on
// in one of whatever size. mu is held.
func (l *Log) due() int64 { return max(l.o.SegmentSize, l.want) }

// provideOnce makes a spare, or enlarges the first, and reports whether it
// succeeded. mu is held, and let go meanwhile.
func (l *Log) provideOnce() bool {
	last := l.head.number + uint32(len(l.spares))
	if last == math.MaxUint32 {
		_ = l.fail(errNumbers)
		return false
	}
	h := segmentHeader{number: last + 1, previous: last, epoch: l.epoch}
	size := l.due()
	var small, made *segment
	if len(l.spares) > 0 && l.spares[0].size < size {
		small, h.number = l.spares[0], l.spares[0].number
		small.busy = true
	}
	l.mu.Unlock()
	var err error
	path := l.path(segmentName(h.number))
	if small != nil {
		err = enlarge(small.file, size)
	} else {
		made, err = l.make(h, size)
	}
	l.mu.Lock()
	if small != nil {
		small.busy = false
	}
	switch {
	case err == nil && small != nil:
		small.size, l.full = size, nil // it may have become the head meanwhile
	case err == nil:
		l.spares, l.full = append(l.spares, made), nil
	case isFull(err):
		l.full = &FullError{path, size, err}
		l.want = 0 // whoever still needs it asks again
		l.makeDo()
		l.look()
	default:
		_ = l.fail(l.unmade(h.number, size, err))
		return false
	}
	if len(l.spares) > 0 && l.spares[0].size >= l.want {
		l.want = 0
	}
	l.provided()
	return err == nil
}

// makeDo makes the spare that there is none of as large as the space allows:
// what is left of a head that was cut is some. mu is held, and let go meanwhile.
func (l *Log) makeDo() {
	least := max(minSegment, l.o.SegmentSize/8)
	for size := l.o.SegmentSize / 2; len(l.spares) == 0 && size >= least && l.err == nil; size /= 2 {
		h := segmentHeader{number: l.head.number + 1, previous: l.head.number, epoch: l.epoch}
		l.mu.Unlock()
		made, err := l.make(h, size)
		l.mu.Lock()
		switch {
		case err == nil:
			l.spares = append(l.spares, made)
		case !isFull(err):
			_ = l.fail(l.unmade(h.number, size, err))
		}
	}
}

// look tells the owner that segments that can go are wanted. mu is held.
func (l *Log) look() {
	if l.o.OnSpace != nil {
		l.o.OnSpace()
	}
}

// provided tells those who wait for a segment. mu is held.
func (l *Log) provided() {
	l.grant()
	l.changed.Broadcast()
}

// make makes a segment: its space, header and directory entry are durable
// afterwards. What it began is removed if it fails for lack of space.
func (l *Log) make(h segmentHeader, size int64) (*segment, error) {
	path := l.path(segmentName(h.number))
	h.created, h.salt = l.o.Now(), l.salt
	f, err := l.o.FS.Create(path)
	if err != nil {
		return nil, err
	}
	if err = l.prepare(f, h, size); err == nil {
		return &segment{number: h.number, path: path, file: f, size: size}, nil
	}
	closed := f.Close()
	if isFull(err) {
		// If these fail the disk has more wrong with it than a lack of space.
		if more := errors.Join(closed, l.o.FS.Remove(path)); more != nil {
			err = more
		}
	}
	return nil, err
}

// prepare fills a file that is empty or a spare with what a segment needs.
// Under Always its blocks are written once, as syncing them is faster then.
func (l *Log) prepare(f File, h segmentHeader, size int64) error {
	if err := f.Allocate(size); err != nil {
		return err
	}
	if l.always() {
		if err := writeZeros(f, SegmentHeader, size); err != nil {
			return err
		}
	}
	if err := writeFull(f, h.encode(), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if l.o.planted == skipDirSync {
		return nil
	}
	return l.o.FS.SyncDir(l.o.Dir)
}

func enlarge(f File, size int64) error {
	if err := f.Allocate(size); err != nil {
		return err
	}
	return f.Sync()
}

func writeFull(f File, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// writeZeros overwrites f from one offset up to another.
func writeZeros(f File, from, to int64) error {
	chunk := make([]byte, min(to-from, 1<<20))
	for from < to {
		n := min(to-from, int64(len(chunk)))
		if err := writeFull(f, chunk[:n], from); err != nil {
			return err
		}
		from += n
	}
	return nil
}
