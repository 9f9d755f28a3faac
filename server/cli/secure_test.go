package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// redis-cli over TLS, with a certificate of its own, as a user.
func TestTLSAndUsers(t *testing.T) {
	t.Parallel()
	servertest.Need(t, "redis-cli")
	if out, _ := (tool{t, "redis-cli", nil, nil}).hear("", "--help"); !strings.Contains(out, "--cacert") {
		servertest.Missing(t, "redis-cli is built without TLS")
	}
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	p := broker(t, "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca.File, "--tls-auth-clients", "yes",
		"--user", "worker", "on", ">s3cret", "~mail", "+@produce", "+@consume")
	port := p.Dial(t).Info("server", "tls_port")
	cert, key = ca.Issue("worker")
	cli := tool{t, "redis-cli", []string{"-h", "127.0.0.1", "-p", port, "--tls", "--cacert", ca.File, "--cert", cert, "--key", key,
		"--user", "worker", "--pass", "s3cret", "--no-auth-warning"}, nil}
	require.Equal(t, "worker\n", cli.run("", "ACL", "WHOAMI"))
	id := strings.TrimSpace(cli.run("", "ADDJOB", "mail", "hello", "0"))
	require.Regexp(t, jobID, id)
	require.Contains(t, cli.run("", "GETJOB", "FROM", "mail"), id)
	require.Equal(t, "1\n", cli.run("", "ACKJOB", id))
	require.Equal(t, "NOPERM User worker has no permissions to run the 'shutdown' command\n\n", cli.run("", "SHUTDOWN"))
	require.Contains(t, cli.run("", "ADDJOB", "sms", "hello", "0"), "NOPERM User worker has no permissions to access the queue 'sms'")
	require.Contains(t, cli.run("ADDJOB mail a 0\nADDJOB mail b 0\n", "--pipe"), "errors: 0, replies: 2")
}
