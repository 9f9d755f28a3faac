package top

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/server/servertest"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parse(nil)
	require.NoError(t, err)
	require.Equal(t, options{Options: client.Options{Addr: "127.0.0.1:7711"}, interval: time.Second, color: o.color}, *o)
	o, err = parse([]string{"--interval", "2s", "[::1]:8000", "-n=5", "--password", "s3cret", "--once", "--user", "me"})
	require.NoError(t, err)
	require.Equal(t, options{
		Options:  client.Options{Addr: "[::1]:8000", User: "me", Password: "s3cret"},
		interval: 2 * time.Second, once: true, rows: 5, color: o.color,
	}, *o)
}

func TestColor(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	o, err := parse(nil)
	require.NoError(t, err)
	require.False(t, o.color)
	t.Setenv("NO_COLOR", "")
	o, err = parse(nil)
	require.NoError(t, err)
	require.True(t, o.color)
}

// call runs the command without a terminal.
func call(args ...string) (code int, stdout, stderr string) {
	var out, complaint strings.Builder
	code = Run(args, nil, &out, &complaint)
	return code, out.String(), complaint.String()
}

func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"one broker at a time":     {"a:1", "b:2"},
		"--interval must be 100ms": {"--interval", "99ms"},
		"1h0m0s":                   {"--interval", "2h"},
		"-n must be 0 or more":     {"-n", "-1"},
		"not defined: -twice":      {"--twice"},
		"missing port":             {"--once", "nowhere"},
	} {
		code, out, complaint := call(args...)
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.Regexp(t, `^disqo top: .*`+want+`.*\n$`, complaint)
	}
	code, out, complaint := call("--help")
	require.Equal(t, 0, code)
	require.Empty(t, complaint)
	require.Contains(t, out, "\n  --interval time\n")
	require.Contains(t, out, "\n  -n number\n")
}

func TestOnce(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--requirepass", "s3cret")
	c := s.Dial(t)
	require.Equal(t, "+OK\r\n", c.Do("AUTH", "s3cret"))
	c.Job("mail", "x")
	c.Job("mail", "x")
	c.Job("evil\x1b[2J", "x")
	code, out, complaint := call("--once", "--interval", "100ms", "--password", "s3cret", s.Addr)
	require.Equal(t, 0, code, complaint)
	require.Empty(t, complaint)
	require.NotContains(t, out, "\x1b")
	require.Regexp(t, `^disqo 0\.0\.0 at `+s.Addr+`   node [0-9a-f]{8}   up \ds   every 100ms\n`+
		`memory  \[ +\] \S+ of 1\.0G, 0 %\njobs    3 queued, 0 active, 0 delayed, 0 dead, 0 wait-repl\nclients 2, 0 blocked   ops/s \d+   aof \w+\n\n`+
		`NODE .*\n[0-9a-f]{8}  \S*:\d+\S* +myself +- +-\n\nQUEUE +LENGTH .*\nmail +2 +0 +0 +0 +0 +0 +\ds +-\nevil\\x1b\[2J +1 +0 `, out)

	code, out, complaint = call("--once", "--interval", "100ms", "-n", "1", "--password", "s3cret", s.Addr)
	require.Equal(t, 0, code, complaint)
	require.Contains(t, out, "\nmail ")
	require.NotContains(t, out, "evil")

	for want, args := range map[string][]string{"WRONGPASS": {"--password", "wrong"}, "NOAUTH": nil} {
		code, out, complaint = call(append(args, "--once", s.Addr)...)
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.Contains(t, complaint, "disqo top: "+s.Addr+": the broker says: "+want)
	}
	s.Stop(t)
	code, _, complaint = call("--once", s.Addr)
	require.Equal(t, 1, code)
	require.Equal(t, "disqo top: "+s.Addr+": connect: connection refused\n", complaint)
}

func TestOnceByTLS(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	s := servertest.Start(t, "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key,
		"--user", "watcher", "on", ">s3cret", "~*", "+@inspect")
	addr := "127.0.0.1:" + s.Dial(t).Info("server", "tls_port")
	args := []string{"--once", "--interval", "100ms", "--user", "watcher", "--password", "s3cret", "--tls", addr}
	code, out, complaint := call(append(args, "--cacert", ca.File)...)
	require.Equal(t, 0, code, complaint)
	require.Contains(t, out, " at "+addr)
	code, _, complaint = call(args...)
	require.Equal(t, 1, code)
	require.Regexp(t, `^disqo top: `+addr+`: tls: .* signed by unknown authority \(--cacert says .*\n$`, complaint)
}
