package aof

import (
	"fmt"
	"io"
	"time"

	"github.com/disqo/disqo/store/planted"
)

// mark is what a batch says beside its records.
type mark struct {
	flags Flags
	first uint32 // if not 0, the log's first from this batch on
}

// flush writes what is buffered as one batch, and syncs if that is asked for by
// anybody. The token and mu are held; mu is let go meanwhile.
func (l *Log) flush(durable bool) error {
	if err := l.fit(0, true); err != nil {
		return err
	}
	if len(l.open) > BatchHeader {
		if err := l.writeOpen(mark{}); err != nil {
			return err
		}
	}
	if (durable || l.durables > 0 || l.always()) && l.syncedTo < l.off {
		return l.syncHead()
	}
	return nil
}

// flushMarked writes what is buffered, if only as an empty batch, with a mark,
// and makes it durable. It does not wait for space.
func (l *Log) flushMarked(m mark) error {
	if err := l.fit(BatchHeader, false); err != nil {
		return err
	}
	if err := l.writeOpen(m); err != nil {
		return err
	}
	return l.syncHead()
}

// fit makes sure that what is buffered fits the head, and least bytes at any
// rate, by going on in the next segment if need be. The token and mu are held;
// mu is let go meanwhile, so that more may have been appended: hence the loop.
// A *FullError is not final here, and nothing was lost.
func (l *Log) fit(least int64, wait bool) error {
	for l.err == nil {
		payload := int64(len(l.open) - BatchHeader)
		need := max(least, batchSize(payload))
		if payload == 0 && least == 0 || l.off+need+tail <= l.head.size {
			return nil
		}
		if err := l.rotate(nextSize(payload), wait); err != nil {
			return err
		}
	}
	return l.err
}

// writeOpen writes the open buffer as a batch to the head, where it fits, and
// publishes it as written. The token and mu are held; mu is let go meanwhile.
func (l *Log) writeOpen(m mark) error {
	batch, end := l.open, l.end.Load()
	l.open = append(l.other[:0], zeros[:BatchHeader]...)
	l.other = nil
	if m.first == 0 {
		m.first = l.first
	}
	l.image = l.image || m.flags&FlagImage != 0
	payload := len(batch) - BatchHeader
	batch = append(batch, zeros[:-payload&7]...)
	if err := l.write(batch, payload, m); err != nil {
		return l.fail(err)
	}
	l.first = m.first
	l.off += int64(len(batch))
	l.stats.Batches++
	if int64(cap(batch)) <= 2*l.limit+BatchHeader {
		l.other = batch
	}
	if l.err != nil {
		return l.err // the syncer failed meanwhile
	}
	l.written.Store(end)
	l.out.Add(-int64(payload))
	if quarter := l.head.size / 4; l.off >= quarter && l.off-int64(len(batch)) < quarter {
		l.look()
	}
	short := l.lacking()
	if short || len(l.rooms) > 0 {
		l.grant()
	}
	if short {
		kick(l.kickKeeper)
	}
	return nil
}

// write writes a batch of that much payload behind the last one; its first
// bytes are room for the header. The token and mu are held; mu is let go
// meanwhile.
func (l *Log) write(batch []byte, payload int, m mark) error {
	l.seq++
	h := batchHeader{
		length: uint32(payload), seq: l.seq, segment: l.head.number,
		first: m.first, synced: uint32(l.syncedTo), flags: m.flags,
	}
	if l.image {
		h.flags |= FlagImage
	}
	head, off := l.head, l.off
	l.mu.Unlock()
	defer l.mu.Lock()
	if !l.weaker.Load() && !l.doubt.Load() && l.always() { // in the order opposite to SetPolicy's
		h.flags |= FlagAlways
	}
	h.time = l.o.Now()
	h.sum = checksum(batch[BatchHeader : BatchHeader+payload])
	h.put(batch, l.salt)
	n, err := head.file.WriteAt(batch, off)
	if err == nil && n != len(batch) && !planted.Is(planted.IgnoreShortWrite) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("aof: writing %s at %d: %w", head.path, off, err)
	}
	return nil
}

// empty writes a batch without records: a seal, a close or an off, for which
// every segment has room. The token and mu are held; mu is let go meanwhile.
func (l *Log) empty(flags Flags) error {
	if err := l.write(make([]byte, BatchHeader), 0, mark{flags: flags, first: l.first}); err != nil {
		return l.fail(err)
	}
	l.off += BatchHeader
	l.stats.Batches++
	return l.err
}

// syncHead makes durable what was written to the head before the call. mu is
// held, and let go meanwhile; the token is not needed.
func (l *Log) syncHead() error {
	l.mu.Unlock()
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	if l.err != nil {
		return l.err
	}
	head, off, pos := l.head, l.off, l.written.Load()
	if l.syncedTo >= off {
		return nil
	}
	l.mu.Unlock()
	began := time.Now()
	var err error
	if !planted.Is(planted.AckBeforeSync) {
		err = head.file.Sync()
	}
	took := time.Since(began)
	l.mu.Lock()
	if err != nil {
		return l.fail(fmt.Errorf("aof: syncing %s: %w", head.path, err))
	}
	if l.err != nil {
		return l.err
	}
	l.stats.Syncs++
	l.stats.SyncLast = took
	l.stats.SyncTotal += took
	if took > time.Second {
		l.stats.Slow++
	}
	l.syncedTo = off
	l.synced.Store(pos)
	return nil
}
