package store

// Scans walk a shard by position. Positions are stable: what is there during
// the whole scan is seen; what comes or goes meanwhile may or may not be.

// ScanJobs visits up to n positions from pos on and calls yield with each job
// it finds, until yield returns false. It returns the position to go on from,
// -1 at the end, and how many positions it visited.
func (s *Shard) ScanJobs(pos int64, n int, yield func(*Job) bool) (next int64, visited int) {
	end := int64(s.slots.limit()) - 1
	for more := true; pos < end && more; visited++ {
		if visited == n {
			return pos, visited
		}
		if s.slots.slabs[pos/slabSlots] == nil {
			pos = (pos/slabSlots + 1) * slabSlots
			continue
		}
		pos++
		if h := uint32(pos); s.slots.has(h) {
			more = yield(s.look(h))
		}
	}
	if pos >= end {
		return -1, visited
	}
	return pos, visited
}

// ScanQueues is ScanJobs for live queues, and with all for those too that only have
// jobs: delayed ones, copies of what other nodes deliver.
func (s *Shard) ScanQueues(now, pos int64, n int, all bool, yield func(QueueStat) bool) (next int64, visited int) {
	end := int64(len(s.queues))
	for more := true; pos < end && more; visited++ {
		if visited == n {
			return pos, visited
		}
		q := s.queues[pos]
		pos++
		if q != nil && (q.live || all && q.refs > 0) {
			more = yield(q.stat(now))
		}
	}
	if pos >= end {
		return -1, visited
	}
	return pos, visited
}
