package aof

import (
	"errors"
	"io"
	"math"
	"time"

	"github.com/disqo/disqo/store/planted"
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

// mostSpares is how many segments are made ahead: one to go on in, and one in
// reserve.
const mostSpares = 2

// lacking says that there are too few spares, or too small ones: the reserve is
// due when the room without it is only as much above what ordinary reservations
// leave as may be outstanding. mu is held.
func (l *Log) lacking() bool {
	n := len(l.spares)
	if n == 0 || l.spares[0].size < l.due(0) {
		return true
	}
	return (n < mostSpares || l.spares[n-1].size < l.due(n-1)) && l.room() < l.kept(Ordinary)+l.limit
}

// due is the size that the i-th spare must have; a log that was opened goes on
// in one of whatever size, and so does one on a full disk. mu is held.
func (l *Log) due(i int) int64 {
	if i == 0 {
		return max(l.o.SegmentSize, l.want)
	}
	return l.o.SegmentSize
}

// provideOnce enlarges the first spare that is too small, or makes one, and
// reports whether to go on. mu is held, and let go meanwhile.
func (l *Log) provideOnce() bool {
	i := 0
	for i < len(l.spares) && l.spares[i].size >= l.due(i) {
		i++
	}
	number, size := l.head.number+1+uint32(i), l.due(i)
	if l.head.number+uint32(i) == math.MaxUint32 {
		_ = l.fail(errNumbers)
		return false
	}
	err := l.spare(number, size, 0)
	switch {
	case err == nil:
		l.full = nil
	case isFull(err):
		l.full = &FullError{l.path(segmentName(number)), size, err}
		l.want = 0 // whoever still needs it asks again
		l.makeDo(number)
		l.look()
	default:
		_ = l.fail(l.unmade(number, size, err))
		return false
	}
	if len(l.spares) > 0 && l.spares[0].size >= l.want {
		l.want = 0
	}
	l.provided()
	return err == nil || !l.lacking()
}

// spare makes the spare of a number, or enlarges the one that there is, if as
// much as over is left free then. mu is held, and let go meanwhile: it may
// become the head.
func (l *Log) spare(number uint32, size, over int64) error {
	if s := l.spareOf(number); s != nil {
		s.busy = true
		l.mu.Unlock()
		err := allocate(s.file, s.size, size, over)
		if err == nil {
			err = s.file.Sync()
		}
		l.mu.Lock()
		if s.busy = false; err == nil {
			s.size = size
		}
		return err
	}
	h := segmentHeader{number: number, previous: number - 1, epoch: l.epoch}
	l.mu.Unlock()
	made, err := l.make(h, size, over)
	l.mu.Lock()
	if err == nil {
		l.spares = append(l.spares, made)
	}
	return err
}

// spareOf returns the spare of a number, nil if there is none. mu is held.
func (l *Log) spareOf(number uint32) *segment {
	for _, s := range l.spares {
		if s.number == number {
			return s
		}
	}
	return nil
}

// makeDo makes a spare for which there is no space as large as the space allows,
// but for a little: what is freed is seldom a whole segment, and other files on
// a full disk need some. mu is held, and let go meanwhile.
func (l *Log) makeDo(number uint32) {
	least := max(minSegment, l.o.SegmentSize/64)
	for step := l.o.SegmentSize / 2; step >= least; step /= 2 {
		s := l.spareOf(number)
		size := step
		if s != nil {
			size += s.size
		}
		if s == nil && number <= l.head.number || size >= l.o.SegmentSize {
			continue // it is the head by now, or that was tried
		}
		if err := l.spare(number, size, least); l.err != nil || err != nil && !isFull(err) {
			_ = l.fail(l.unmade(number, size, err))
			return
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

// make makes a segment, if as much as over is left free then: its space, header and directory entry are durable
// afterwards. What it began is removed if it fails for lack of space.
func (l *Log) make(h segmentHeader, size, over int64) (*segment, error) {
	path := l.path(segmentName(h.number))
	h.created, h.salt = l.o.Now(), l.salt
	f, err := l.o.FS.Create(path)
	if err != nil {
		return nil, err
	}
	if err = allocate(f, 0, size, over); err == nil {
		err = l.prepare(f, h, size)
	}
	if err == nil {
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

// prepare fills a file that has its space with what a segment needs.
// Under Always its blocks are written once, as syncing them is faster then.
func (l *Log) prepare(f File, h segmentHeader, size int64) error {
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
	if planted.Is(planted.SkipDirSync) {
		return nil
	}
	return l.o.FS.SyncDir(l.o.Dir)
}

// allocate enlarges a file from one size to another, if as much as over is left
// free then. If not, it has the size that it had.
func allocate(f File, from, size, over int64) error {
	err := f.Allocate(size + over)
	keep := size
	if err != nil {
		keep = from
	} else if over == 0 {
		return nil
	}
	if failed := f.Truncate(keep); failed != nil {
		return failed
	}
	return err
}

func writeFull(f File, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// writeAgain overwrites f from one offset up to another with what is there.
func writeAgain(f File, from, to int64) error {
	chunk := make([]byte, max(0, min(to-from, 1<<20)))
	for from < to {
		b := chunk[:min(to-from, int64(len(chunk)))]
		if n, err := f.ReadAt(b, from); n < len(b) {
			return err
		}
		if err := writeFull(f, b, from); err != nil {
			return err
		}
		from += int64(len(b))
	}
	return nil
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
