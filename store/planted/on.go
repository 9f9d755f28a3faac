//go:build planted

package planted

import (
	"sync/atomic"
	"time"
)

var chosen atomic.Uint32

// Choose builds a fault in, and takes out the one before. Whatever runs at the
// same time has it, too.
func Choose(b Bug) { chosen.Store(uint32(b)) }

// Is reports whether a fault is built in.
func Is(b Bug) bool { return Bug(chosen.Load()) == b }

// Clock returns the time that the store was told, or, if that is the fault, the
// machine's.
func Clock(now int64) int64 {
	if Is(ClockInStore) {
		return time.Now().UnixMilli()
	}
	return now
}
