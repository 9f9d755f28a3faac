package cli_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// printf | nc is how a server is tried where nothing is installed. With -N nc
// closes its sending side at the end of the input: what was sent is still
// executed and answered. Without it QUIT ends the connection.
func TestNetcat(t *testing.T) {
	t.Parallel()
	servertest.Need(t, "nc")
	host, port, err := net.SplitHostPort(broker(t).Addr)
	require.NoError(t, err)
	const added = `\+` + jobID + `\r\n`
	for _, test := range []struct{ name, input, want string }{
		{"inline", "PING\r\nADDJOB inline x 0\r\nQLEN inline\r\n", `\+PONG\r\n` + added + `:1\r\n`},
		{"inline, bare newlines", "PING\nADDJOB bare \"two words\" 0\nGETJOB FROM bare\n",
			`\+PONG\r\n` + added + `\*1\r\n\*3\r\n\$4\r\nbare\r\n\$40\r\n` + jobID + `\r\n\$9\r\ntwo words\r\n`},
		{"multi bulk", "*4\r\n$6\r\nADDJOB\r\n$1\r\nm\r\n$1\r\nx\r\n$1\r\n0\r\n", added},
		{"error", "NONSENSE\r\n", `-ERR unknown command 'NONSENSE'\r\n`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			nc := tool{t, "nc", nil, nil}
			require.Regexp(t, `^`+test.want+`$`, nc.run(test.input, "-N", host, port))
		})
	}
	t.Run("quit", func(t *testing.T) {
		t.Parallel()
		nc := tool{t, "nc", nil, nil}
		require.Equal(t, "+PONG\r\n+OK\r\n", nc.run("PING\r\nQUIT\r\n", host, port))
	})
}
