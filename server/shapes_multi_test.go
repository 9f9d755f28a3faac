package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// Point 12 of what clients need: MULTI, EXEC and DISCARD as one batch.

func TestConnect12ExecAnswersWithOneArray(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, proto int) {
		require.Equal(t, ok, c.Do("MULTI"))
		require.Equal(t, queued, c.Do("ADDJOB", "q", "a", "0"))
		require.Equal(t, queued, c.Do("QLEN", "q"))
		require.Equal(t, queued, c.Do("QPEEK", "q", "-1"))
		require.Equal(t, queued, c.Do("ACKJOB", "bad"))
		require.Equal(t, queued, c.Do("PING"))
		require.Equal(t, ":0\r\n", srv.Dial(t).Do("QLEN", "q"), "nothing runs before EXEC")
		got := decode(t, c.Do("EXEC")).([]any)
		require.Len(t, got, 5)
		require.Regexp(t, `^D-`, got[0])
		require.Equal(t, int64(1), got[1])
		require.Equal(t, []any{[]any{"q", got[0], "a"}}, got[2])
		require.Equal(t, servertest.Failure("BADID Invalid Job ID format."), got[3], "an error while running stops nothing")
		require.Equal(t, "PONG", got[4])
		require.Equal(t, ":1\r\n", c.Do("QLEN", "q"), "the transaction has ended")
	})
}

func TestConnect12EmptyExec(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Equal(t, ok, c.Do("MULTI"))
	require.Equal(t, "*0\r\n", c.Do("EXEC"))
}

func TestConnect12WithoutMulti(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Equal(t, "-ERR EXEC without MULTI\r\n", c.Do("EXEC"))
	require.Equal(t, "-ERR DISCARD without MULTI\r\n", c.Do("DISCARD"))
	require.Equal(t, pong, c.Do("PING"))
}

func TestConnect12NestedMultiIsRefusedAndTheBatchGoesOn(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Equal(t, ok, c.Do("MULTI"))
	require.Equal(t, queued, c.Do("PING"))
	require.Equal(t, "-ERR MULTI calls can not be nested\r\n", c.Do("MULTI"))
	require.Equal(t, "*1\r\n"+pong, c.Do("EXEC"))
}

func TestConnect12DiscardRunsNothing(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Equal(t, ok, c.Do("MULTI"))
	require.Equal(t, queued, c.Do("ADDJOB", "q", "a", "0"))
	require.Equal(t, ok, c.Do("DISCARD"))
	require.Equal(t, ":0\r\n", c.Do("QLEN", "q"))
	require.Equal(t, "-ERR EXEC without MULTI\r\n", c.Do("EXEC"))
}

func TestConnect12AnErrorWhileQueueingRunsNothing(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	for _, bad := range [][]string{
		{"NOSUCH"}, {"ADDJOB", "q"}, {"SHOW"}, {"MONITOR"}, {"SHUTDOWN"}, {"DEBUG", "FLUSHALL"},
	} {
		t.Run(strings.Join(bad, " "), func(t *testing.T) {
			t.Parallel()
			c, queue := srv.Dial(t), "q-"+strings.Join(bad, "-")
			require.Equal(t, ok, c.Do("MULTI"))
			require.Equal(t, queued, c.Do("ADDJOB", queue, "a", "0"))
			require.Regexp(t, `^-ERR `, c.Do(bad...))
			require.Equal(t, queued, c.Do("ADDJOB", queue, "b", "0"), "clients expect QUEUED after an error, too")
			require.Equal(t, "-EXECABORT Transaction discarded because of previous errors.\r\n", c.Do("EXEC"))
			require.Equal(t, ":0\r\n", c.Do("QLEN", queue))
			require.Equal(t, pong, c.Do("PING"))
		})
	}
}

func TestConnect12TooLargeArgumentAbortsTheBatch(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--max-job-size", "1kb").Dial(t)
	require.Equal(t, ok, c.Do("MULTI"))
	require.Equal(t, "-ERR job of 1025 bytes exceeds max-job-size 1024\r\n", c.Do("ADDJOB", "q", strings.Repeat("x", 1025), "0"))
	require.Regexp(t, `^-EXECABORT `, c.Do("EXEC"))
}

