package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

// newSession returns a session without a socket, on a server that does not run.
func newSession(t *testing.T, directives ...string) *session {
	t.Helper()
	set, err := config.Load(append([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir()}, directives...))
	require.NoError(t, err)
	srv, err := New(Options{Config: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, err)
	srv.node.Start()
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	return another(srv)
}

func another(srv *Server) *session {
	s := &session{}
	s.init(srv, &clientInfo{}, func() {})
	return s
}

// say executes an inline-like line and returns what it added to the replies.
func (s *session) say(line string) string {
	from := len(s.reply.B)
	s.exec(words(line))
	return string(s.reply.B[min(from, len(s.reply.B)):])
}

func (s *session) queued(queue string) int { return s.srv.node.QueueLen([]byte(queue)) }

// What a session remembers of delivered jobs is where their bytes are.
func TestHandedPositions(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	for i := range 12 {
		s.say(fmt.Sprintf("addjob q body%d 0", i))
	}
	s.base += uint64(len(s.reply.B))
	s.flushed(0, 0)
	s.base = 1000
	s.say("getjob from q")                 // one
	s.say("getjob count 10 from q")        // ten, the header is right
	s.say("getjob count 100 from q other") // one, the header is replaced
	require.Len(t, s.handed, 12)
	all := string(s.reply.B)
	for i, h := range s.handed {
		part := all[h.start-1000 : h.end-1000]
		require.True(t, strings.HasPrefix(part, "*3\r\n$1\r\nq\r\n$40\r\n"+h.id.String()), "job %d: %q", i, part)
		require.True(t, strings.HasSuffix(part, fmt.Sprintf("body%d\r\n", i)), "job %d: %q", i, part)
	}
	s.confirm(s.handed[4].end)
	require.Len(t, s.handed, 7)
	s.confirm(1000 + uint64(len(all)))
	require.Empty(t, s.handed)
}

// Jobs whose replies were not written go back; one that is at most once only
// if no byte of it was handed over.
func TestUnwrittenJobsGoBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		once      bool
		sent      func(h []handed) uint64
		want      int
		condition string
	}{
		{false, func([]handed) uint64 { return 0 }, 2, "nothing was sent"},
		{false, func(h []handed) uint64 { return h[0].end }, 1, "the first was sent"},
		{false, func(h []handed) uint64 { return h[1].end - 1 }, 1, "all but a byte was sent"},
		{false, func(h []handed) uint64 { return h[1].end }, 0, "all was sent"},
		{true, func([]handed) uint64 { return 0 }, 2, "nothing was sent"},
		{true, func(h []handed) uint64 { return h[0].start + 1 }, 1, "a byte of the first was sent"},
		{true, func(h []handed) uint64 { return h[1].start }, 1, "the first was sent"},
		{true, func(h []handed) uint64 { return h[1].start + 1 }, 0, "a byte of the second was sent"},
	} {
		s := newSession(t)
		option := ""
		if c.once {
			option = " retry 0"
		}
		s.say("addjob q a 0" + option)
		s.say("addjob q b 0" + option)
		s.say("getjob count 2 from q")
		require.Zero(t, s.queued("q"))
		s.close(c.sent(s.handed))
		require.Equal(t, c.want, s.queued("q"), "at most once %t, %s", c.once, c.condition)
		st, _ := s.srv.node.QueueStat([]byte("q"))
		require.EqualValues(t, 2, st.Counts.Events[node.EventQueued], "a return counts as nothing")
		require.EqualValues(t, 2-c.want, st.Counts.Events[node.EventLeft])
	}
}

// A hand-off that wins against the end of its client loses no job.
func TestHandOffToOneWhoLeft(t *testing.T) {
	t.Parallel()
	for _, retry := range []string{"0", "60"} {
		s := newSession(t)
		require.Empty(t, s.say("getjob from q"))
		require.True(t, s.blocked() && s.halted())
		other := another(s.srv)
		other.say("addjob q x 0 retry " + retry)
		require.True(t, s.wait.done.Load(), "the job was handed over")
		require.Zero(t, s.queued("q"))
		s.close(0)
		require.Equal(t, 1, s.queued("q"), "and came back")
		require.Zero(t, s.srv.stats.blocked.Load())
	}
}

func TestTimeoutAndHandOffExcludeEachOther(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	s.say("getjob timeout 1 from q")
	require.True(t, s.hold())
	require.False(t, s.deadline().IsZero())
	require.Eventually(t, s.settle, waitFor, pollEvery)
	require.Equal(t, "*-1\r\n", string(s.reply.B))
	require.False(t, s.halted())
	other := another(s.srv)
	other.say("addjob q x 0")
	require.Equal(t, 1, s.queued("q"), "nobody waits any more")
}

func TestStopTellsWaitingConsumers(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	s.say("getjob from q")
	s.stop()
	s.stop()
	require.Equal(t, "-"+leavingText+"\r\n", string(s.reply.B))
	require.True(t, s.closing)
	require.False(t, s.blocked())
}

func TestReplyModes(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	require.Empty(t, s.say("client reply off"))
	require.Empty(t, s.say("ping"))
	s.say("addjob q x 0")
	require.Empty(t, s.say("getjob from q"))
	require.Empty(t, s.handed, "a reply that nobody wanted is not undone")
	require.Equal(t, "+OK\r\n", s.say("client reply on"))
	require.Empty(t, s.say("client reply skip"))
	require.Empty(t, s.say("nonsense"))
	require.Equal(t, "+PONG\r\n", s.say("ping"))
}

