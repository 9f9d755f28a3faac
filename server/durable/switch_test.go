package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench/load"
	"github.com/disqo/disqo/server/servertest"
)

// The log can be switched on while jobs come and go; on means that all of them
// are on disk. Off and on again brings nothing back.
func TestSwitchAtRunTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := servertest.ExecIn(t, dir)
	c := p.Dial(t)
	require.Equal(t, "off", info(c, "aof_state"))
	ids := map[string]string{}
	for i := range 20_000 {
		name := fmt.Sprint("job", i)
		c.Send(string(servertest.Command("ADDJOB", fmt.Sprint("q", i%50), name, "0")))
		ids[name] = ""
	}
	for range ids {
		require.Regexp(t, `^\+D-`, c.Raw())
	}
	c.Do("PAUSE", "p", "out")
	kept := 0
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "appendonly", "yes"))
	eventually(t, "aof_state on", func() bool { // jobs come and go meanwhile
		for range 20 {
			id := c.Job("traffic", "x")
			c.Do("GETJOB", "FROM", "traffic")
			c.Do("ACKJOB", id)
			c.Do("ACKJOB", c.Job("kept", fmt.Sprint("kept", kept)))
			c.Job("kept", fmt.Sprint("kept", kept))
			kept++
		}
		return info(c, "aof_state") == "on"
	})
	require.Equal(t, "1", info(c, "aof_enabled"))
	p.Kill(t)

	p = on(t, dir, "everysec")
	c = p.Dial(t)
	require.Equal(t, fmt.Sprint(20_000+kept), info(c, "registered_jobs"))
	require.Equal(t, "+out\r\n", c.Do("PAUSE", "p", "state"))
	require.Equal(t, ":0\r\n", c.Do("QLEN", "traffic"))

	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "appendonly", "no"))
	require.Equal(t, "off", info(c, "aof_state"))
	require.Empty(t, segments(t, dir))
	require.Equal(t, "+OK\r\n", c.Do("DEBUG", "FLUSHALL"))
	c.Job("q", "the only one")
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "appendonly", "yes"))
	eventually(t, "aof_state on", func() bool { return info(c, "aof_state") == "on" })
	p.Kill(t)
	c = on(t, dir, "everysec").Dial(t)
	require.Equal(t, "1", info(c, "registered_jobs"))
}

// Policy and thresholds follow CONFIG SET; a directory that cannot be had is
// an error that leaves the log off.
func TestSwitchFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appendonlydir"), []byte("a file"), 0o600))
	p := servertest.ExecIn(t, dir)
	c := p.Dial(t)
	require.Regexp(t, `^-ERR Unable to turn on AOF\. `, c.Do("CONFIG", "SET", "appendonly", "yes"))
	require.Equal(t, "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n", c.Do("CONFIG", "GET", "appendonly"))
	require.Equal(t, "off", info(c, "aof_state"))
	require.NoError(t, os.Remove(filepath.Join(dir, "appendonlydir")))
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "appendonly", "yes"))
	for _, policy := range []string{"always", "no", "everysec"} {
		require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "appendfsync", policy))
		c.Job("q", policy)
	}
}

