package store

// Scans walk a shard by position. Positions are stable: what is there during
// the whole scan is seen; what comes or goes meanwhile may or may not be.

// ScanJobs visits up to n positions from pos on and calls yield with each job
// it finds, until yield returns false. It returns the position to go on from,
// -1 at the end.
func (s *Shard) ScanJobs(pos int64, n int, yield func(*Job) bool) (next int64) {
	end := int64(s.slots.limit()) - 1
	for pos < end {
		if n == 0 {
			return pos
		}
		n--
		if s.slots.slabs[pos/slabSlots] == nil {
			pos = (pos/slabSlots + 1) * slabSlots
			continue
		}
		pos++
		if h := uint32(pos); s.slots.has(h) && !yield(s.view(h)) {
			break
		}
	}
	if pos >= end {
		return -1
	}
	return pos
}

// ScanQueues is ScanJobs for live queues.
func (s *Shard) ScanQueues(pos int64, n int, yield func(QueueStat) bool) (next int64) {
	end := int64(len(s.queues))
	for ; pos < end; pos++ {
		if n == 0 {
			return pos
		}
		n--
		if q := s.queues[pos]; q != nil && q.live && !yield(q.stat()) {
			pos++
			break
		}
	}
	if pos >= end {
		return -1
	}
	return pos
}