// The reply of one command is bounded by what a client may leave unread.
func TestFetchStopsAtTheOutputLimit(t *testing.T) {
	t.Parallel()
	s := newSession(t, "--client-output-buffer-limit", "normal", "65536", "0", "0")
	body := strings.Repeat("x", 10_000)
	for range 20 {
		s.say("addjob q " + body + " 0")
	}
	s.flushed(len(s.reply.B), 0)
	require.Less(t, len(s.say("getjob count 20 from q")), 90_000)
	require.Len(t, s.handed, 7)
	require.Equal(t, 13, s.queued("q"), "the rest stays in the queue")
	require.Less(t, len(s.say("qpeek q 100")), 90_000)
	require.Contains(t, s.say("jscan busyloop reply all"), "-ERR the reply would exceed 65536 bytes")
}

// A whole session, cut at every point into two reads, says the same.
func TestSplitPointsEverywhere(t *testing.T) {
	t.Parallel()
	stream := []byte("PING\r\n*2\r\n$4\r\nQLEN\r\n$1\r\nq\r\nECHO hi\n*2\r\n$4\r\nECHO\r\n$4\r\na\r\nb\r\n\r\n" +
		"*0\r\nPING \"a b\"\r\nNOSUCH\r\n*1\r\n$4\r\nPING\r\n")
	srv := newSession(t).srv
	run := func(parts ...[]byte) string {
		c := &conn{srv: srv, bell: make(chan struct{}, 1)}
		c.s.init(srv, &c.info, func() {})
		for _, p := range parts {
			for len(p) > 0 {
				n := copy(c.dec.Space(), p)
				c.dec.Fill(n)
				p = p[n:]
				c.run(time.Now())
			}
		}
		return string(c.s.reply.B)
	}
	want := run(stream)
	require.Equal(t, "+PONG\r\n:0\r\n$2\r\nhi\r\n$4\r\na\r\nb\r\n$3\r\na b\r\n-ERR unknown command 'NOSUCH'\r\n+PONG\r\n", want)
	for cut := range stream {
		require.Equal(t, want, run(stream[:cut], stream[cut:]), "cut at %d", cut)
	}
	require.Equal(t, want, run(bytes.SplitAfter(stream, []byte("\n"))...))
}

// Jobs that were delivered to a paused-out queue's waiter, and other store
// errors, have the reference's texts.
func TestFaultTexts(t *testing.T) {
	t.Parallel()
	for err, text := range map[error]string{
		node.ErrPaused:                     "PAUSED Queue paused in input, try later",
		fmt.Errorf("x: %w", node.ErrNoJob): "NOJOB Job not known in the context of this node.",
		io.ErrUnexpectedEOF:                "ERR unexpected EOF",
	} {
		require.Equal(t, text, faultText(err))
	}
}

// What a paused client sent before the server stops is executed all the same.
func TestStopEndsPauses(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	s.say("debug sleep 60")
	s.say("client pause 60000")
	require.True(t, s.halted())
	require.False(t, s.settle())
	s.srv.stopping.Store(true)
	require.True(t, s.settle(), "it goes on with what was received")
	require.False(t, s.halted())
}

func TestHelloKnowsOneUser(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	require.Contains(t, s.say("hello 3 auth bob x"), "-WRONGPASS")
	require.Equal(t, 2, s.reply.Proto, "nothing of a refused HELLO happens")
	require.Contains(t, s.say("hello 3 auth default x"), "%7")
}

// A web page can make a browser send lines to any port of its machine: what
// looks like HTTP ends the connection before its body is read.
func TestHTTPIsCutOff(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"POST / HTTP/1.1", "host: 127.0.0.1:7711"} {
		s := newSession(t)
		require.Contains(t, s.say(line), "-ERR unknown command")
		require.True(t, s.closing, line)
	}
}

// A few bytes of MULTI cannot ask for more than a client may leave unread.
func TestExecIsBounded(t *testing.T) {
	t.Parallel()
	s := newSession(t, "--client-output-buffer-limit", "normal", "65536", "0", "0")
	for range 20 {
		s.say("addjob q " + strings.Repeat("x", 10_000) + " 0")
	}
	s.flushed(len(s.reply.B), 0)
	s.say("multi")
	for range 50 {
		s.say("qpeek q 20")
	}
	reply := s.say("exec")
	require.Less(t, len(reply), 2*65536+50*200)
	require.True(t, strings.HasPrefix(reply, "*50\r\n"))
	require.Equal(t, 49, strings.Count(reply, "-"+errExecFull+"\r\n"))
}

func TestLatencyLatestBesideReset(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	cmd := s.srv.commands.find([]byte("ping"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 3000 {
			s.srv.latency.note(1, cmd, 5e6)
			s.srv.latency.reset(nil)
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		require.Contains(t, []string{"*0", "*1"}, s.say("latency latest")[:2])
		s.flushed(0, 0)
	}
}

func TestCollectorLimit(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, math.MaxInt64, collectorLimit(0, 5))
	require.EqualValues(t, math.MaxInt64, collectorLimit(math.MaxInt64, 5))
	require.EqualValues(t, 1250+collectorRoom, collectorLimit(1000, 5))
	require.EqualValues(t, 1250+collectorRoom, collectorLimit(1, 1000), "not below what lives")
}

// A pause that ends between two looks is a deadline that has passed, not none.
func TestPauseThatEndsBetweenTwoLooks(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	s.srv.pausedUntil.Store(s.srv.node.Now() - 1)
	s.held = true // settle looked before the pause ended
	require.False(t, s.deadline().IsZero(), "nobody would look again")
	require.True(t, s.settle())
}