// BGREWRITEAOF leaves what lives, and nothing else.
func TestRewrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := on(t, dir, "everysec", "--aof-segment-size", "1mb", "--auto-aof-rewrite-percentage", "0")
	c := p.Dial(t)
	pinned := c.Job("q", "pinned", "DELAY", "86400", "TTL", "100000")
	c.Do("PAUSE", "p", "in")
	for range 40 {
		for range 50 {
			c.Send(string(servertest.Command("ADDJOB", "q", string(make([]byte, 8000)), "0")))
		}
		for range 50 {
			c.Raw()
		}
		for range 50 {
			job := c.Do("GETJOB", "FROM", "q")
			id := job[len("*1\r\n*3\r\n$1\r\nq\r\n$40\r\n"):][:40]
			require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
		}
	}
	require.Greater(t, len(segments(t, dir)), 10, "the oldest one is pinned")
	require.Equal(t, "+Background append only file rewriting started\r\n", c.Do("BGREWRITEAOF"))
	eventually(t, "the rewrite", func() bool { return info(c, "aof_rewrite_in_progress") == "0" })
	require.Equal(t, "ok", info(c, "aof_last_bgrewrite_status"))
	require.LessOrEqual(t, len(segments(t, dir)), 3)
	p.Kill(t)
	c = on(t, dir, "everysec").Dial(t)
	require.Equal(t, "1", info(c, "registered_jobs"))
	require.Equal(t, "active", show(t, c, pinned, "state"))
	require.Equal(t, "+in\r\n", c.Do("PAUSE", "p", "state"))
}

// Without a log, BGREWRITEAOF takes a picture, and SHUTDOWN REWRITE-AOF a last
// one; aof-enqueue-jobs-once loads it at the next start, once.
func TestControlledRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "disqo.conf")
	require.NoError(t, os.WriteFile(conf, []byte("# mine\n"), 0o600))
	start := func() *servertest.Process { return servertest.ExecFile(t, conf, dir) }
	p := start()
	c := p.Dial(t)
	c.Job("q", "first")
	require.Equal(t, "+Background append only file rewriting started\r\n", c.Do("BGREWRITEAOF"))
	eventually(t, "the picture", func() bool { return info(c, "aof_rewrite_in_progress") == "0" })
	require.Equal(t, "off", info(c, "aof_state"))
	require.NotEmpty(t, segments(t, dir))
	c.Job("q", "second")
	c.Job("once", "never delivered", "RETRY", "0")
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "aof-enqueue-jobs-once", "yes"))
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "REWRITE"))
	c.Send("SHUTDOWN REWRITE-AOF\r\n")
	c.Closed()
	require.Zero(t, p.ExitCode(t))

	p = start()
	c = p.Dial(t)
	require.Equal(t, ":2\r\n", c.Do("QLEN", "q"))
	require.Equal(t, "first", get(c, "q"))
	require.Equal(t, "never delivered", get(c, "once"))
	require.Equal(t, "off", info(c, "aof_state"))
	text, err := os.ReadFile(conf)
	require.NoError(t, err)
	require.Regexp(t, `(?m)^# mine$`, string(text))
	require.NotRegexp(t, `aof-enqueue-jobs-once "?yes`, string(text))
	p.Kill(t)

	c = start().Dial(t)
	require.Equal(t, "0", info(c, "registered_jobs"), "once is once")
	p = servertest.Launch(t, t.TempDir(), "--aof-enqueue-jobs-once", "yes")
	require.Equal(t, 1, p.ExitCode(t))
	require.Contains(t, p.Log(), "there is no append-only file to load")
}

// Jobs of one pipeline, and of many clients at once, share a sync.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	p := on(t, t.TempDir(), "always")
	c := p.Dial(t)
	before := number(t, c, "aof_syncs")
	const jobs = 1000
	var pipeline []byte
	for i := range jobs {
		pipeline = append(pipeline, servertest.Command("ADDJOB", fmt.Sprint("q", i), "body", "0")...)
	}
	c.Send(string(pipeline))
	for range jobs {
		require.Regexp(t, `^\+D-`, c.Raw())
	}
	syncs := number(t, c, "aof_syncs") - before
	require.Less(t, syncs, int64(jobs/10))
	require.Positive(t, syncs)

	before = number(t, c, "aof_syncs")
	const clients, each = 50, 40
	_, err := load.Run(t.Context(), load.Options{Addrs: []string{p.Addr}, Producers: clients, Jobs: clients * each}, "produce")
	require.NoError(t, err)
	require.Less(t, number(t, c, "aof_syncs")-before, int64(clients*each/2))
}
