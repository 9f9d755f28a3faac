package durable

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// What is dead stays dead, what waits after a failure waits on, and priorities,
// tries and reasons are as they were, however the broker ended.
func TestRestartKeepsTerms(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, dir, policy string, end func(*testing.T, *servertest.Process)) {
		p := on(t, dir, policy)
		c := p.Dial(t)
		lie := c.Job("q", "dead", "PRIORITY", "0", "MAXTRIES", "2", "RETRY", "60")
		wait := c.Job("q", "waits", "PRIORITY", "1", "BACKOFF", "500", "500", "RETRY", "60")
		risen := c.Job("q", "risen", "PRIORITY", "9000")
		last := c.Job("q", "last", "PRIORITY", "2")
		for range 2 {
			require.Equal(t, "dead", get(c, "q"))
			require.Equal(t, ":1\r\n", c.Do("NACK", lie, "REASON", "because"))
		}
		require.Equal(t, "waits", get(c, "q"))
		require.Equal(t, ":1\r\n", c.Do("NACK", wait))
		require.Equal(t, ":2\r\n", c.Do("BURY", risen, last, "REASON", "by hand"))
		require.Equal(t, ":1\r\n", c.Do("KICKJOB", risen))
		require.Equal(t, ":1\r\n", c.Do("PROMOTE", last, "PRIORITY", "8000"))
		end(t, p)

		c = on(t, dir, policy).Dial(t)
		require.Equal(t, "dead", show(t, c, lie, "state"))
		require.Equal(t, "active", show(t, c, wait, "state"))
		require.Equal(t, "queued", show(t, c, risen, "state"))
		for id, want := range map[string]string{
			lie: "tries\r\n:2\r\n", wait: "backing-off\r\n:1\r\n", risen: "generation\r\n:2\r\n", last: "priority\r\n:8000\r\n",
		} {
			require.Contains(t, c.Do("SHOW", id, "FULL"), want)
		}
		require.True(t, strings.HasSuffix(c.Do("SHOW", lie, "FULL"), "\r\nbecause\r\n"))
		require.True(t, strings.HasSuffix(c.Do("SHOW", risen, "FULL"), "\r\nby hand\r\n"))
		require.Contains(t, c.Do("QSTAT", "q", "FULL"), "delayed\r\n:1\r\n$4\r\ndead\r\n:2\r\n")
		require.Equal(t, ":2\r\n", c.Do("KICK", "q"))
		require.Equal(t, []string{"dead", "last", "risen", ""}, []string{get(c, "q"), get(c, "q"), get(c, "q"), get(c, "q")})
	})
}
