package bench_test

import (
	"bytes"
	"context"
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
