//go:build linux

package torture

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const pipelined = 500_000

// addJobs is a pipeline of ADDJOBs; the body is the job's number.
func addJobs(queue string, n int) []byte {
	var b bytes.Buffer
	b.Grow(n * (64 + len(queue)))
	for i := range n {
		number := strconv.Itoa(i)
		fmt.Fprintf(&b, "*4\r\n$6\r\nADDJOB\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$1\r\n0\r\n", len(queue), queue, len(number), number)
	}
	return b.Bytes()
}

// ids reads n replies of ADDJOB, which must be distinct.
func ids(w *wire, n int) ([]string, error) {
	seen, list := make(map[string]bool, n), make([]string, 0, n)
	for i := range n {
		line, err := w.line()
		if err != nil {
			return nil, fmt.Errorf("reply %d: %w", i, err)
		}
		if !isID(line) || seen[line] {
			return nil, fmt.Errorf("reply %d is no new id: %q", i, line)
		}
		seen[line] = true
		list = append(list, line[1:])
	}
	return list, nil
}

// isID reports whether a line is a whole reply of ADDJOB.
func isID(line string) bool { return len(line) == 41 && strings.HasPrefix(line, "+D-") }

// inOrder fetches n jobs and checks that each has the id that the answer to
// the ADDJOB of that place in the pipeline gave.
func inOrder(t *testing.T, w *wire, queue string, want []string) {
	t.Helper()
	_, err := fmt.Fprintf(w, "GETJOB NOHANG COUNT %d FROM %s\r\n", len(want)+1, queue)
	require.NoError(t, err)
	got, bodies, err := w.jobs()
	require.NoError(t, err)
	require.Equal(t, len(want), len(got), "jobs")
	number := make(map[string]int, len(want))
	for i, id := range want {
		number[id] = i
	}
	for i, id := range got {
		require.Equal(t, strconv.Itoa(number[id]), bodies[i], "job %s", id)
	}
}

// A client writes half a million ADDJOBs before it reads its first reply.
func TestPipelineOfHalfAMillion(t *testing.T) {
	p := start(t)
	well(t, p)
	before := peak(t, p)
	w := dial(t, p.Addr)
	begun := time.Now()
	_, err := w.Write(addJobs("pipe", pipelined))
	require.NoError(t, err)
	sent := time.Since(begun)
	list, err := ids(w, pipelined)
	require.NoError(t, err)
	t.Logf("sent in %v, answered in %v, %s more memory at the peak", sent, time.Since(begun), mb(peak(t, p)-before))
	require.NoError(t, w.say("QLEN pipe\r\n", fmt.Sprint(":", pipelined)))
	inOrder(t, w, "pipe", list)
	well(t, p)
}

func TestTransactionOfHalfAMillion(t *testing.T) {
	p := start(t, "--multi-max-commands", "1000000", "--multi-max-bytes", "256mb")
	well(t, p)
	before := peak(t, p)
	w := dial(t, p.Addr)
	begun := time.Now()
	_, err := w.Write([]byte("MULTI\r\n" + string(addJobs("tx", pipelined)) + "EXEC\r\n"))
	require.NoError(t, err)
	require.NoError(t, w.hear("+OK"))
	for range pipelined {
		require.NoError(t, w.hear("+QUEUED"))
	}
	require.NoError(t, w.hear(fmt.Sprint("*", pipelined)))
	list, err := ids(w, pipelined)
	require.NoError(t, err)
	t.Logf("answered in %v, %s more memory at the peak", time.Since(begun), mb(peak(t, p)-before))
	inOrder(t, w, "tx", list)
	well(t, p)
}

// Beyond multi-max-commands nothing of a transaction is executed.
func TestTransactionTooLong(t *testing.T) {
	p := start(t)
	w := dial(t, p.Addr)
	_, err := w.Write([]byte("MULTI\r\n" + string(addJobs("tx", pipelined)) + "EXEC\r\nQLEN tx\r\n"))
	require.NoError(t, err)
	require.NoError(t, w.hear("+OK"))
	for range 65536 {
		require.NoError(t, w.hear("+QUEUED"))
	}
	line, err := w.line()
	require.NoError(t, err)
	require.Contains(t, line, "-ERR MULTI takes at most 65536 commands")
	for range pipelined - 65536 - 1 {
		require.NoError(t, w.hear("+QUEUED"))
	}
	require.NoError(t, w.hear("-EXECABORT Transaction discarded because of previous errors."))
	require.NoError(t, w.hear(":0"))
	require.Zero(t, info(t, p.Dial(t), "jobs", "registered_jobs"))
	well(t, p)
}

// printf 'commands' | nc: all is answered, then the connection ends.
func TestHalfClose(t *testing.T) {
	p := start(t, "--command-timeout", "1")
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"one", "PING\r\n", "+PONG\r\n"},
		{"many", strings.Repeat("PING\r\nQLEN none\r\n", 100_000), strings.Repeat("+PONG\r\n:0\r\n", 100_000)},
		{"a partial command", "PING\r\n*2\r\n$4\r\nQLEN\r\n$4\r\nno", "+PONG\r\n"},
		{"a partial line", "PING\r\nPIN", "+PONG\r\n"},
		{"a partial oversized job", "PING\r\n*4\r\n$6\r\nADDJOB\r\n$1\r\nq\r\n$9000000\r\nxxx", "+PONG\r\n"},
		{"an open transaction", "MULTI\r\nADDJOB tx x 0\r\n", "+OK\r\n+QUEUED\r\n"},
		{"an unmet GETJOB", "PING\r\nGETJOB FROM none\r\nPING\r\n", "+PONG\r\n"},
		{"GETJOB NOHANG", "GETJOB NOHANG FROM none\r\nPING\r\n", "*-1\r\n+PONG\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := dial(t, p.Addr)
			begun := time.Now()
			written := make(chan error, 1)
			go func() {
				_, err := io.WriteString(w, c.in)
				_ = w.CloseWrite()
				written <- err
			}()
			heard, err := io.ReadAll(w.r)
			require.NoError(t, err)
			require.NoError(t, <-written)
			require.True(t, c.want == string(heard), "%d bytes, expected %d: %.200q", len(heard), len(c.want), heard)
			require.Less(t, time.Since(begun), time.Second, "ended by a timeout only")
		})
	}
	c := p.Dial(t)
	require.Equal(t, ":0\r\n", c.Do("QLEN", "tx"))
	servertest.Until(t, "nobody waits", patience, func() bool { return info(t, c, "clients", "blocked_clients") == 0 })
	well(t, p)
}

