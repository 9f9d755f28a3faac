package aof

// WithVersion returns a segment that says it is of another format.
func WithVersion(b []byte, version uint32) []byte {
	le.PutUint32(b[8:], version)
	clear(b[12:16])
	le.PutUint32(b[12:], checksum(b[:SegmentHeader]))
	return b
}

// AppendRecord is the encoding of a record.
var AppendRecord = appendRecord

// CutRecord returns the first record of some.
func CutRecord(b []byte) (rec []byte, ok bool) {
	rec, _, ok = cutRecord(b)
	return rec, ok
}

// Heal makes the checksums of a segment right, as far as its batches can be
// followed.
func Heal(b []byte) {
	copy(b, segmentMagic)
	WithVersion(b, formatVersion)
	for off := SegmentHeader; off+BatchHeader <= len(b); {
		h := b[off:]
		if le.Uint32(h) == 0 {
			return
		}
		le.PutUint32(h, batchMagic)
		if n := int64(le.Uint32(h[12:])); batchSize(n) <= int64(len(h)) {
			le.PutUint32(h[8:], checksum(h[BatchHeader:][:n]))
			off += int(batchSize(n))
		} else {
			off = len(b)
		}
		le.PutUint32(h[4:], headerSum(h, le.Uint32(b[saltAt:])))
	}
}

// ForgedBatch is what a client that does not know the salt can make: an empty
// batch that claims that everything before synced was durable.
func ForgedBatch(segment, synced uint32) []byte {
	b := make([]byte, BatchHeader)
	h := batchHeader{seq: 1 << 40, segment: segment, first: 1, synced: synced}
	h.put(b, 0)
	return b
}

// MayDrop reports whether a Drop would begin at once.
func MayDrop(l *Log) bool {
	if !l.dropMu.TryLock() {
		return false
	}
	l.dropMu.Unlock()
	return true
}

// Closing reports whether the log is being closed.
func Closing(l *Log) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}
