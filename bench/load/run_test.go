package load_test

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench/load"
	"github.com/disqo/disqo/server/servertest"
)

func TestPhases(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{1, 16} {
		s := servertest.Start(t)
		o := load.Options{Addrs: []string{s.Addr}, Jobs: 4991, Depth: depth, Producers: 4, Consumers: 4, Idle: 3, Rate: 20_000, Progress: &bytes.Buffer{}}
		for _, phase := range load.Phases {
			r, err := load.Run(context.Background(), o, phase)
			require.NoError(t, err)
			require.GreaterOrEqual(t, r.Jobs, 4991)
			require.Less(t, r.Jobs, 4991+depth, "rounded up to whole batches")
			require.Positive(t, r.Rate())
			left := "0"
			if phase == "produce" {
				left = map[int]string{1: "4991", 16: "4992"}[depth]
			}
			require.Equal(t, left, s.Dial(t).Info("jobs", "registered_jobs"), phase)
			for is, l := range map[bool]load.Latency{phase != "consume": r.Add, phase != "produce": r.Ack, phase == "deliver": r.Deliver} {
				if is {
					require.Positive(t, l.Count)
					require.GreaterOrEqual(t, l.P99, l.P50)
					require.GreaterOrEqual(t, l.Max, l.P999)
				}
			}
		}
	}
}

// Deliveries are as many a second as were asked for.
func TestDeliverKeepsItsRate(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	r, err := load.Run(context.Background(), load.Options{Addrs: []string{s.Addr}, Jobs: 1000, Rate: 2000}, "deliver")
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Took, 490*time.Millisecond)
	require.EqualValues(t, 1000, r.Deliver.Count)
}

// Jobs can be spread over many queues, and those of earlier runs may be there.
func TestQueuesAndFirst(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	o := load.Options{Addrs: []string{s.Addr}, Jobs: 3000, Queues: 100, Depth: 4}
	_, err := load.Run(context.Background(), o, "produce")
	require.NoError(t, err)
	require.Equal(t, ":30\r\n", s.Dial(t).Do("QLEN", "bench.00099"))
	_, err = load.Run(context.Background(), o, "consume")
	require.NoError(t, err)
	require.Equal(t, "0", s.Dial(t).Info("jobs", "registered_jobs"))

	o = load.Options{Addrs: []string{s.Addr}, Jobs: 500}
	_, err = load.Run(context.Background(), o, "produce")
	require.NoError(t, err)
	o.First = 500
	_, err = load.Run(context.Background(), o, "both")
	require.NoError(t, err)
	require.Equal(t, "500", s.Dial(t).Info("jobs", "registered_jobs"))
}

// The generator notices what a broker does wrong.
func TestFindsFaults(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	o := load.Options{Addrs: []string{s.Addr}, Jobs: 10, Timeout: 500 * time.Millisecond}
	_, err := load.Run(context.Background(), o, "consume")
	require.ErrorContains(t, err, "of 10 jobs 0 were added and 0 came out")
	s.Dial(t).Job("bench", "a stranger's job")
	_, err = load.Run(context.Background(), o, "both")
	require.ErrorContains(t, err, "is the queue in use by others?")
	c := s.Dial(t)
	c.Do("DEBUG", "FLUSHALL")
	c.Do("PAUSE", "bench", "in")
	_, err = load.Run(context.Background(), o, "produce")
	require.ErrorContains(t, err, "PAUSED Queue paused in input")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = load.Run(ctx, o, "consume")
	require.ErrorIs(t, err, context.Canceled)
	_, err = load.Run(context.Background(), load.Options{Addrs: []string{"127.0.0.1:1"}}, "produce")
	require.ErrorContains(t, err, "refused")
}

func TestOptions(t *testing.T) {
	t.Parallel()
	at := []string{"x"}
	for want, o := range map[string]load.Options{
		"Addrs is required": {}, "Jobs is -1": {Addrs: at, Jobs: -1}, "Size is 7": {Addrs: at, Size: 7}, "Depth is 1000000": {Addrs: at, Depth: 1e6},
		"no protocol": {Addrs: at, Protocol: "smtp"}, "has no copies": {Addrs: at, Protocol: "list", Copies: 2}, "more than one queue": {Addrs: at, Queues: 2},
	} {
		_, err := load.Run(context.Background(), o, "both")
		require.ErrorContains(t, err, want)
	}
	_, err := load.Run(context.Background(), load.Options{Addrs: at}, "sleep")
	require.ErrorContains(t, err, "no phase")
}

// The generator shares the machine with the broker: it makes no garbage. This
// test is not parallel, as it counts the allocations of the process.
func TestRunAllocatesNothing(t *testing.T) {
	p := servertest.Exec(t)
	const jobs = 20_000
	for _, phase := range load.Phases {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		r, err := load.Run(context.Background(), load.Options{Addrs: []string{p.Addr}, Jobs: jobs, Rate: 20_000}, phase)
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
		_, err := load.Run(context.Background(), load.Options{Addrs: []string{s.Addr}, Jobs: 2000, Producers: 8, Consumers: 2, Backlog: backlog}, "both")
		require.NoError(t, err)
	}
}
