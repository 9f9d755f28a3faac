package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

var policies = []string{"always", "everysec", "no"}

// endings are the ways in which a broker ends.
var endings = map[string]func(*testing.T, *servertest.Process){
	"kill -9": func(t *testing.T, p *servertest.Process) { p.Kill(t) },
	"SIGTERM": func(t *testing.T, p *servertest.Process) { require.Zero(t, p.Terminate(t)) },
}

// everyWay runs a test under each policy and ending, in a directory of its own.
func everyWay(t *testing.T, test func(t *testing.T, dir, policy string, end func(*testing.T, *servertest.Process))) {
	for _, policy := range policies {
		for name, end := range endings {
			t.Run(policy+", "+name, func(t *testing.T) {
				t.Parallel()
				test(t, t.TempDir(), policy, end)
			})
		}
	}
}

// What was answered is there after a restart: jobs with their options and
// counters, and what was done to them.
func TestRestartKeepsJobs(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, dir, policy string, end func(*testing.T, *servertest.Process)) {
		p := on(t, dir, policy)
		c := p.Dial(t)
		queued := c.Job("q", "queued", "RETRY", "100", "TTL", "5000")
		acked, deleted, fast := c.Job("q", "acked"), c.Job("q", "deleted"), c.Job("q", "fast")
		nacked := c.Job("n", "nacked")
		delayed := c.Job("d", "delayed", "DELAY", "3600", "TTL", "7200")
		large := c.Job("l", strings.Repeat("x", 3<<20))
		require.Equal(t, ":1\r\n", c.Do("ACKJOB", acked))
		require.Equal(t, ":1\r\n", c.Do("DELJOB", deleted))
		require.Equal(t, ":1\r\n", c.Do("FASTACK", fast))
		for range 3 {
			require.Equal(t, "nacked", get(c, "n"))
			require.Equal(t, ":1\r\n", c.Do("NACK", nacked))
		}
		require.Equal(t, "+in\r\n", c.Do("PAUSE", "paused", "in"))
		before := c.Do("SHOW", large)
		ctime := show(t, c, queued, "ctime")
		end(t, p)

		c = on(t, dir, policy).Dial(t)
		require.Equal(t, ":1\r\n", c.Do("QLEN", "q"))
		require.Equal(t, ":100", show(t, c, queued, "retry"))
		require.Equal(t, ctime, show(t, c, queued, "ctime"))
		require.Equal(t, "queued", show(t, c, queued, "state"))
		require.Equal(t, "queued", get(c, "q"))
		for _, id := range []string{acked, deleted, fast} {
			require.Equal(t, "$-1\r\n", c.Do("SHOW", id))
		}
		require.Equal(t, ":3", show(t, c, nacked, "nacks"))
		require.Equal(t, "active", show(t, c, delayed, "state"))
		require.Equal(t, "", get(c, "d"))
		require.Equal(t, before[strings.Index(before, "body"):], c.Do("SHOW", large)[strings.Index(before, "body"):])
		require.Equal(t, "+in\r\n", c.Do("PAUSE", "paused", "state"))
		require.Regexp(t, `^-PAUSED`, c.Do("ADDJOB", "paused", "x", "0"))
		require.Equal(t, "4", info(c, "registered_jobs"))
	})
}

// The retry clock goes on from the delivery, the delay from the creation.
func TestRestartKeepsClocks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := on(t, dir, "always")
	c := p.Dial(t)
	started := time.Now()
	c.Job("q", "delivered", "RETRY", "4")
	require.Equal(t, "delivered", get(c, "q"))
	c.Job("d", "delayed", "DELAY", "4")
	c.Job("x", "gone", "TTL", "1", "RETRY", "1")
	c.Job("sync", "")
	p.Kill(t)

	c = on(t, dir, "always").Dial(t)
	require.Equal(t, "", get(c, "q"), "somebody works on it")
	for _, q := range []string{"q", "d"} {
		eventually(t, q, func() bool { return get(c, q) != "" })
		took := time.Since(started)
		require.Greater(t, took, 3900*time.Millisecond)
		require.Less(t, took, 10*time.Second, "the clock began anew")
	}
	require.Equal(t, "", get(c, "x"))
}

