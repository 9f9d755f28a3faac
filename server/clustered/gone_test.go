package clustered

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The job of a client that is gone while its ADDJOB waits is taken back
// everywhere: nobody was told that it was added.
func TestProducerThatIsGone(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*testing.T, *servertest.Client){
		"reset": func(t *testing.T, c *servertest.Client) {
			require.NoError(t, c.Conn.(*net.TCPConn).SetLinger(0))
			require.NoError(t, c.Conn.Close())
		},
		"killed": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, gates := gated(t, 3)
			cutOff(gates, 2, true)
			c := s.nodes[0].Dial(t)
			c.Send(addjobs(5, "q", "REPLICATE", "3"))
			s.eventually("copies of those that wait", func() bool { return number(t, s.c[1], "registered_jobs") == 5 })
			if leave != nil {
				leave(t, c)
			} else {
				require.Equal(t, "+OK\r\n", s.c[0].Do("CLIENT", "KILL", c.Conn.LocalAddr().String()))
			}
			none(t, s.c[0], "q")
			s.eventually("the jobs are taken back", func() bool { return len(jobs(t, s.c[0].Do("GETJOB", "NOHANG", "FROM", "q"))) == 0 && acked(t, s, 1) })
			cutOff(gates, 2, false)
			servertest.Whole(t, s.c...)
			s.empty()
			for i := range s.c {
				none(t, s.c[i], "q")
			}
		})
	}
}

// acked reports whether all that a node knows are acknowledgements.
func acked(t *testing.T, s *started, node int) bool {
	list := servertest.Decode(t, s.c[node].Do("JSCAN", "0", "COUNT", "1000", "STATE", "active", "STATE", "queued", "STATE", "wait-repl")).([]any)
	return len(list[1].([]any)) == 0
}

// A server that stops while ADDJOBs wait gives them shutdown-timeout, and takes
// their jobs back if that was not enough.
func TestShutdownWhileAddsWait(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3, "--shutdown-timeout", "1")
	cutOff(gates, 2, true)
	c := s.nodes[0].Dial(t)
	c.Send(addjobs(5, "q", "REPLICATE", "3"))
	s.eventually("copies of those that wait", func() bool { return number(t, s.c[1], "registered_jobs") == 5 })
	start := time.Now()
	s.nodes[0].Stop(t)
	require.Less(t, time.Since(start), asBusy)
	c.Closed()
	cutOff(gates, 2, false)
	for _, other := range s.c[1:] {
		none(t, other, "q")
	}
	s.eventually("taken back at the other node", func() bool { return acked(t, s, 1) })
}

// A server that stops answers ADDJOBs that get their copies in time.
func TestShutdownAnswersAdds(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 2)
	cutOff(gates, 1, true)
	c := s.nodes[0].Dial(t)
	c.Send(addjobs(5, "q", "REPLICATE", "2"))
	s.eventually("they wait", func() bool { return number(t, s.c[0], "registered_jobs") == 5 })
	s.nodes[0].Broker.Shutdown()
	c.Silent(100 * time.Millisecond)
	cutOff(gates, 1, false)
	var jobs []string
	for range 5 {
		jobs = append(jobs, id(t, c.Raw()))
		require.NotEmpty(t, s.state(1, jobs[len(jobs)-1]), "it has its copy")
	}
	c.Closed()
	for _, job := range jobs {
		s.eventually("it is handed over", func() bool { return s.state(1, job) == "queued" })
	}
}
