package server_test

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// A pause that is over before the connection goes to sleep holds nothing up.
func TestShortPausesEnd(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for range 300 {
		c.Send("DEBUG SLEEP 0\r\nPING\r\nCLIENT PAUSE 1\r\nPING\r\n")
		for _, want := range []string{ok, pong, ok, pong} {
			require.Equal(t, want, c.Raw())
		}
	}
}

// What was sent before the server stops is executed and answered.
func TestStopAnswersWhatWasSent(t *testing.T) {
	t.Parallel()
	const jobs = 100 // fewer bytes than a new connection's window: all of it is at the server
	for range 20 {
		srv := servertest.Start(t)
		c := srv.Dial(t)
		require.Equal(t, pong, c.Do("PING"))
		c.Send(strings.Repeat(string(servertest.Command("ADDJOB", "q", strings.Repeat("x", 300), "0")), jobs))
		srv.Stop(t)
		for range jobs {
			require.Regexp(t, `^\+D-`, c.Raw())
		}
		c.Closed()
	}
}

// An end that comes together with commands is noticed, though a connection that
// sends much is not asked for it after each batch.
func TestEndBehindCommands(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	for range 20 {
		c := srv.Dial(t)
		for range 20 {
			require.Equal(t, pong, c.Do("PING"))
		}
		c.Send("PING\r\n")
		require.NoError(t, c.Conn.(*net.TCPConn).CloseWrite())
		require.Equal(t, pong, c.Raw())
		c.Closed()
	}
}

func TestClientKillOfAnEmptyAddress(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, other := srv.Dial(t), srv.Dial(t)
	require.Equal(t, pong, other.Do("PING"))
	require.Equal(t, ":0\r\n", c.Do("CLIENT", "KILL", "ADDR", ""))
	require.Equal(t, pong, other.Do("PING"))
}

// CLIENT REPLY is obeyed for jobs that are too large, too.
func TestReplyModesOfRefusedJobs(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--max-job-size", "1kb").Dial(t)
	large := string(servertest.Command("ADDJOB", "q", strings.Repeat("x", 2000), "0"))
	c.Send("CLIENT REPLY OFF\r\n" + large + "CLIENT REPLY ON\r\n")
	require.Equal(t, ok, c.Raw())
	c.Send("CLIENT REPLY SKIP\r\n" + large + "PING\r\n")
	require.Equal(t, pong, c.Raw())
	c.Send(large)
	require.Equal(t, "-ERR job of 2000 bytes exceeds max-job-size 1024\r\n", c.Raw())
}
