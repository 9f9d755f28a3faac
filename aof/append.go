package aof

// Append appends the records buf[:ends[0]], buf[ends[0]:ends[1]] and so on,
// and gives back reserved bytes of a reservation. What exceeds that goes beyond
// the bound of the buffer. It copies buf, and never blocks for I/O: callers
// hold the locks that order the records. It returns the position after them;
// a log that failed or was closed drops them, and no Commit of that position
// succeeds.
func (l *Log) Append(buf []byte, ends []int, reserved int) Pos {
	size := len(ends) * RecordOverhead
	if len(ends) > 0 {
		size += ends[len(ends)-1]
	}
	l.mu.Lock()
	pos := l.end.Load() + uint64(size)
	l.end.Store(pos)
	if l.err != nil {
		l.mu.Unlock()
		l.out.Add(-int64(reserved))
		return Pos(pos)
	}
	at := 0
	for _, end := range ends {
		l.open = appendRecord(l.open, buf[at:end])
		at = end
	}
	parked := l.parked
	l.parked = false
	if over := int64(size - reserved); over != 0 {
		l.out.Add(over)
		if over < 0 && len(l.rooms) > 0 {
			l.grant()
		}
	}
	l.mu.Unlock()
	if parked {
		kick(l.kickSyncer)
	}
	return Pos(pos)
}
