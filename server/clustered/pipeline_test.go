package clustered

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// addjobs is a pipeline of n ADDJOBs.
func addjobs(n int, queue string, options ...string) string {
	var b strings.Builder
	for i := range n {
		b.Write(servertest.Command(append([]string{"ADDJOB", queue, strconv.Itoa(i), "0"}, options...)...))
	}
	return b.String()
}

// A pipeline of ADDJOBs costs one round trip between nodes, not one each.
func TestPipelineIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	const n, oneWay = 1000, 20 * time.Millisecond
	s, gates := gated(t, 2)
	for _, g := range gates {
		g.slow(oneWay)
	}
	start := time.Now()
	s.c[0].Job("q", "warm", "REPLICATE", "2")
	require.GreaterOrEqual(t, time.Since(start), 2*oneWay, "the delay works")
	reads := gates[1].reads.Load()
	start = time.Now()
	s.c[0].Send(addjobs(n, "q", "REPLICATE", "2"))
	for range n {
		id(t, s.c[0].Raw())
	}
	took := time.Since(start)
	reads = gates[1].reads.Load() - reads
	t.Logf("%d ADDJOBs in %s, %d reads of the bus", n, took, reads)
	require.GreaterOrEqual(t, took, 2*oneWay)
	require.Less(t, took, n*2*oneWay/20, "of %d round trips of %s", n, 2*oneWay)
	require.Less(t, reads, int64(n/2), "messages go together; how many is a matter of the machine")
}

// The jobs of a pipeline are answered and queued in their order.
func TestPipelineKeepsItsOrder(t *testing.T) {
	t.Parallel()
	const n = 500
	s := cluster(t, 3)
	s.c[0].Send(addjobs(n, "q", "REPLICATE", "3"))
	var ids []string
	for range n {
		ids = append(ids, id(t, s.c[0].Raw()))
	}
	for i := range n {
		m := fields(t, s.c[i%3], ids[i])
		require.Equal(t, strconv.Itoa(i), m["body"], "the reply is that of the job")
	}
	require.Len(t, jobs(t, s.c[0].Do("GETJOB", "COUNT", "1000", "FROM", "q")), n)
}

// Other commands among ADDJOBs that wait are answered in their turn. Those that
// look at jobs or take some do not overtake them; ACKJOB does. What fails by
// timeout fails alone.
func TestMixedPipeline(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 2)
	c := s.c[0]
	known := c.Job("known", "k", "REPLICATE", "1")
	other := s.nodes[0].Dial(t)
	cutOff(gates, 1, true)
	c.Send(string(servertest.Command("ADDJOB", "q", "first", "0", "REPLICATE", "2")) +
		string(servertest.Command("ADDJOB", "q", "late", "200", "REPLICATE", "2")) +
		string(servertest.Command("ADDJOB", "q", "alone", "0", "REPLICATE", "1")) +
		string(servertest.Command("ADDJOB", "q", "wrong", "x")) +
		string(servertest.Command("ACKJOB", known)) +
		string(servertest.Command("PING")) +
		string(servertest.Command("GETJOB", "NOHANG", "COUNT", "9", "FROM", "q")) +
		string(servertest.Command("MULTI")) +
		string(servertest.Command("ADDJOB", "m", "in multi", "0", "REPLICATE", "2")) +
		string(servertest.Command("QLEN", "m")) +
		string(servertest.Command("EXEC")) +
		string(servertest.Command("SHOW", known)) +
		string(servertest.Command("GETJOB", "TIMEOUT", "20000", "FROM", "m")))
	s.eventually("ACKJOB overtakes", func() bool { return other.Do("SHOW", known) == "*-1\r\n" || other.Do("SHOW", known) == "$-1\r\n" })
	s.eventually("one of three is queued", func() bool { return other.Do("QLEN", "q") == ":1\r\n" })
	s.eventually("one gave up", func() bool { return number(t, other, "registered_jobs") <= 3 })
	c.Silent(300 * time.Millisecond)
	require.Equal(t, ":1\r\n", other.Do("QLEN", "q"), "GETJOB does not overtake")
	cutOff(gates, 1, false)
	first := id(t, c.Raw())
	require.Regexp(t, "^-NOREPL Timeout reached .*copies on 1, no answer from "+s.ids[1]+"\r\n$", c.Raw())
	alone := id(t, c.Raw())
	require.Regexp(t, "^-ERR timeout is not an integer", c.Raw())
	require.Equal(t, ":1\r\n", c.Raw())
	require.Equal(t, "+PONG\r\n", c.Raw())
	got := jobs(t, c.Raw())
	require.ElementsMatch(t, []job{{"q", first, "first"}, {"q", alone, "alone"}}, got)
	require.Equal(t, "+OK\r\n+QUEUED\r\n+QUEUED\r\n", c.Raw()+c.Raw()+c.Raw())
	exec := c.Raw()
	require.Regexp(t, `^\*2\r\n\+D-\S+\r\n:[01]\r\n$`, exec)
	c.Raw() // SHOW: of a job that is gone
	require.Equal(t, "in multi", jobs(t, c.Raw())[0].body)
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
}

