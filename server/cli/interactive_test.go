package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// On a terminal redis-cli asks COMMAND DOCS first, for its hints, and falls
// back to COMMAND with an error. script(1) gives it a terminal; a dumb one,
// which has no cursor to be asked for.
func TestInteractive(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string]string{"RESP2": "", "RESP3": "-3 "} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servertest.Need(t, "script")
			p := broker(t)
			cli := redisCLI(t, p, "TERM=dumb")
			terminal := tool{t, "script", nil, cli.env}
			command := "redis-cli " + flags + strings.Join(cli.host, " ")
			out := terminal.run("ADDJOB mail hello 0\nSHOW nobody\nGETJOB NOHANG FROM nobody\nQLEN mail\nexit\n", "-qec", command, "/dev/null")
			// Where the prompts stand depends on when the terminal echoed the input.
			require.Regexp(t, jobID+`\r\n`, out)
			require.Contains(t, out, "(error) BADID Invalid Job ID format.\r\n")
			require.Contains(t, out, "(nil)\r\n")
			require.Contains(t, out, "(integer) 1\r\n")
			require.Equal(t, 1, strings.Count(out, "(error)"), out)
			require.NotContains(t, out, "failed")
			require.Contains(t, p.Dial(t).Do("INFO", "commandstats"), "cmdstat_command:calls=1,", "COMMAND DOCS and no second try")
		})
	}
}
