package clustered

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// What ADDJOB refuses about copies, before anything else happens.
func TestCopiesThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	c := s.c[0]
	for options, want := range map[string]string{
		"REPLICATE 0":         "-ERR REPLICATE must be between 1 and 65535\r\n",
		"REPLICATE 65536":     "-ERR REPLICATE must be between 1 and 65535\r\n",
		"REPLICATE x":         "-ERR REPLICATE must be between 1 and 65535\r\n",
		"SYNC 0":              "-ERR SYNC must be between 1 and 65535\r\n",
		"REPLICATE 2 SYNC 3":  "-ERR SYNC 3 is more than the 2 nodes that shall hold the job; see REPLICATE\r\n",
		"SYNC 4":              "-ERR SYNC 4 is more than the 3 nodes that shall hold the job; see REPLICATE\r\n",
		"SYNC 2 ASYNC":        "-ERR ASYNC answers at once, SYNC when so many nodes hold the job: choose one of them\r\n",
		"RETRY 0":             "-ERR With RETRY set to 0 please explicitly set  REPLICATE to 1 (at-most-once delivery)\r\n",
		"REPLICATE 2 RETRY 0": "-ERR With RETRY set to 0 please explicitly set  REPLICATE to 1 (at-most-once delivery)\r\n",
		"REPLICATE 4":         "-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 4, possible 3)\r\n",
		"REPLICATE 4 ASYNC":   "-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 4, possible 3)\r\n",
		"REPLICATE":           "-ERR syntax error\r\n",
		"SYNC":                "-ERR syntax error\r\n",
	} {
		require.Equal(t, want, c.Do(append([]string{"ADDJOB", "q", "b", "100"}, strings.Fields(options)...)...), options)
	}
	require.Equal(t, "-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 4, possible 3)\r\n",
		c.Do("ADDJOB", "q", "b", "100", "REPLICATE", "5", "SYNC", "4"))
	for i := range s.c {
		require.Zero(t, number(t, s.c[i], "registered_jobs"), "node %d", i)
	}
}

// Each way to add leaves the job queued where it was added, and as many copies
// as were asked for.
func TestCopiesAreMade(t *testing.T) {
	t.Parallel()
	s := cluster(t, 4)
	for options, want := range map[string]struct{ repl, atOnce int }{
		"":                           {3, 2},
		"REPLICATE 1":                {1, 1},
		"REPLICATE 1 RETRY 0":        {1, 1},
		"REPLICATE 2":                {2, 2},
		"REPLICATE 4":                {4, 4},
		"REPLICATE 4 SYNC 1":         {4, 1},
		"REPLICATE 4 SYNC 3":         {4, 3},
		"REPLICATE 4 SYNC 4":         {4, 4},
		"SYNC 1":                     {3, 1},
		"SYNC 3":                     {3, 3},
		"ASYNC":                      {3, 1},
		"REPLICATE 4 ASYNC":          {4, 1},
		"REPLICATE 4 SYNC 1 ASYNC":   {4, 1},
		"REPLICATE 3 DELAY 100":      {3, 3},
		"REPLICATE 3 RETRY 7 TTL 99": {3, 3},
	} {
		start := time.Now()
		id := s.c[0].Job("q", "b", strings.Fields(options)...)
		require.GreaterOrEqual(t, s.copies(id), want.atOnce, "%q: when it is answered", options)
		s.copied(id, want.repl, start)
		state := "queued"
		if strings.Contains(options, "DELAY") {
			state = "active"
		}
		require.Equal(t, state, s.state(0, id), options)
		s.eventually("the origin has done its duty: "+options, func() bool {
			m := fields(t, s.c[0], id)
			return len(m["nodes-delivered"].([]any)) >= want.repl && len(m["nodes-confirmed"].([]any)) == 0
		})
		for i, c := range s.c {
			m := fields(t, c, id)
			if m == nil {
				continue
			}
			require.EqualValues(t, want.repl, m["repl"], options)
			require.Equal(t, "b", m["body"])
			require.Equal(t, "q", m["queue"])
			require.Contains(t, m["nodes-delivered"], s.ids[i], options)
			if i > 0 {
				require.Equal(t, "active", m["state"], options)
			}
		}
	}
}

// default-replicate and default-sync can be changed while it runs.
func TestDefaultCopies(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	copies := func() int {
		start := time.Now()
		id := s.c[0].Job("q", "b")
		n := s.copies(id)
		repl := fields(t, s.c[0], id)["repl"].(int64)
		s.copied(id, int(repl), start)
		return int(repl)*10 + min(n, int(repl))
	}
	require.Contains(t, []int{32, 33}, copies())
	set(t, s.c[0], "default-sync", "3")
	require.Equal(t, 33, copies())
	set(t, s.c[0], "default-replicate", "2")
	require.Equal(t, 22, copies(), "sync is at most replicate")
	set(t, s.c[0], "default-replicate", "9")
	require.Equal(t, 33, copies(), "there are three nodes")
	set(t, s.c[0], "default-replicate", "1")
	require.Equal(t, 11, copies())
	require.Regexp(t, `^\+D-`, s.c[0].Do("ADDJOB", "q", "b", "0", "RETRY", "0"), "one copy by default allows at most once")
	set(t, s.c[0], "default-replicate", "3")
	set(t, s.c[0], "default-sync", "1")
	require.Contains(t, []int{31, 32, 33}, copies())
	for _, name := range []string{"default-replicate", "default-sync"} {
		for _, value := range []string{"0", "65536", "x", ""} {
			require.Regexp(t, "^-ERR Invalid argument", s.c[0].Do("CONFIG", "SET", name, value))
		}
	}
	require.Equal(t, "*2\r\n$12\r\ndefault-sync\r\n$1\r\n1\r\n", s.c[0].Do("CONFIG", "GET", "default-sync"))
}

