package server_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// Who has not given the password gets little memory and little time.
func TestStrangersAreClosed(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--requirepass", "secret", "--auth-timeout", "1")
	member, quiet := srv.Dial(t), srv.Dial(t)
	require.Equal(t, "+OK\r\n", member.Do("AUTH", "secret"))
	quiet.Closed()
	require.Equal(t, "+PONG\r\n", member.Do("PING"), "a member may be quiet")

	greedy, err := net.Dial("tcp", srv.Addr)
	require.NoError(t, err)
	defer greedy.Close()
	require.NoError(t, greedy.SetDeadline(time.Now().Add(30*time.Second)))
	sent := 0
	pipeline := strings.Repeat("PING\r\n", 10_000)
	for sent < 1<<30 {
		n, err := io.WriteString(greedy, pipeline)
		sent += n
		if err != nil {
			break
		}
	}
	require.Less(t, sent, 64<<20, "a client that reads nothing is cut off")
}
