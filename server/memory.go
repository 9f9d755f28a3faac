package server

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
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

// heapFigures returns the bytes of live and not yet collected objects, and how
// often the collector ran. Unlike runtime.ReadMemStats it stops nothing.
func heapFigures() (bytes, cycles uint64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}