// REPLICATE r SYNC s is answered when s nodes hold the job, however deaf the
// others are, and the rest follows when they hear again.
func TestSyncDoesNotWaitForTheRest(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 4)
	cutOff(gates, 2, true)
	cutOff(gates, 3, true)
	var ids []string
	for range 8 {
		ids = append(ids, s.c[0].Job("q", "b", "REPLICATE", "4", "SYNC", "2"))
	}
	for _, id := range ids {
		require.Equal(t, 2, s.copies(id))
		require.Equal(t, "queued", s.state(0, id), "it can be consumed before all copies are there")
	}
	cutOff(gates, 2, false)
	cutOff(gates, 3, false)
	for _, id := range ids {
		s.eventually("four copies", func() bool { return s.copies(id) == 4 })
	}
}

// SYNC that cannot be had in time is refused: what it is waiting for is said,
// and no copy remains.
func TestSyncTimesOut(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	cutOff(gates, 2, true)
	start := time.Now()
	reply := s.c[0].Do("ADDJOB", "q", "b", "300", "REPLICATE", "3")
	took := time.Since(start)
	require.Equal(t, "-NOREPL Timeout reached before replicating to the requested number of nodes: copies on 2, no answer from "+s.ids[2]+"\r\n", reply)
	require.GreaterOrEqual(t, took, 299*time.Millisecond, "the broker counts whole milliseconds")
	require.Less(t, took, asBusy)
	none(t, s.c[0], "q")
	none(t, s.c[1], "q")
	cutOff(gates, 2, false)
	servertest.Whole(t, s.c...)
	s.empty()
	for i := range s.c {
		none(t, s.c[i], "q")
	}
}

// A copy that cannot be had in one place is made in another: 50 ms after the
// first was asked, one node more is.
func TestOneNodeMore(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 5)
	cutOff(gates, 1, true)
	cutOff(gates, 2, true)
	for range 10 {
		start := time.Now()
		id := s.c[0].Job("q", "b", "REPLICATE", "3")
		require.Less(t, time.Since(start), asBusy)
		require.GreaterOrEqual(t, s.copies(id), 3)
		require.Empty(t, s.state(1, id)+s.state(2, id))
	}
}

// A paused queue takes no copies; another node does.
func TestPausedReplicaRefuses(t *testing.T) {
	t.Parallel()
	s := cluster(t, 4)
	s.c[1].Do("PAUSE", "q", "in")
	for range 10 {
		id := s.c[0].Job("q", "b", "REPLICATE", "3")
		require.Empty(t, s.state(1, id))
		require.GreaterOrEqual(t, s.copies(id), 3)
	}
	reply := s.c[0].Do("ADDJOB", "q", "b", "300", "REPLICATE", "4")
	require.Equal(t, "-NOREPL Timeout reached before replicating to the requested number of nodes: copies on 3, no answer from "+s.ids[1]+"\r\n", reply)

	s.c[0].Send(string(servertest.Command("ADDJOB", "q", "late", "0", "REPLICATE", "4")))
	require.Equal(t, "+none\r\n", s.c[1].Do("PAUSE", "q", "none"))
	id := id(t, s.c[0].Raw())
	require.Equal(t, 4, s.copies(id), "the node is asked again")
}

// PAUSE bcast reaches all nodes, in every direction.
func TestPauseBroadcast(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	for _, pause := range []string{"all", "in", "out", "none"} {
		want := servertest.Decode(t, s.c[0].Do("PAUSE", "q", pause, "bcast"))
		require.Equal(t, pause, want)
		for i, c := range s.c {
			s.eventually(pause, func() bool { return servertest.Decode(t, c.Do("PAUSE", "q", "state")) == pause })
			_ = i
		}
		switch pause {
		case "all", "in":
			require.Equal(t, "-PAUSED Queue paused in input, try later\r\n", s.c[2].Do("ADDJOB", "q", "b", "0"))
		case "none":
			s.c[2].Job("q", "b", "REPLICATE", "3")
			require.Equal(t, "b", one(t, s.c[1], "q").body)
		}
	}
	require.Equal(t, "in", servertest.Decode(t, s.c[0].Do("PAUSE", "q", "in")))
	require.Equal(t, "none", servertest.Decode(t, s.c[1].Do("PAUSE", "q", "state")), "without bcast it is this node's")
}
