package server_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// What an operator watches with: MONITOR, SLOWLOG, LATENCY; and DEBUG.

func TestMonitorShowsWhatOthersRun(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, monitor := srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, monitor.Do("MONITOR"))
	require.Regexp(t, `^\+D-`, c.Do("addjob", "q", "a \"b\"\r\n\x00\xff", "0"))
	require.Equal(t, `[`+c.Conn.LocalAddr().String()+`] "addjob" "q" "a \"b\"\r\n\x00\xff" "0"`, monitored(t, monitor))
	c.Send("qlen q\r\n")
	require.Equal(t, ":1\r\n", c.Raw())
	require.Contains(t, monitored(t, monitor), `] "qlen" "q"`)
	require.Equal(t, ok, c.Do("MULTI"))
	require.Contains(t, monitored(t, monitor), `] "MULTI"`)
	require.Equal(t, queued, c.Do("PING"))
	require.Equal(t, "*1\r\n"+pong, c.Do("EXEC"))
	require.Contains(t, monitored(t, monitor), `] "EXEC"`)
	require.Contains(t, monitored(t, monitor), `] "PING"`)
	c.Job("q", strings.Repeat("x", 1<<20))
	require.Less(t, len(monitored(t, monitor)), 2000, "commands are shown, not bodies")
}

// monitored reads a line of MONITOR and returns it without its time.
func monitored(t *testing.T, c *servertest.Client) string {
	t.Helper()
	line := c.Raw()
	require.Regexp(t, `^\+\d+\.\d{6} \[[^]]+\] ".*"\r\n$`, line)
	_, line, _ = strings.Cut(line, " ")
	return strings.TrimSuffix(line, "\r\n")
}

// TestSecretsAreNotShown looks in MONITOR and in the slow log.
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--slowlog-log-slower-than", "0", "--requirepass", "s3cret")
	c, monitor := srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "s3cret"))
	require.Equal(t, ok, monitor.Do("AUTH", "s3cret"))
	require.Equal(t, ok, monitor.Do("MONITOR"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "s3cret"))
	for _, words := range [][]string{
		{"AUTH", "s3cret"}, {"AUTH", "default", "s3cret"}, {"AUTH", "s3cretly-wrong"}, {"HELLO", "3", "AUTH", "default", "s3cret"},
		{"HELLO", "2", "AUTH", "default", "s3cret", "bogus"}, {"CONFIG", "GET", "s3cret"}, {"CONFIG", "SET", "requirepas", "s3cret"},
		{"MULTI"}, {"CONFIG", "SET", "requirepass", "s3cret"}, {"AUTH", "s3cret"}, {"EXEC"},
	} {
		c.Do(words...)
	}
	require.Equal(t, bulk("the end"), c.Do("ECHO", "the end"))
	for line := ""; !strings.Contains(line, "the end"); {
		line = monitored(t, monitor)
		require.NotContains(t, line, "s3cret")
	}
	log := c.Do("SLOWLOG", "GET", "100")
	require.Contains(t, log, "the end")
	require.NotContains(t, log, "s3cret")
}

func TestMonitorTwiceHasOneReply(t *testing.T) {
	t.Parallel()
	monitor := servertest.Start(t).Dial(t)
	require.Equal(t, ok, monitor.Do("MONITOR"))
	monitor.Send(bulks("MONITOR") + bulks("ECHO", "x") + bulks("ECHO", "the end"))
	var replies []string
	for reply := ""; reply != bulk("the end"); {
		reply = monitor.Raw()
		if !strings.Contains(reply, "] \"") {
			replies = append(replies, reply)
		}
	}
	require.Equal(t, []string{bulk("x"), bulk("the end")}, replies)
}

func TestResetEndsMonitorAndTheConnectionGoesOn(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, monitor := srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, monitor.Do("MONITOR"))
	monitor.Send(bulks("RESET"))
	for line := ""; line != "+RESET\r\n"; line = monitor.Raw() {
	}
	require.Equal(t, pong, c.Do("PING"))
	monitor.Send(bulks("ECHO", "x"))
	reply := monitor.Raw()
	if strings.Contains(reply, `] "RESET"`) { // its own line may follow
		reply = monitor.Raw()
	}
	require.Equal(t, bulk("x"), reply)
}

