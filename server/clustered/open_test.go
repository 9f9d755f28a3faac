package clustered

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The tests of this file fail: each shows a bug that is not mended yet.

// What a consumer of a leaving node has stays there until it is acknowledged:
// also a job of one copy.
func TestLeavingKeepsWhatAConsumerHas(t *testing.T) {
	t.Parallel()
	for _, copies := range []string{"1", "2", "3"} {
		t.Run("REPLICATE "+copies, func(t *testing.T) {
			t.Parallel()
			s := cluster(t, 4)
			mine := s.c[0].Job("q", "mine", "REPLICATE", copies, "RETRY", "60")
			require.Equal(t, mine, one(t, s.c[0], "q").id)
			other := s.c[0].Job("q", "other", "REPLICATE", "1")
			s.leaves(0)
			s.eventually("the other is handed over", func() bool { return s.state(0, other) == "" })
			require.Equal(t, "active", s.state(0, mine), "a consumer has it")
			require.Equal(t, ":1\r\n", s.c[0].Do("ACKJOB", mine))
			s.gone(mine)
			s.eventually("now it is gone", func() bool { return number(t, s.c[0], "registered_jobs") == 0 })
		})
	}
}

// An acknowledgement that comes to a leaving node reaches those that hold the
// job now.
func TestAckAtALeavingNode(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	id := s.c[0].Job("q", "b", "REPLICATE", "1", "RETRY", "60")
	s.leaves(0)
	s.eventually("handed over", func() bool { return s.state(0, id) == "" })
	require.Equal(t, 1, s.copies(id))
	s.c[0].Do("ACKJOB", id)
	s.gone(id)
}

// A job of an ADDJOB that RESET ended does not come out of the other nodes.
func TestResetTakesBackWhatWaits(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	cutOff(gates, 2, true)
	c := s.nodes[0].Dial(t)
	c.Send(string(servertest.Command("ADDJOB", "q", "b", "0", "REPLICATE", "3")))
	id := s.waiting(0)
	s.eventually("a copy", func() bool { return s.state(1, id) == "active" })
	require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "RESET", "SOFT"))
	require.Equal(t, removed, c.Raw())
	s.eventually("it is taken back", func() bool { return s.copies(id) == 0 })
}

// The ADDJOB of a client that closed its connection does not wait for ever.
func TestClosedProducer(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	cutOff(gates, 2, true)
	before := number(t, s.c[0], "connected_clients")
	c := s.nodes[0].Dial(t)
	c.Send(addjobs(5, "q", "REPLICATE", "3"))
	s.eventually("copies of those that wait", func() bool { return number(t, s.c[1], "registered_jobs") == 5 })
	require.NoError(t, c.Conn.Close())
	s.eventually("the connection ends", func() bool { return strconv.Itoa(before) == s.c[0].Info("clients", "connected_clients") })
	s.eventually("the jobs are taken back", func() bool { return acked(t, s, 1) })
}

// A node that is killed soon after it was met, before it has written down whom it
// knows, is one of the cluster again as soon as it is back: the others know it.
func TestKilledSoonAfterItWasMet(t *testing.T) {
	t.Parallel()
	list := processes(t, 3)
	s := dialAll(t, list)
	bus := s.c[2].Self().Bus
	list[2].Kill(t)
	require.NoError(t, os.WriteFile(filepath.Join(list[2].Dir, "nodes.conf"), alone(t, list[2].Dir), 0o644))
	<-time.After(2500 * time.Millisecond) // for 2 s after a node came, the others tell all they know often
	list[2] = again(t, list[2], bus)
	s = dialAll(t, list)
	servertest.Until(t, "the node takes copies", 5*time.Second, func() bool {
		return s.c[2].Linked(2) && s.c[0].Do("ADDJOB", "q", "b", "100", "REPLICATE", "3")[0] == '+'
	})
}

// alone returns a nodes.conf without the other nodes, as it is written first.
func alone(t *testing.T, dir string) []byte {
	text, err := os.ReadFile(filepath.Join(dir, "nodes.conf"))
	require.NoError(t, err)
	var b []byte
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "noflags") {
			b = append(b, line...)
		}
	}
	return b
}
