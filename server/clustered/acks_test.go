package clustered

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// holderAndStranger returns a node other than 0 that holds a job, and one that
// does not.
func (s *started) holderAndStranger(id string) (holder, stranger int) {
	s.t.Helper()
	holder, stranger = -1, -1
	for i := 1; i < len(s.c); i++ {
		if s.state(i, id) != "" {
			holder = i
		} else {
			stranger = i
		}
	}
	require.Positive(s.t, holder)
	require.Positive(s.t, stranger)
	return holder, stranger
}

// A job that is acknowledged anywhere, by any command that does so, is soon
// unknown everywhere.
func TestAcknowledgedAnywhere(t *testing.T) {
	t.Parallel()
	s := cluster(t, 4)
	for _, command := range []string{"ACKJOB", "FASTACK"} {
		for _, where := range []string{"origin", "holder", "stranger"} {
			for _, taken := range []bool{false, true} {
				id := s.c[0].Job("q", "b", "REPLICATE", "2")
				holder, stranger := s.holderAndStranger(id)
				if taken {
					require.Equal(t, id, one(t, s.c[0], "q").id)
				}
				at, want := 0, ":1\r\n"
				switch where {
				case "holder":
					at = holder
				case "stranger":
					at, want = stranger, ":0\r\n"
				}
				require.Equal(t, want, s.c[at].Do(command, id), "%s at %s", command, where)
				s.gone(id)
				require.Equal(t, ":0\r\n", s.c[0].Do(command, id))
			}
		}
	}
	s.empty()
	for i := range s.c {
		none(t, s.c[i], "q")
	}
}

// DELJOB is about the copy of one node.
func TestDelJobIsLocal(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	id := s.c[0].Job("q", "b", "REPLICATE", "3")
	require.Equal(t, ":1\r\n", s.c[1].Do("DELJOB", id))
	require.Equal(t, ":0\r\n", s.c[1].Do("DELJOB", id))
	require.Equal(t, 2, s.copies(id))
	require.Equal(t, id, one(t, s.c[0], "q").id)
	require.Equal(t, ":1\r\n", s.c[0].Do("ACKJOB", id))
	s.empty()
}

// A node that learns of an acknowledgement before it can tell those that hold
// the job keeps it, shows it, and lets go once they know.
func TestDummyAck(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 4)
	id := s.c[0].Job("q", "b", "REPLICATE", "2")
	_, stranger := s.holderAndStranger(id)
	cutOff(gates, stranger, true)
	require.Equal(t, ":0\r\n", s.c[stranger].Do("ACKJOB", id))
	m := fields(t, s.c[stranger], id)
	require.Equal(t, "acked", m["state"])
	require.Equal(t, id, m["id"])
	require.Nil(t, m["queue"])
	require.Nil(t, m["body"])
	require.Empty(t, m["nodes-delivered"])
	for _, name := range []string{"repl", "ctime", "delay", "retry", "nacks", "additional-deliveries"} {
		require.Zero(t, m[name], name)
	}
	require.Positive(t, m["ttl"])
	require.Positive(t, m["next-awake-within"])
	require.Equal(t, "-NOJOB", s.c[stranger].Do("WORKING", id)[:6])
	require.Equal(t, 2, s.copies(id), "the holders cannot know yet")
	cutOff(gates, stranger, false)
	s.gone(id)
	none(t, s.c[0], "q")
	require.Equal(t, ":0\r\n", s.c[stranger].Do("ACKJOB", "D-01234567-aaaaaaaaaaaaaaaaaaaaaaaa-05a1"), "a job that nobody knows")
	s.empty()
}

// Holders that do not hear of an acknowledgement hear of it later, from whoever
// knows; until then it is kept.
func TestAckOutlivesACut(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	id := s.c[0].Job("q", "b", "REPLICATE", "3", "RETRY", "1")
	require.Equal(t, id, one(t, s.c[0], "q").id)
	cutOff(gates, 2, true)
	require.Equal(t, ":1\r\n", s.c[0].Do("ACKJOB", id))
	s.eventually("the others know", func() bool { return s.in(id, "acked") == 2 })
	s.eventually("the one that was cut off queues it again", func() bool { return s.state(2, id) == "queued" })
	cutOff(gates, 2, false)
	s.gone(id)
	s.empty()
	for i := range s.c {
		none(t, s.c[i], "q")
	}
}

// WORKING at any holder keeps a job out of all queues; NACK at any holder puts
// it into that holder's.
func TestWorkingAndNackElsewhere(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	id := s.c[0].Job("q", "b", "REPLICATE", "3", "RETRY", "3")
	require.Equal(t, id, one(t, s.c[0], "q").id)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range 5 {
		require.Equal(t, ":3\r\n", s.c[1+i%2].Do("WORKING", id))
		<-tick.C
		require.Equal(t, 3, s.in(id, "active"), "after %d", i)
	}
	require.Equal(t, ":1\r\n", s.c[1].Do("NACK", id))
	require.Equal(t, "queued", s.state(1, id))
	s.eventually("NACK is known everywhere", func() bool {
		return !slices.ContainsFunc([]int{0, 1, 2}, func(i int) bool { return fields(t, s.c[i], id)["nacks"] != int64(1) })
	})
	require.Equal(t, 1, s.in(id, "queued"))
	require.Regexp(t, "nacks\r\n:1\r\n", s.c[1].Do("GETJOB", "WITHCOUNTERS", "FROM", "q"))
	require.Equal(t, ":1\r\n", s.c[2].Do("ACKJOB", id))
	s.empty()
}

// After everything is acknowledged, here and there, no node holds anything.
func TestNothingRemains(t *testing.T) {
	t.Parallel()
	const n = 300
	s := cluster(t, 3)
	for i, c := range s.c {
		c.Send(addjobs(n, "q", "REPLICATE", []string{"1", "2", "3"}[i]))
		for range n {
			id(t, c.Raw())
		}
	}
	seen := map[string]bool{}
	for i := 0; len(seen) < 3*n; i = (i + 1) % 3 {
		for _, j := range jobs(t, s.c[i].Do("GETJOB", "NOHANG", "COUNT", "50", "FROM", "q")) {
			require.False(t, seen[j.id], "twice")
			seen[j.id] = true
			s.c[(i+len(seen))%3].Do("ACKJOB", j.id)
		}
	}
	s.empty()
}