func TestMonitorThatDoesNotReadIsClosedAndHarmsNobody(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--client-output-buffer-limit", "normal 64kb 0 0", "--client-write-timeout", "1")
	c, monitor := srv.Dial(t), srv.Dial(t)
	require.NoError(t, monitor.Conn.(*net.TCPConn).SetReadBuffer(4096))
	require.Equal(t, ok, monitor.Do("MONITOR"))
	word := strings.Repeat("x", 1000)
	batch := strings.Repeat(bulks("ECHO", word), 50)
	for end := time.Now().Add(waitLimit); ; {
		sent := time.Now()
		c.Send(batch)
		for range 50 {
			require.Equal(t, bulk(word), c.Raw())
		}
		require.Less(t, time.Since(sent), 5*time.Second, "the monitor holds others up")
		if c.Info("clients", "connected_clients") == "1" {
			return
		}
		require.True(t, time.Now().Before(end), "the monitor is still there")
	}
}

func TestSlowlog(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--slowlog-log-slower-than", "-1", "--slowlog-max-len", "3").Dial(t)
	require.Equal(t, pong, c.Do("PING"))
	require.Equal(t, ":0\r\n", c.Do("SLOWLOG", "LEN"), "-1 logs nothing")
	require.Equal(t, ok, c.Do("CONFIG", "SET", "slowlog-log-slower-than", "0"))
	for _, word := range []string{"a", "b", "c", "d"} {
		require.Equal(t, bulk(word), c.Do("ECHO", word))
	}
	require.Equal(t, ok, c.Do("CONFIG", "SET", "slowlog-log-slower-than", "60000000"))
	require.Equal(t, ":3\r\n", c.Do("SLOWLOG", "LEN"), "slowlog-max-len")
	log := decode(t, c.Do("SLOWLOG", "GET")).([]any)
	require.Len(t, log, 3)
	for i, word := range []string{"d", "c", "b"} {
		entry := log[i].([]any)
		require.Len(t, entry, 4)
		require.Equal(t, int64(3-i), entry[0])
		require.InDelta(t, time.Now().Unix(), entry[1], 30)
		require.GreaterOrEqual(t, entry[2], int64(0))
		require.Equal(t, []any{"ECHO", word}, entry[3])
	}
	require.Len(t, decode(t, c.Do("SLOWLOG", "GET", "1")), 1)
	require.Equal(t, "-ERR value is not an integer or out of range\r\n", c.Do("SLOWLOG", "GET", "x"))
	require.Equal(t, ok, c.Do("SLOWLOG", "RESET"))
	require.Equal(t, "*0\r\n", c.Do("SLOWLOG", "GET"))
	require.Equal(t, "-ERR Unknown SLOWLOG subcommand or wrong # of args. Try GET, RESET, LEN.\r\n", c.Do("SLOWLOG", "GET", "1", "2"))
}

func TestSlowlogEntriesAreSmall(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--slowlog-log-slower-than", "0").Dial(t)
	c.Job("q", strings.Repeat("x", 100_000))
	words := []string{"QSCAN", "0"}
	for range 500 {
		words = append(words, "BUSYLOOP")
	}
	require.Regexp(t, `^\*2\r\n`, c.Do(words...))
	require.Less(t, len(c.Do("SLOWLOG", "GET")), 5000)
}

func TestSlowlogDoesNotCountWaiting(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--slowlog-log-slower-than", "800000")
	c := srv.Dial(t)
	require.Equal(t, noArray, c.Do("GETJOB", "TIMEOUT", "900", "FROM", "q"))
	require.Equal(t, ":0\r\n", c.Do("SLOWLOG", "LEN"))
}

