package clustered

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// leaves makes a node leave and waits until the others know.
func (s *started) leaves(node int) {
	s.t.Helper()
	require.Equal(s.t, "+OK\r\n", s.c[node].Do("CLUSTER", "LEAVING", "yes"))
	for i, c := range s.c {
		if i != node {
			s.eventually("the others know", func() bool {
				rows := c.Rows()
				k := slices.IndexFunc(rows, func(r servertest.Row) bool { return r.ID == s.ids[node] })
				return k >= 0 && rows[k].Is("leaving")
			})
		}
	}
}

// A node that leaves hands its jobs to the others, and none has a copy less
// for it.
func TestLeavingDrains(t *testing.T) {
	t.Parallel()
	const n = 100
	s := cluster(t, 4)
	copies := map[string]int{}
	for _, options := range [][]string{
		{"REPLICATE", "1"},
		{"REPLICATE", "2"},
		{"REPLICATE", "3"},
		{"REPLICATE", "1", "RETRY", "0"},
		{"REPLICATE", "2", "DELAY", "3"},
		{"REPLICATE", "1", "RETRY", "0", "DELAY", "3"},
	} {
		s.c[0].Send(addjobs(n, "q", options...))
		want, err := strconv.Atoi(options[1])
		require.NoError(t, err)
		for range n {
			copies[id(t, s.c[0].Raw())] = want
		}
	}
	s.leaves(0)
	s.eventually("the node holds nothing", func() bool { return number(t, s.c[0], "registered_jobs") == 0 })
	s.c = s.c[1:]
	lost := 0
	for id, want := range copies {
		if s.copies(id) < want {
			lost++
			t.Logf("%s: %d copies of %d", id, s.copies(id), want)
		}
	}
	require.Zero(t, lost, "jobs with a copy less")
	seen := map[string]bool{}
	s.eventually("consumers at other nodes get all of them", func() bool {
		for _, c := range s.c {
			for _, j := range jobs(t, c.Do("GETJOB", "NOHANG", "COUNT", "100", "FROM", "q")) {
				require.False(t, seen[j.id], "twice: %s", j.id)
				seen[j.id] = true
				c.Do("ACKJOB", j.id)
			}
		}
		return len(seen) == len(copies)
	})
	s.empty()
}

// A leaving node that stays after all is one like the others again.
func TestLeavingStops(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	other := s.c[0].Job("q", "other", "REPLICATE", "1")
	s.leaves(0)
	require.Equal(t, "+yes\r\n", s.c[0].Do("CLUSTER", "LEAVING"))
	s.eventually("it is handed over", func() bool { return s.state(0, other) == "" })
	require.Equal(t, 1, s.copies(other))
	require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "LEAVING", "no"))
	s.eventually("the others know", func() bool { return s.c[1].Linked(2) && s.c[2].Linked(2) })
	id := s.c[0].Job("q2", "b", "REPLICATE", "3")
	require.Equal(t, "queued", s.state(0, id))
	id = s.c[1].Job("q3", "b", "REPLICATE", "3")
	require.Equal(t, "active", s.state(0, id))
}

// A leaving node that is told to stay before it has begun to hand over keeps its
// jobs.
func TestLeavingThatIsTakenBack(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	var ids []string
	for range 20 {
		ids = append(ids, s.c[0].Job("q", "b", "REPLICATE", "1"))
	}
	s.leaves(0)
	require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "LEAVING", "no"))
	for _, id := range ids {
		require.Equal(t, "queued", s.state(0, id))
	}
	require.Len(t, jobs(t, s.c[0].Do("GETJOB", "COUNT", "100", "FROM", "q")), 20)
}

// Consumers that wait at a leaving node are told to go; ADDJOBs that wait there
// are not.
func TestLeavingTellsConsumers(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	consumer, producer := s.nodes[0].Dial(t), s.nodes[0].Dial(t)
	consumer.Send(string(servertest.Command("GETJOB", "FROM", "q")))
	cutOff(gates, 2, true)
	producer.Send(string(servertest.Command("ADDJOB", "q2", "b", "0", "REPLICATE", "3")))
	job := s.waiting(0)
	require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "LEAVING", "yes"))
	require.Regexp(t, "^-LEAVING ", consumer.Raw())
	cutOff(gates, 2, false)
	require.Equal(t, "+"+job+"\r\n", producer.Raw())
	require.GreaterOrEqual(t, s.copies(job), 2)
}

// That a node leaves is kept over a restart.
func TestLeavingOutlivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := servertest.Start(t, "--dir", dir), servertest.Start(t)
	servertest.Join(t, a, b)
	s := around(t, []*servertest.Server{a, b})
	s.leaves(0)
	a.Stop(t)
	a = servertest.Start(t, "--dir", dir)
	c := a.Dial(t)
	require.Equal(t, "+yes\r\n", c.Do("CLUSTER", "LEAVING"))
	require.Regexp(t, "^-LEAVING ", c.Do("GETJOB", "FROM", "q"))
	servertest.Until(t, "it found the other by itself", patience, func() bool { return c.Linked(1) })
	require.Equal(t, s.ids[0], c.Self().ID)
	c.Job("q", "b", "REPLICATE", "1")
	require.Equal(t, "b", one(t, s.c[1], "q").body)
}
