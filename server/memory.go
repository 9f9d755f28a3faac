package server

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

// collectorRoom is what the process may use beyond the jobs before the
// collector works harder: connections, buffers, the program itself.
const collectorRoom = 256 << 20

// setCollectorLimit makes the collector's limit follow maxmemory, or what is
// used already if that is more, with a quarter for fragmentation. A limit below
// what lives would have the collector run all the time.
func setCollectorLimit(maxMemory, used int64) { debug.SetMemoryLimit(collectorLimit(maxMemory, used)) }

func collectorLimit(maxMemory, used int64) int64 {
	most := max(maxMemory, used)
	if maxMemory <= 0 || most > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return most + most/4 + collectorRoom
}

// heapFigures returns the bytes of live and not yet collected objects, and how
// often the collector ran. Unlike runtime.ReadMemStats it stops nothing.
func heapFigures() (bytes, cycles uint64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}
