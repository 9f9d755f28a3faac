//go:build linux

package node

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

var holdJobs = flag.Int("holds.jobs", 100_000, "jobs of TestRewriteHolds; from 10,000,000 on its bounds are checked")

// Rewriting a log holds no shard for long, however many jobs there are.
//
//	go test ./server/node -run RewriteHolds -v -holds.jobs 10000000
func TestRewriteHolds(t *testing.T) {
	dir := t.TempDir()
	n, err := New(Options{ID: testID})
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Close() })
	_, err = n.OpenLog(context.Background(), LogOptions{Dir: dir, Policy: aof.No})
	require.NoError(t, err)
	body := make([]byte, 128)
	for i := range *holdJobs {
		s := &store.Spec{Queue: fmt.Append(nil, "q", i%1000), Body: body, Retry: 300, TTL: 86400}
		var m Mark
		if _, _, err := n.Add(s, false, &m); err != nil {
			require.NoError(t, err)
		}
	}
	j := n.journal.Load()
	require.NoError(t, j.log.Rotate())
	below := j.log.Head()
	var holds []time.Duration // of work; what the system takes away meanwhile is told as wall time only
	var wall time.Duration
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range n.shards {
		for pos := int64(0); pos >= 0; {
			var began time.Time
			var worked time.Duration
			err := n.apply(&n.shards[i], rewriteNeed(rewriteRoom), &Mark{}, func(s *store.Shard, _ int64, fx *store.Effects) {
				began, worked = time.Now(), threadTime(t)
				pos, _ = s.Rewrite(pos, rewriteStep, below, rewriteRoom, fx)
			})
			holds = append(holds, threadTime(t)-worked)
			wall = max(wall, time.Since(began))
			require.NoError(t, err)
		}
	}
	slices.Sort(holds)
	p50, p99, most := holds[len(holds)/2], holds[len(holds)*99/100], holds[len(holds)-1]
	t.Logf("%d jobs: %d holds, p50 %v, p99 %v, longest %v; longest by the wall %v", *holdJobs, len(holds), p50, p99, most, wall)
	if *holdJobs >= 10_000_000 {
		require.LessOrEqual(t, p99, 100*time.Microsecond)
		require.LessOrEqual(t, most, time.Millisecond)
	}
	n.eachLive(func(segment uint32, _ int64) {
		require.GreaterOrEqual(t, segment, below, "everything was written anew")
	})
}

// threadTime is the processor time of this thread.
func threadTime(t *testing.T) time.Duration {
	var now unix.Timespec
	require.NoError(t, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now))
	return time.Duration(now.Nano())
}
