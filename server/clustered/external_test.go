package clustered

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unable are the two reasons for which a node holds no copy itself. Each makes
// node 0 one that does not.
var unable = map[string]struct {
	reason string
	begin  func(*testing.T, *started)
}{
	"leaving": {"I'm leaving the cluster", func(t *testing.T, s *started) {
		require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "LEAVING", "yes"))
	}},
	"memory": {"I'm out of memory", func(t *testing.T, s *started) {
		for i := range 20 {
			s.c[0].Job("full", strings.Repeat("x", 1000), "REPLICATE", "1", "DELAY", strconv.Itoa(1000+i))
		}
		set(t, s.c[0], "maxmemory", strconv.Itoa(number(t, s.c[0], "used_memory")*100/85))
		require.Equal(t, "1", s.c[0].Info("memory", "memory_level"))
	}},
}

// A node that leaves or is short of memory lets others hold what is added to it.
func TestExternalAdds(t *testing.T) {
	t.Parallel()
	for name, u := range unable {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := cluster(t, 3)
			u.begin(t, s)
			had := number(t, s.c[0], "registered_jobs")
			for i, test := range []struct {
				options string
				copies  int
				delay   time.Duration
			}{
				{"", 2, 0},
				{"REPLICATE 1", 1, 0},
				{"REPLICATE 2", 2, 0},
				{"REPLICATE 2 SYNC 1", 2, 0},
				{"REPLICATE 2 ASYNC", 2, 0},
				{"REPLICATE 1 ASYNC", 1, 0},
				{"REPLICATE 1 RETRY 0", 1, 0},
				{"REPLICATE 1 RETRY 0 ASYNC", 1, 0},
				{"REPLICATE 2 DELAY 1", 2, time.Second},
				{"REPLICATE 1 DELAY 1", 1, time.Second},
				{"REPLICATE 1 RETRY 0 DELAY 1", 1, time.Second},
			} {
				queue, start := fmt.Sprint("q", i), time.Now()
				options := strings.Fields(test.options)
				id := s.c[0].Job(queue, "b", options...)
				require.Empty(t, s.state(0, id), "%q: no copy at the node itself", test.options)
				s.copied(id, test.copies, start)
				var got []job
				s.eventually("it can be consumed", func() bool {
					got = append(got, jobs(t, s.c[1].Do("GETJOB", "NOHANG", "FROM", queue))...)
					got = append(got, jobs(t, s.c[2].Do("GETJOB", "NOHANG", "FROM", queue))...)
					return len(got) > 0
				})
				require.Equal(t, []job{{queue, id, "b"}}, got, test.options)
				require.GreaterOrEqual(t, time.Since(start), test.delay-2*time.Millisecond, test.options) // two clocks in milliseconds
				require.Less(t, time.Since(start), test.delay+2*asBusy, test.options)
				none(t, s.c[1], queue)
				none(t, s.c[2], queue)
				s.c[1].Do("ACKJOB", id)
				s.c[2].Do("ACKJOB", id) // at most once: only who holds it listens
				s.gone(id)
			}
			require.Equal(t, had, number(t, s.c[0], "registered_jobs"))
			const few = "-NOREPL Not enough reachable nodes for the requested replication level"
			want := few + ", since I'm unable to hold a copy of the message for the following reason: " + u.reason + " (copies wanted 3, possible 2)\r\n"
			require.Equal(t, want, s.c[0].Do("ADDJOB", "q", "b", "0", "REPLICATE", "3"))
			require.Equal(t, want, s.c[0].Do("ADDJOB", "q", "b", "0", "REPLICATE", "3", "ASYNC"))
			require.Equal(t, few+" (copies wanted 4, possible 2)\r\n", s.c[0].Do("ADDJOB", "q", "b", "0", "REPLICATE", "4"))
		})
	}
}

// A node that is short of memory takes no copies; one that has room again does.
func TestShortOfMemoryRefusesCopies(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	unable["memory"].begin(t, s)
	for range 10 {
		id := s.c[1].Job("q", "b", "REPLICATE", "2")
		require.Empty(t, s.state(0, id))
		require.Equal(t, 2, s.copies(id))
	}
	require.Regexp(t, "^-NOREPL Timeout .* no answer from "+s.ids[0]+"\r\n$", s.c[1].Do("ADDJOB", "q", "b", "200", "REPLICATE", "3"))
	set(t, s.c[0], "maxmemory", "1gb")
	id := s.c[1].Job("q", "b", "REPLICATE", "3")
	require.Equal(t, 3, s.copies(id))
}

// The reply of an external ADDJOB waits for its copies like any other: it
// fails in time, and leaves nothing.
func TestExternalAddTimesOut(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	unable["leaving"].begin(t, s)
	cutOff(gates, 2, true)
	reply := s.c[0].Do("ADDJOB", "q", "b", "200", "REPLICATE", "2")
	require.Equal(t, "-NOREPL Timeout reached before replicating to the requested number of nodes: copies on 1, no answer from "+s.ids[2]+"\r\n", reply)
	cutOff(gates, 2, false)
	s.empty()
	none(t, s.c[1], "q")
	none(t, s.c[2], "q")
}
