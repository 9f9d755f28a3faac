package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

func TestOneCommandEach(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"-2"}, {"-3"}, {"-n", "0"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			cli := redisCLI(t, broker(t))
			run := func(words string) string { return cli.run("", append(flags, strings.Fields(words)...)...) }
			id := strings.TrimSuffix(run("ADDJOB mail hello 0"), "\n")
			require.Regexp(t, `^`+jobID+`$`, id)
			require.Equal(t, "1\n", run("QLEN mail"))
			require.Equal(t, "mail\n"+id+"\nhello\n", run("GETJOB FROM mail"))
			require.Equal(t, "\n", run("GETJOB TIMEOUT 20 FROM mail"))
			require.Equal(t, "1\n", run("ACKJOB "+id))
			require.Equal(t, "\n", run("SHOW "+id))
			require.Contains(t, run("INFO"), "\nregistered_jobs:0\r\n")
			require.Contains(t, run("CONFIG GET appendfsync"), "appendfsync")
			require.Contains(t, run("CLUSTER NODES"), "myself")
			require.Equal(t, "ERR unknown command 'LPUSH'\n\n", run("LPUSH q x"))
		})
	}
}

// The README and half of all shell scripts feed redis-cli from a pipe.
func TestCommandsFromAPipe(t *testing.T) {
	t.Parallel()
	cli := redisCLI(t, broker(t))
	out := cli.run("ADDJOB q \"two words\\x01\" 0\nADDJOB q 'b' 0 RETRY 5\nQLEN q\nGETJOB COUNT 5 FROM q\n")
	require.Regexp(t, `^(?s)`+jobID+`\n`+jobID+`\n2\nq\n`+jobID+`\ntwo words\x01\nq\n`+jobID+`\nb\n$`, out)
	body := strings.Repeat("x", 100_000)
	cli.run("", "DEBUG", "FLUSHALL")
	cli.run(body, "-X", "BODY", "ADDJOB", "big", "BODY", "0")
	require.Contains(t, cli.run("", "GETJOB", "FROM", "big"), body)
	require.Equal(t, "PONG\nPONG\nPONG\n", cli.run("", "-r", "3", "PING"))
}

// --pipe sends RESP as it stands and an ECHO at the end, whose reply tells it
// that all was answered.
func TestMassInsertion(t *testing.T) {
	t.Parallel()
	const n = 50_000
	cli := redisCLI(t, broker(t))
	var all strings.Builder
	for i := range n {
		all.Write(servertest.Command("ADDJOB", "q", fmt.Sprintf("body %d", i), "0"))
	}
	out := cli.run(all.String(), "--pipe")
	require.Contains(t, out, fmt.Sprintf("errors: 0, replies: %d\n", n))
	require.Equal(t, fmt.Sprintf("%d\n", n), cli.run("", "QLEN", "q"))
}

func TestPassword(t *testing.T) {
	t.Parallel()
	p := broker(t, "--requirepass", "s3cret")
	const warning = "Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.\n"
	for _, test := range []struct {
		name                string
		env                 []string
		args                []string
		want, wantComplaint string
	}{
		{"none", nil, nil, "NOAUTH Authentication required.\n\n", ""},
		{"environment", []string{"REDISCLI_AUTH=s3cret"}, nil, "PONG\n", ""},
		{"option", nil, []string{"-a", "s3cret"}, "PONG\n", warning},
		{"option in RESP3", nil, []string{"-3", "-a", "s3cret"}, "PONG\n", warning},
		{"quiet option", nil, []string{"--no-auth-warning", "-a", "s3cret"}, "PONG\n", ""},
		{"user", nil, []string{"--no-auth-warning", "--user", "default", "--pass", "s3cret"}, "PONG\n", ""},
		{"wrong", nil, []string{"--no-auth-warning", "-a", "no"}, "NOAUTH Authentication required.\n\n",
			"AUTH failed: WRONGPASS invalid username-password pair or user is disabled.\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, complaint := redisCLI(t, p, test.env...).hear("", append(test.args, "PING")...)
			require.Equal(t, test.want, out)
			require.Equal(t, test.wantComplaint, complaint)
		})
	}
}

// The programs within redis-cli that watch a server.
func TestWatching(t *testing.T) {
	t.Parallel()
	p := broker(t)
	cli := redisCLI(t, p)

	t.Run("stat", func(t *testing.T) {
		t.Parallel()
		got := redisCLI(t, p).lines(4, "--stat", "-i", "0.05")
		require.Regexp(t, `^keys +mem +clients blocked requests +connections`, got[1])
		require.Regexp(t, `^0 +\d+(\.\d\d[KM]|B) +\d+ +0 +\d+ \(\+\d+\) +\d+ +$`, got[2])
		require.Regexp(t, `^0 +\d+(\.\d\d[KM]|B) +\d+ +0 +\d+ \(\+[1-9]\d*\) +\d+ +$`, got[3])
	})
	t.Run("latency", func(t *testing.T) {
		t.Parallel()
		require.Regexp(t, `^\d+ \d+ \d+\.\d\d [1-9]\d*\n$`, redisCLI(t, p).run("", "--latency", "-i", "0.2"))
	})
	t.Run("monitor", func(t *testing.T) {
		t.Parallel()
		p := broker(t)
		probe := redisCLI(t, p)
		done := make(chan []string, 1)
		go func() { done <- redisCLI(t, p).lines(2, "MONITOR") }()
		for len(done) == 0 { // until the monitor is on and has seen one
			probe.run("", "ADDJOB", "seen", "x", "0")
		}
		got := <-done
		require.Equal(t, "OK", got[0])
		require.Regexp(t, `^\d+\.\d{6} \[127\.0\.0\.1:\d+\] "ADDJOB" "seen" "x" "0"$`, got[1])
	})
	require.Equal(t, "PONG\n", cli.run("", "PING"))
}