// A consumer that waits and goes away, in whatever way, gets no job: the next
// one does.
func TestConsumerGoesAway(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	for _, way := range []struct {
		name  string
		leave func(w *wire)
	}{
		{"half-close", func(w *wire) { _ = w.CloseWrite() }},
		{"close", func(w *wire) { _ = w.Close() }},
		{"reset", (*wire).reset},
	} {
		for _, behind := range []string{"", "PING\r\n", "GETJOB FROM other\r\n", "*2\r\n$4\r\nQL", strings.Repeat("PING\r\n", 10_000)} {
			t.Run(fmt.Sprintf("%s with %d bytes behind", way.name, len(behind)), func(t *testing.T) {
				w := dial(t, p.Addr)
				_, err := io.WriteString(w, "GETJOB FROM jobs\r\n"+behind)
				require.NoError(t, err)
				servertest.Until(t, "the consumer waits", patience, func() bool { return waiting(t, c, "jobs") == 1 })
				way.leave(w)
				servertest.Until(t, "it is gone", patience, func() bool { return waiting(t, c, "jobs") == 0 })
				c.Job("jobs", "x", "RETRY", "0")
				require.Equal(t, ":1\r\n", c.Do("QLEN", "jobs"))
				next := dial(t, p.Addr)
				require.NoError(t, next.takeJob("jobs"))
			})
		}
	}
	require.Zero(t, waiting(t, c, "other"), "a command behind the GETJOB was executed")
	require.Equal(t, ":0\r\n", c.Do("QLEN", "jobs"))
	well(t, p)
}

// A consumer goes away with more behind its GETJOB than the server reads
// ahead. That cannot be seen before a job comes, which goes to the next then.
func TestConsumerGoesAwayUnseen(t *testing.T) {
	p := start(t, "--client-input-buffer-limit", "16kb")
	c := p.Dial(t)
	for i, leave := range []func(w *wire){func(w *wire) { _ = w.Close() }, (*wire).reset} {
		queue := fmt.Sprint("jobs", i)
		w := dial(t, p.Addr)
		_, err := io.WriteString(w, "GETJOB FROM "+queue+"\r\n"+strings.Repeat("PING\r\n", 10_000))
		require.NoError(t, err)
		servertest.Until(t, "the consumer waits", patience, func() bool { return waiting(t, c, queue) == 1 })
		servertest.Until(t, "it was read ahead", patience, func() bool { return info(t, c, "stats", "total_net_input_bytes") > 16*kib })
		leave(w)
		c.Job(queue, "x", "RETRY", "0")
		next := dial(t, p.Addr)
		require.NoError(t, next.takeJob(queue), "the job is lost")
	}
	servertest.Until(t, "they are gone", patience, func() bool { return info(t, c, "clients", "connected_clients") == 3 })
	well(t, p)
}

// Commands behind a GETJOB that waits are executed after it, in order, and
// read ahead no further than client-input-buffer-limit.
func TestCommandsBehindGetJob(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	before := p.Resident(t)
	w := dial(t, p.Addr)
	const behind = 3_000_000
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(append([]byte("PING\r\nGETJOB FROM jobs\r\n"), bytes.Repeat([]byte("PING\n"), behind)...))
		written <- err
	}()
	require.NoError(t, w.hear("+PONG"), "it must not wait for the GETJOB")
	servertest.Until(t, "the consumer waits", patience, func() bool { return waiting(t, c, "jobs") == 1 })
	var most int
	for range 100 { // it reads as fast as the writer writes
		most = max(most, info(t, c, "clients", "client_biggest_input_buf"))
	}
	require.LessOrEqual(t, most, 2*mib)
	require.Less(t, p.Resident(t)-before, int64(16*mib))
	c.Job("jobs", "x")
	_, bodies, err := w.jobs()
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, bodies)
	for range behind {
		require.NoError(t, w.hear("+PONG"))
	}
	require.NoError(t, <-written)
	well(t, p)
}

// A GETJOB whose time is up answers, and what is behind it follows.
func TestGetJobTimesOutInPipeline(t *testing.T) {
	p := start(t)
	w := dial(t, p.Addr)
	begun := time.Now()
	_, err := w.Write(bytes.Repeat(servertest.Command("GETJOB", "TIMEOUT", "50", "FROM", "none"), 10))
	require.NoError(t, err)
	for i := range 10 {
		require.NoError(t, w.hear("*-1"))
		require.GreaterOrEqual(t, time.Since(begun), time.Duration(i+1)*49*time.Millisecond)
	}
	require.NoError(t, w.say("PING\r\n", "+PONG"))
	require.Less(t, time.Since(begun), 3*time.Second)
	well(t, p)
}
