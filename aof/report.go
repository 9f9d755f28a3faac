package aof

// Batch is a batch that Scan visits. It and the memory of its records are
// valid during the visit only.
type Batch struct {
	Segment uint32 // number of the segment
	Offset  int64  // in the segment, bytes
	Seq     uint64 // counts the batches of an epoch, from 1
	Time    int64  // when it was written, ms since the epoch
	Flags   Flags
	First   uint32 // the oldest segment that was part of the log then
	Synced  int64  // what was known to be durable of the segment then, bytes
	Bytes   int64  // of the records with their frames

	Done, Total int64 // bytes of log read, and to be read, for progress

	payload []byte
}

// Records calls yield with each record, in order, until it returns false.
func (b *Batch) Records(yield func(rec []byte) bool) {
	rest := b.payload
	for len(rest) > 0 {
		var rec []byte
		var ok bool
		if rec, rest, ok = cutRecord(rest); !ok || !yield(rec) {
			return
		}
	}
}

// SegmentInfo describes a segment of the log.
type SegmentInfo struct {
	Number  uint32
	Name    string
	Epoch   uint64
	Created int64 // ms since the epoch
	Size    int64 // of the file, bytes
	Used    int64 // end of the last valid batch, bytes
	Batches int
	Records int
	Spare   bool // made ahead, holds nothing
}

// Report says what Scan found.
type Report struct {
	Dir      string
	Epoch    uint64        // 0 if there is no segment
	Segments []SegmentInfo // of the log, the oldest first; spares are the last
	Stale    []string      // files that are no part of the log: of other epochs, or forgotten ones

	Batches int
	Records int
	Bytes   int64 // of valid batches and segment headers

	Clean  bool       // stopped cleanly
	Always bool       // the last batch was written under Always
	Off    bool       // switched off: an empty log
	Empty  bool       // there is no log, or none whose image is complete
	Torn   *TornError // nil if the end is whole
}
