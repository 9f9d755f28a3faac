package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// stats are the counters of INFO. CONFIG RESETSTAT sets those to zero that
// count since the start.
type stats struct {
	connections atomic.Int64 // accepted
	rejected    atomic.Int64 // refused: maxclients, protected mode
	netInput    atomic.Int64 // bytes
	netOutput   atomic.Int64 // bytes
	blocked     atomic.Int64 // clients that wait in GETJOB now
	peakMemory  atomic.Int64 // highest used memory that a sample saw

	rate   rates
	copies histogram // how long ADDJOBs waited for copies, if there is an HTTP side
}

func (s *stats) reset() {
	for _, n := range []*atomic.Int64{&s.connections, &s.rejected, &s.netInput, &s.netOutput} {
		n.Store(0)
	}
}

// rateSamples is over how many samples a rate is averaged.
const rateSamples = 16

// sampleEvery is how often rates and peaks are sampled.
const sampleEvery = 100 * time.Millisecond

// rates turns counters into figures a second, averaged over the last samples.
type rates struct {
	mu      sync.Mutex
	last    [3]int64
	lastAt  time.Time
	samples [3][rateSamples]float64
	at      int
}

// sample takes the counters: commands, bytes in, bytes out.
func (r *rates) sample(now time.Time, counters [3]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if took := now.Sub(r.lastAt).Seconds(); !r.lastAt.IsZero() && took > 0 {
		for i, c := range counters {
			r.samples[i][r.at] = max(0, float64(c-r.last[i])/took)
		}
		r.at = (r.at + 1) % rateSamples
	}
	r.last, r.lastAt = counters, now
}

// read returns the averages: commands, bytes in, bytes out a second.
func (r *rates) read() (avg [3]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range avg {
		for _, s := range r.samples[i] {
			avg[i] += s / rateSamples
		}
	}
	return avg
}
