package clustered

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const removed = "-NOREPL job removed (expired?) before the requested replication level was achieved\r\n"

// waiting returns the id of the only job at a node that waits for copies.
func (s *started) waiting(node int) (id string) {
	s.t.Helper()
	s.eventually("an ADDJOB waits", func() bool {
		list := servertest.Decode(s.t, s.c[node].Do("JSCAN", "0", "BUSYLOOP", "STATE", "wait-repl")).([]any)[1].([]any)
		if len(list) == 1 {
			id = list[0].(string)
		}
		return id != ""
	})
	return id
}

// An ADDJOB that waits ends when its job is removed, expires or is
// acknowledged; no copy of a job that was refused comes out later.
func TestAddsThatEndEarly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end     []string // a command, "ID" is the job
		reply   string
		options []string
	}{
		"DELJOB":   {[]string{"DELJOB", "ID"}, removed, nil},
		"FLUSHALL": {[]string{"DEBUG", "FLUSHALL"}, removed, nil},
		"expired":  {[]string{"PING"}, removed, []string{"TTL", "1", "RETRY", "1"}},
		"ACKJOB":   {[]string{"ACKJOB", "ID"}, `+ID` + "\r\n", nil},
		"FASTACK":  {[]string{"FASTACK", "ID"}, `+ID` + "\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, gates := gated(t, 3)
			cutOff(gates, 2, true)
			c := s.nodes[0].Dial(t)
			c.Send(string(servertest.Command(append([]string{"ADDJOB", "q", "b", "0", "REPLICATE", "3"}, test.options...)...)))
			id := s.waiting(0)
			s.eventually("a copy", func() bool { return s.state(1, id) == "active" })
			command := make([]string, len(test.end))
			for i, word := range test.end {
				if command[i] = word; word == "ID" {
					command[i] = id
				}
			}
			s.c[0].Do(command...)
			want := test.reply
			if want[0] == '+' {
				want = "+" + id + "\r\n"
			}
			require.Equal(t, want, c.Raw())
			cutOff(gates, 2, false)
			servertest.Whole(t, s.c...)
			s.empty()
			for i := range s.c {
				none(t, s.c[i], "q")
			}
		})
	}
}

// What cannot be had is refused at once, not after the timeout, once it is
// known that a node is dead or leaves; a default ADDJOB is not.
func TestDeadNodeIsKnown(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3, "--cluster-node-timeout", "1000")
	s.nodes[2].Stop(t)
	s.c, s.ids = s.c[:2], s.ids[:2]
	s.eventually("fail", func() bool { return s.c[0].ClusterInfo("cluster_reachable_nodes") == "1" })
	require.Equal(t, "3", s.c[0].ClusterInfo("cluster_size"))
	require.Equal(t, "-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 3, possible 2)\r\n", s.c[0].Do("ADDJOB", "q", "b", "0", "REPLICATE", "3"))
	id := s.c[0].Job("q", "b")
	require.Equal(t, 2, s.copies(id))
	require.EqualValues(t, 3, fields(t, s.c[0], id)["repl"])
	require.Equal(t, "+OK\r\n", s.c[1].Do("CLUSTER", "LEAVING", "yes"))
	s.eventually("it leaves", func() bool { return s.c[0].ClusterInfo("cluster_reachable_nodes") == "0" })
	require.Equal(t, "-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 2, possible 1)\r\n", s.c[0].Do("ADDJOB", "q", "b", "0", "REPLICATE", "2"))
	s.c[0].Job("q", "b")
}