func TestLatency(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Contains(t, decode(t, c.Do("LATENCY", "DOCTOR")), "CONFIG SET latency-monitor-threshold")
	require.Equal(t, "*0\r\n", c.Do("LATENCY", "LATEST"))
	require.Equal(t, "*0\r\n", c.Do("LATENCY", "HISTORY", "command"))
	require.Equal(t, "-ERR No samples available for event 'command'\r\n", c.Do("LATENCY", "GRAPH", "command"))
	require.Equal(t, ":0\r\n", c.Do("LATENCY", "RESET"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "latency-monitor-threshold", "1"))
	for range 20 {
		c.Send(strings.Repeat(bulks("ADDJOB", "q", strings.Repeat("x", 100), "0"), 200))
		for range 200 {
			require.Regexp(t, `^\+D-`, c.Raw())
		}
	}
	var latest []any
	eventually(t, "a scan of everything takes a millisecond", func() bool {
		require.Regexp(t, `^\*2\r\n`, c.Do("JSCAN", "BUSYLOOP", "REPLY", "ALL"))
		for _, e := range decode(t, c.Do("LATENCY", "LATEST")).([]any) {
			if latest = e.([]any); latest[0] == "command" {
				return true
			}
		}
		return false
	})
	require.Len(t, latest, 4)
	require.InDelta(t, time.Now().Unix(), latest[1], 30)
	require.GreaterOrEqual(t, latest[2], int64(1))
	require.GreaterOrEqual(t, latest[3], latest[2])
	history := decode(t, c.Do("LATENCY", "HISTORY", "command")).([]any)
	require.NotEmpty(t, history)
	require.Len(t, history[0], 2)
	require.Regexp(t, `^command - high \d+ ms, low \d+ ms \(all time high \d+ ms\)\n`, decode(t, c.Do("LATENCY", "GRAPH", "command")))
	require.Contains(t, decode(t, c.Do("LATENCY", "DOCTOR")), "command: ")
	require.Equal(t, ok, c.Do("CONFIG", "SET", "latency-monitor-threshold", "0"))
	require.Equal(t, ":1\r\n", c.Do("LATENCY", "RESET", "command", "nosuch"))
	require.Equal(t, "*0\r\n", c.Do("LATENCY", "HISTORY", "command"))
}

func TestDebug(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, other := srv.Dial(t), srv.Dial(t)
	require.Equal(t, "-XX a  b\r\n", c.Do("DEBUG", "ERROR", "XX a\r\nb"))
	for _, words := range [][]string{{"NOPE"}, {"SLEEP"}, {"ERROR"}, {"SEGFAULT"}, {"OOM"}, {"LOADAOF"}} {
		require.Equal(t, "-ERR Unknown DEBUG subcommand or wrong number of arguments for '"+words[0]+"'\r\n", c.Do(append([]string{"DEBUG"}, words...)...))
	}
	for _, bad := range []string{"x", "-1", "nan"} {
		require.Regexp(t, `^-ERR SLEEP `, c.Do("DEBUG", "SLEEP", bad))
	}
	start := time.Now()
	c.Send(bulks("DEBUG", "SLEEP", "1.2") + bulks("PING"))
	require.Equal(t, ok, c.Raw())
	require.Equal(t, pong, other.Do("PING"))
	require.Less(t, time.Since(start), 1000*time.Millisecond, "others go on while one sleeps")
	require.Equal(t, pong, c.Raw())
	require.GreaterOrEqual(t, time.Since(start), 1199*time.Millisecond)
}

func TestDebugFlushAllDropsAllAndDismissesConsumers(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, blocked := srv.Dial(t), srv.Dial(t)
	queuedJob, delayed, delivered := c.Job("q", "x"), c.Job("q", "x", "DELAY", "1"), c.Job("r", "x", "RETRY", "1")
	require.Len(t, fetchIDs(t, c, "r", 1), 1)
	require.Equal(t, "+out\r\n", c.Do("PAUSE", "p", "out"))
	blocked.Send(bulks("GETJOB", "FROM", "a", "b"))
	blockedClients(t, c, 1)
	require.Equal(t, ok, c.Do("DEBUG", "flushall", "now"))
	require.Equal(t, noArray, blocked.Raw())
	for _, id := range []string{queuedJob, delayed, delivered} {
		require.Equal(t, noBulk, c.Do("SHOW", id))
	}
	require.Equal(t, "+none\r\n", c.Do("PAUSE", "p", "state"))
	require.Equal(t, noArray, c.Do("GETJOB", "TIMEOUT", "1500", "FROM", "q", "r"), "no timer brings a job back")
	require.NotEqual(t, "0", c.Info("memory", "used_memory"), "GETJOB made two queues")
	require.Equal(t, ok, c.Do("DEBUG", "FLUSHALL"))
	require.Equal(t, "0", c.Info("memory", "used_memory"))
}