func TestConnect12BatchesAreBounded(t *testing.T) {
	t.Parallel()
	for name, directives := range map[string][]string{
		"commands": {"--multi-max-commands", "3"},
		"bytes":    {"--multi-max-bytes", "1kb"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t, directives...).Dial(t)
			require.Equal(t, ok, c.Do("MULTI"))
			body := strings.Repeat("x", 200)
			for range 3 {
				require.Equal(t, queued, c.Do("ADDJOB", "q", body, "0"))
			}
			var last string
			for range 3 {
				if last = c.Do("ADDJOB", "q", body, "0"); last != queued {
					break
				}
			}
			require.Regexp(t, `^-ERR MULTI takes at most .*multi-max-`+name, last)
			require.Regexp(t, `^-EXECABORT `, c.Do("EXEC"))
			require.Equal(t, ":0\r\n", c.Do("QLEN", "q"))
		})
	}
}

func TestConnect12GetJobInsideNeverWaits(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, proto int) {
		require.Equal(t, ok, c.Do("MULTI"))
		require.Equal(t, queued, c.Do("GETJOB", "FROM", "q"))
		require.Equal(t, queued, c.Do("GETJOB", "TIMEOUT", "0", "FROM", "q"))
		require.Equal(t, queued, c.Do("ADDJOB", "q", "a", "0"))
		require.Equal(t, queued, c.Do("GETJOB", "FROM", "q"))
		got := decode(t, c.Do("EXEC")).([]any)
		require.Len(t, got, 4)
		require.Nil(t, got[0])
		require.Nil(t, got[1])
		require.Equal(t, []any{[]any{"q", got[2], "a"}}, got[3])
		require.Equal(t, "0", c.Info("clients", "blocked_clients"))
	})
}

// redis-py and others send MULTI, the commands and EXEC in one write.
func TestConnect12WholePipelineInOneWrite(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	const n = 1000
	var b strings.Builder
	b.WriteString(bulks("MULTI"))
	for i := range n {
		b.WriteString(bulks("ADDJOB", "q", strconv.Itoa(i), "0"))
	}
	b.WriteString(bulks("EXEC"))
	c.Send(b.String())
	require.Equal(t, ok, c.Raw())
	for range n {
		require.Equal(t, queued, c.Raw())
	}
	require.Len(t, decode(t, c.Raw()), n)
	require.Equal(t, fmt.Sprintf(":%d\r\n", n), c.Do("QLEN", "q"))
}

// Whether a command may run is asked again at EXEC.
func TestConnect12ConfigInsideTakesEffectInside(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	require.Equal(t, ok, c.Do("MULTI"))
	require.Equal(t, queued, c.Do("PING"))
	require.Equal(t, ok, srv.Dial(t).Do("CONFIG", "SET", "requirepass", "pw"))
	require.Equal(t, noAuth, c.Do("EXEC"))
	require.Equal(t, ok, c.Do("AUTH", "pw"), "AUTH is possible within MULTI")
	require.Contains(t, []string{"*1\r\n" + pong, "-EXECABORT Transaction discarded because of previous errors.\r\n"}, c.Do("EXEC"))
}

// An element of EXEC's array must not go missing, or every later reply is
// taken for another's.
func TestConnect12ClientReplyInsideKeepsRepliesInStep(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"SKIP", "OFF"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t).Dial(t)
			require.Equal(t, ok, c.Do("MULTI"))
			require.Equal(t, queued, c.Do("CLIENT", "REPLY", mode))
			require.Equal(t, queued, c.Do("PING"))
			c.Send(bulks("EXEC") + bulks("ECHO", "first") + bulks("ECHO", "second") + bulks("ECHO", "third"))
			require.Equal(t, "*2\r\n-ERR CLIENT REPLY OFF and SKIP are not allowed in MULTI\r\n"+pong, c.Raw())
			require.Equal(t, bulk("first"), c.Raw())
		})
	}
}
