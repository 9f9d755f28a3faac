package server

import (
	"math"
	"runtime/debug"
)

// collectorRoom is what the process may use beyond the jobs before the
// collector works harder: connections, buffers, the program itself.
const collectorRoom = 256 << 20

// setCollectorLimit makes the collector's limit follow maxmemory, with a
// quarter for fragmentation.
func setCollectorLimit(maxMemory int64) {
	limit := int64(math.MaxInt64)
	if maxMemory > 0 && maxMemory < math.MaxInt64/2 {
		limit = maxMemory + maxMemory/4 + collectorRoom
	}
	debug.SetMemoryLimit(limit)
}
