package bench_test

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench"
	"github.com/disqo/disqo/server/servertest"
)

func TestPhases(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{1, 16} {
		s := servertest.Start(t)
		o := bench.Options{Addr: s.Addr, Jobs: 5000, Depth: depth, Producers: 4, Consumers: 4, Progress: &bytes.Buffer{}}
		for _, phase := range bench.Phases {
			r, err := bench.Run(context.Background(), o, phase)
			require.NoError(t, err)
			require.Equal(t, 5000, r.Jobs)
			require.Positive(t, r.Rate())
			want := "$27\r\n# Jobs\r\nregistered_jobs:0\r\n\r\n"
			if phase == "produce" {
				want = "$30\r\n# Jobs\r\nregistered_jobs:5000\r\n\r\n"
			}
			require.Equal(t, want, s.Dial(t).Do("INFO", "jobs"), phase)
		}
	}
}

// The generator notices what a broker does wrong.
func TestFindsFaults(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	o := bench.Options{Addr: s.Addr, Jobs: 10, Timeout: 500 * time.Millisecond}
	_, err := bench.Run(context.Background(), o, "consume")
	require.ErrorContains(t, err, "0 of 10 came out")
	s.Dial(t).Job("bench", "a stranger's job")
	_, err = bench.Run(context.Background(), o, "both")
	require.ErrorContains(t, err, "is the queue in use by others?")
	c := s.Dial(t)
	c.Do("DEBUG", "FLUSHALL")
	c.Do("PAUSE", "bench", "in")
	_, err = bench.Run(context.Background(), o, "produce")
	require.ErrorContains(t, err, "PAUSED Queue paused in input")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []bench.Options{{}, {Addr: "x", Jobs: -1}, {Addr: "x", Size: 7}, {Addr: "x", Depth: 1e9}} {
		_, err := bench.Run(context.Background(), o, "both")
		require.ErrorContains(t, err, "bench: ")
	}
}

// The generator shares the machine with the broker: it makes no garbage. This
// test is not parallel, as it counts the allocations of the process.
func TestRunAllocatesNothing(t *testing.T) {
	p := servertest.Exec(t)
	const jobs = 20_000
	for _, phase := range bench.Phases {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := bench.Run(context.Background(), bench.Options{Addr: p.Addr, Jobs: jobs}, phase)
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		require.Less(t, after.Mallocs-before.Mallocs, uint64(jobs/10), phase)
		require.Positive(t, r.CPU)
	}
}

// Producers that are too fast wait for consumers, however few jobs may be there.
func TestBacklog(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for _, backlog := range []int{1, 100} {
		_, err := bench.Run(context.Background(), bench.Options{Addr: s.Addr, Jobs: 2000, Producers: 8, Consumers: 2, Backlog: backlog}, "both")
		require.NoError(t, err)
	}
}