// A job that is at most once comes once: what was delivered never again; what
// was not, again only if that is certain.
func TestRestartAtMostOnce(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, dir, policy string, end func(*testing.T, *servertest.Process)) {
		p := on(t, dir, policy)
		c := p.Dial(t)
		for i := range 10 {
			c.Job("once", fmt.Sprint("job", i), "RETRY", "0")
		}
		c.Job("later", "job", "RETRY", "0", "DELAY", "1")
		for i := range 4 {
			require.Equal(t, fmt.Sprint("job", i), get(c, "once"))
		}
		certain := policy == "always" || strings.Contains(t.Name(), "SIGTERM")
		end(t, p)

		p = on(t, dir, policy)
		c = p.Dial(t)
		var got []string
		for job := get(c, "once"); job != ""; job = get(c, "once") {
			got = append(got, job)
		}
		if certain {
			require.Equal(t, []string{"job4", "job5", "job6", "job7", "job8", "job9"}, got)
			eventually(t, "the delayed job", func() bool { return get(c, "later") == "job" })
			require.NotContains(t, p.Log(), "may have been delivered")
		} else {
			require.Empty(t, got)
			require.Regexp(t, `at-most-once jobs may have been delivered.*jobs=7`, p.Log())
		}
		require.Zero(t, p.Terminate(t))
		c = on(t, dir, policy).Dial(t)
		require.Equal(t, "", get(c, "once"), "the next restart knows too")
	})
}

// FLUSHALL and RESET are final; many restarts in a row change nothing.
func TestRestartAfterFlush(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"DEBUG", "FLUSHALL"}, {"CLUSTER", "RESET"}} {
		dir := t.TempDir()
		p := on(t, dir, "everysec")
		c := p.Dial(t)
		for i := range 100 {
			c.Job(fmt.Sprint("q", i), "before")
		}
		c.Do("PAUSE", "paused", "all")
		require.Equal(t, "+OK\r\n", c.Do(words...))
		c.Job("q1", "after")
		for range 4 {
			p.Kill(t)
			p = on(t, dir, "everysec")
			c = p.Dial(t)
			require.Equal(t, "1", info(c, "registered_jobs"))
			require.Equal(t, "+none\r\n", c.Do("PAUSE", "paused", "state"))
		}
		require.Equal(t, "after", get(c, "q1"))
	}
}

// Two brokers on one directory would destroy each other's log.
func TestOneBrokerPerDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	on(t, dir, "everysec")
	second := servertest.Launch(t, dir, "--appendonly", "yes", "--cluster-config-file", "other.conf")
	require.Equal(t, 1, second.ExitCode(t))
	require.Contains(t, second.Log(), "in use by another process")
}

// A torn end is cut and told; with aof-load-truncated no it is refused. Damage
// before it is refused either way, with file and offset.
func TestRestartAfterDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := on(t, dir, "always")
	c := p.Dial(t)
	for i := range 10 {
		c.Job("q", fmt.Sprint("a body to be found in the file ", i))
	}
	p.Kill(t)
	first := segments(t, dir)[0]
	whole, err := os.ReadFile(first)
	require.NoError(t, err)
	last := strings.LastIndex(string(whole), "a body to be found")

	torn := append([]byte(nil), whole...)
	torn[last] ^= 1
	require.NoError(t, os.WriteFile(first, torn, 0o600))
	p = servertest.Launch(t, dir, "--appendonly", "yes", "--aof-load-truncated", "no")
	require.Equal(t, 1, p.ExitCode(t))
	require.Contains(t, p.Log(), "torn")
	p = on(t, dir, "always")
	require.Contains(t, p.Log(), "torn")
	require.Equal(t, "9", info(p.Dial(t), "registered_jobs"))
	p.Kill(t)

	corrupt := append([]byte(nil), whole...)
	corrupt[strings.Index(string(whole), "a body to be found")] ^= 1
	fresh := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(fresh, "appendonlydir"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(fresh, "appendonlydir", filepath.Base(first)), corrupt, 0o600))
	p = servertest.Launch(t, fresh, "--appendonly", "yes")
	require.Equal(t, 1, p.ExitCode(t))
	require.Regexp(t, `0000000001\.aof is corrupt at offset \d+`, p.Log())
	after, err := os.ReadFile(filepath.Join(fresh, "appendonlydir", filepath.Base(first)))
	require.NoError(t, err)
	require.Equal(t, corrupt, after, "nothing was changed")
}