// CLIENT REPLY OFF and SKIP: nothing is answered, but the jobs get their copies.
func TestUnansweredAdds(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 3)
	cutOff(gates, 1, true)
	c := s.c[0]
	c.Send(string(servertest.Command("CLIENT", "REPLY", "SKIP")) +
		string(servertest.Command("ADDJOB", "q", "skipped", "0", "REPLICATE", "3")) +
		string(servertest.Command("ADDJOB", "q", "told", "0", "REPLICATE", "3")) +
		string(servertest.Command("CLIENT", "REPLY", "OFF")) +
		string(servertest.Command("ADDJOB", "q", "off", "0", "REPLICATE", "3")) +
		string(servertest.Command("CLIENT", "REPLY", "ON")) +
		string(servertest.Command("PING")))
	c.Silent(100 * time.Millisecond)
	cutOff(gates, 1, false)
	id(t, c.Raw())
	require.Equal(t, "+OK\r\n+PONG\r\n", c.Raw()+c.Raw())
	got := map[string]bool{}
	for len(got) < 3 {
		j := one(t, c, "q")
		got[j.body] = true
		s.eventually("three copies", func() bool { return s.copies(j.id) == 3 })
		require.Equal(t, ":1\r\n", c.Do("ACKJOB", j.id))
	}
	s.empty()
}

// The end of the input, QUIT and garbage wait for the ADDJOBs before them.
func TestEndBehindAdds(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 2)
	adds := addjobs(3, "q", "REPLICATE", "2")
	for name, end := range map[string]struct{ send, reply string }{
		"end of file": {"", ""},
		"quit":        {"QUIT\r\n", "^\\+OK\r\n$"},
		"garbage":     {"*1\r\n$x\r\n", "^-ERR Protocol error"},
	} {
		cutOff(gates, 1, true)
		c := s.nodes[0].Dial(t)
		c.Send(adds + end.send)
		if end.send == "" {
			require.NoError(t, c.Conn.(interface{ CloseWrite() error }).CloseWrite())
		}
		c.Silent(100 * time.Millisecond)
		cutOff(gates, 1, false)
		for range 3 {
			id(t, c.Raw())
		}
		if end.reply != "" {
			require.Regexp(t, end.reply, c.Raw(), name)
		}
		c.Closed()
	}
}

// More ADDJOBs than may wait: the rest is executed as the first are answered.
func TestMoreAddsThanMayWait(t *testing.T) {
	t.Parallel()
	const n, most = 3000, 1024
	s, gates := gated(t, 2)
	cutOff(gates, 1, true)
	s.c[0].Send(addjobs(n, "q", "REPLICATE", "2"))
	other := s.nodes[0].Dial(t)
	s.eventually("1,024 wait", func() bool { return number(t, other, "registered_jobs") == most })
	s.c[0].Silent(100 * time.Millisecond)
	require.Equal(t, most, number(t, other, "registered_jobs"))
	cutOff(gates, 1, false)
	for range n {
		id(t, s.c[0].Raw())
	}
	require.Equal(t, fmt.Sprintf(":%d\r\n", n), other.Do("QLEN", "q"))
	require.Equal(t, n, number(t, s.c[1], "registered_jobs"))
}

// A client may send 500,000 ADDJOBs before it reads a reply.
func TestHalfAMillionAdds(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long")
	}
	const n = 500_000
	s := cluster(t, 2)
	c := s.nodes[0].Dial(t)
	pipeline := addjobs(n, "q", "REPLICATE", "2")
	start := time.Now()
	require.NoError(t, c.Conn.SetDeadline(start.Add(5*time.Minute)))
	_, err := io.WriteString(c.Conn, pipeline)
	require.NoError(t, err)
	sent := time.Since(start)
	r := bufio.NewReaderSize(c.Conn, 1<<20)
	for i := range n {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if line[0] != '+' || len(line) != 43 {
			require.Fail(t, "not an id", "%d: %q", i, line)
		}
	}
	t.Logf("sent within %s, answered within %s: %.0f a second", sent, time.Since(start), n/time.Since(start).Seconds())
	require.Equal(t, n, number(t, s.c[0], "registered_jobs"))
	require.Equal(t, n, number(t, s.c[1], "registered_jobs"))
}
