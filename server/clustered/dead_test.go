package clustered

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// full returns what SHOW FULL, or QSTAT FULL, says, nil if the node does not know
// the job or queue.
func full(t testing.TB, c *servertest.Client, command, what string) map[string]any {
	t.Helper()
	list, _ := servertest.Decode(t, c.Do(command, what, "FULL")).([]any)
	m := map[string]any{}
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)] = list[i+1]
	}
	return m
}

// dead waits until a job is dead on so many nodes.
func (s *started) dead(id string, n int) {
	s.t.Helper()
	s.eventually("dead: "+id, func() bool { return s.in(id, "dead") == n })
}

// A job that its consumers fail to do, here and there, is dead on all holders once
// its tries are used, and is put back once, from anywhere.
func TestDeadEverywhere(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	id := s.c[0].Job("q", "b", "REPLICATE", "3", "SYNC", "3", "MAXTRIES", "3", "PRIORITY", "7", "RETRY", "60")
	for at := range s.c {
		giver := 0
		s.eventually("it is in a queue, where its tries are known", func() bool {
			for i, c := range s.c {
				if m := full(t, c, "SHOW", id); m["state"] == "queued" && m["tries"] == int64(at) {
					giver = i
					return true
				}
			}
			return false
		})
		require.Equal(t, id, one(t, s.c[giver], "q").id)
		require.Equal(t, ":1\r\n", s.c[at].Do("NACK", id, "REASON", "no"))
	}
	s.dead(id, 3)
	for _, c := range s.c {
		m := full(t, c, "SHOW", id)
		require.Equal(t, []any{int64(3), int64(1), int64(7), "no"}, []any{m["tries"], m["generation"], m["priority"], m["reason"]})
		require.Equal(t, int64(1), full(t, c, "QSTAT", "q")["dead"])
	}
	require.Equal(t, ":1\r\n", s.c[2].Do("KICK", "q"))
	s.eventually("the others know", func() bool { return s.in(id, "dead") == 0 })
	require.Equal(t, 1, s.in(id, "queued"))
	require.Equal(t, ":0\r\n", s.c[0].Do("KICK", "q"))
	require.Equal(t, id, one(t, s.c[2], "q").id)
	require.Equal(t, ":1\r\n", s.c[1].Do("ACKJOB", id))
	s.empty()
}

// A node that was cut off hears of a death when it is back.
func TestDeathOutlivesACut(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	id := s.c[0].Job("q", "b", "REPLICATE", "3", "SYNC", "3", "RETRY", "1")
	require.Equal(t, id, one(t, s.c[0], "q").id)
	cutOff(gates, 2, true)
	require.Equal(t, ":1\r\n", s.c[1].Do("BURY", id, "REASON", "enough"))
	s.dead(id, 2)
	s.eventually("the one that was cut off queues it", func() bool { return s.state(2, id) == "queued" })
	cutOff(gates, 2, false)
	s.dead(id, 3)
	none(t, s.c[2], "q")
	require.Equal(t, ":1\r\n", s.c[2].Do("KICKJOB", id))
	require.Equal(t, id, one(t, s.c[2], "q").id)
	require.Equal(t, ":1\r\n", s.c[2].Do("ACKJOB", id))
	s.empty()
}

// A purge leaves nothing of the jobs that a node knows, and with bcast nothing of
// any.
func TestPurgeEverywhere(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	for _, bcast := range []bool{false, true} {
		for range 20 {
			s.c[0].Job("q", "b", "REPLICATE", "3", "SYNC", "3")
			s.c[1].Job("q", "b", "REPLICATE", "1", "DELAY", "500")
		}
		if !bcast {
			require.Equal(t, ":20\r\n", s.c[0].Do("QPURGE", "q"))
			s.eventually("only what node 0 did not know is left", func() bool {
				return number(t, s.c[0], "registered_jobs") == 0 && number(t, s.c[2], "registered_jobs") == 0
			})
			require.Equal(t, 20, number(t, s.c[1], "registered_jobs"))
			continue
		}
		require.Equal(t, ":20\r\n", s.c[2].Do("QPURGE", "q", "bcast"))
		s.eventually("nobody has any", func() bool { // a job may be younger than the purge, by the clock of another node
			left := 0
			for _, c := range s.c {
				left += number(t, c, "registered_jobs")
			}
			return left == 0 || s.c[2].Do("QPURGE", "q", "bcast") == ""
		})
	}
}

// A node that leaves hands over what is dead, and what waits after a failure, as
// it is.
func TestLeavingWithTheDead(t *testing.T) {
	t.Parallel()
	s := cluster(t, 2)
	add := func(words ...string) string {
		return s.c[0].Job("q", "b", append([]string{"REPLICATE", "1", "RETRY", "60"}, words...)...)
	}
	lie, wait := add(), add()
	once := s.c[0].Job("q", "once", "REPLICATE", "1", "RETRY", "0")
	require.Equal(t, ":2\r\n", s.c[0].Do("BURY", lie, once, "REASON", "r"))
	require.Equal(t, wait, one(t, s.c[0], "q").id)
	require.Equal(t, ":1\r\n", s.c[0].Do("NACK", wait, "DELAY", "3000"))
	require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "LEAVING", "yes"))
	s.eventually("nothing is left", func() bool { return number(t, s.c[0], "registered_jobs") == 0 })
	for _, id := range []string{lie, once} { // the last word about a job comes after its copy
		s.eventually("dead: "+id, func() bool { return s.state(1, id) == "dead" })
		require.Equal(t, "r", full(t, s.c[1], "SHOW", id)["reason"])
	}
	s.eventually("it waits on", func() bool {
		m := full(t, s.c[1], "SHOW", wait)
		requeue, _ := m["next-requeue-within"].(int64)
		return m["state"] == "active" && requeue > 2_900_000
	})
	require.Equal(t, ":2\r\n", s.c[1].Do("KICK", "q"))
	require.Equal(t, ":2\r\n", s.c[1].Do("QLEN", "q"))
}
