package aof

import (
	"errors"
	"fmt"
)

// rotate seals the head and goes on in the next segment, of at least that size.
// The next one must be there before the seal says so, and the sealed one
// durable before the next gets its first byte. If wait is set and the disk is
// full, it waits for space. The token and mu are held; mu is let go meanwhile.
func (l *Log) rotate(size int64, wait bool) error {
	if err := l.awaitNext(size, wait); err != nil {
		return err
	}
	for l.head.busy {
		l.changed.Wait()
	}
	if err := l.empty(FlagSeal); err != nil {
		return err
	}
	if err := l.syncHead(); err != nil {
		return err
	}
	l.mu.Unlock()
	l.syncMu.Lock() // the syncer may be busy with the file that is closed now
	l.mu.Lock()
	old := l.head
	l.sealed = append(l.sealed, SealedSegment{old.number, l.off, l.off})
	used := l.off
	l.head, l.spares = l.spares[0], l.spares[1:]
	l.headNum.Store(l.head.number)
	l.off, l.syncedTo = SegmentHeader, SegmentHeader
	l.grant() // closes the fast path if there is no spare
	l.mu.Unlock()
	// What was allocated beyond the seal is given back; a crash that undoes
	// that leaves zeros.
	err := errors.Join(old.file.Truncate(used), old.file.Close())
	l.syncMu.Unlock()
	kick(l.kickKeeper)
	l.mu.Lock()
	l.look()
	if err != nil {
		return l.fail(fmt.Errorf("aof: closing %s: %w", old.path, err))
	}
	return l.err
}

// awaitNext returns when there is a next segment of at least that size. The
// token and mu are held; mu is let go meanwhile.
func (l *Log) awaitNext(size int64, wait bool) error {
	for len(l.spares) == 0 || l.spares[0].size < size {
		if l.err != nil {
			return l.err
		}
		switch {
		case l.full != nil && l.closing:
			return l.fail(l.full) // nobody will come to make room
		case l.full != nil && (l.o.Manual || !wait):
			return l.full
		case l.full != nil:
			l.changed.Wait()
		case l.o.Manual:
			l.wants(size)
			l.mu.Unlock()
			l.provide()
			l.mu.Lock()
		default:
			l.wants(size)
			l.changed.Wait()
		}
	}
	return l.err
}

// Rotate writes what is buffered and seals the head, if it holds anything. It
// fails with a *FullError while the disk is full, unless nothing is sealed:
// then that is the way to the garbage in the head.
func (l *Log) Rotate() error {
	if err := l.acquire(); err != nil {
		return err
	}
	defer l.release()
	if l.full != nil && len(l.sealed) > 0 {
		return l.full // what is left of the head is needed
	}
	if err := l.flush(false); err != nil {
		return err
	}
	if l.off == SegmentHeader {
		return nil
	}
	return l.rotate(0, false)
}
