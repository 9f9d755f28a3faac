package node

import "time"

// Clock returns a clock in milliseconds since the epoch: the wall's time when
// it was made plus the monotonic time since, so that setting the wall clock
// moves no lease, delay or TTL.
func Clock() func() int64 {
	start := time.Now()
	base := start.UnixMilli()
	return func() int64 { return base + time.Since(start).Milliseconds() }
}
