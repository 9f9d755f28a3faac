package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a phase came to.
type Result struct {
	Phase string
	Jobs  int
	Took  time.Duration
	CPU   time.Duration // processor time of the generator; 0 if the system does not say

	// From a request to the last of its replies; at a depth of 16 a request is
	// that of 16 jobs. Fetches that had to wait for a job are not in Fetch.
	Add, Fetch, Ack Latency

	Deliver Latency // in "deliver": from the write of a job to its arrival at a consumer that waited
}

// Rate is jobs a second.
func (r Result) Rate() float64 { return float64(r.Jobs) / r.Took.Seconds() }

// Latency is how long something took, in microseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// histogram counts durations up to a minute, to three digits.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(int64(100*time.Nanosecond), int64(time.Minute), 3)}
}

// record counts one; what is out of bounds counts as the bound.
func (h histogram) record(d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 1), int64(time.Minute)))
}

func (h histogram) latency() Latency {
	us := func(ns int64) float64 { return float64(ns) / 1000 }
	return Latency{
		Count: h.TotalCount(), Mean: h.Mean() / 1000, P50: us(h.ValueAtPercentile(50)), P90: us(h.ValueAtPercentile(90)),
		P99: us(h.ValueAtPercentile(99)), P999: us(h.ValueAtPercentile(99.9)), Max: us(h.Max()),
	}
}
