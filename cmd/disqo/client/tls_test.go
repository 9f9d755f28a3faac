package client

import (
	"flag"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// dialed asks a broker who it takes a command line for.
func dialed(t *testing.T, addr string, args ...string) (any, error) {
	t.Helper()
	o, err := parse(addr, args...)
	require.NoError(t, err)
	c, err := Dial(soon(t), o)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	replies, err := c.Ask(soon(t), []string{"ACL", "WHOAMI"})
	if err != nil {
		return nil, err
	}
	return replies[0], nil
}

func parse(addr string, args ...string) (*Options, error) {
	o := &Options{Addr: addr}
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	o.Flags(f)
	if _, err := Parse(f, args); err != nil {
		return nil, err
	}
	return o, o.Complete()
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, other := servertest.NewAuthority(t), servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	s := servertest.Start(t, "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", ca.File, "--tls-auth-clients", "optional",
		"--user", "worker", "on", ">s3cret", "~mail", "+@consume")
	addr := "127.0.0.1:" + s.Dial(t).Info("server", "tls_port")
	mine, myKey := ca.Issue("client")
	theirs, theirKey := other.Issue("client")
	for _, test := range []struct {
		name string
		args []string
		want string // the user, or else what the error says
	}{
		{"a CA", []string{"--tls", "--cacert", ca.File}, "default"},
		{"a user", []string{"--tls", "--cacert", ca.File, "--user", "worker", "--password", "s3cret"}, "worker"},
		{"a wrong password", []string{"--tls", "--cacert", ca.File, "--user", "worker", "--password", "secret"}, "the broker says: WRONGPASS"},
		{"the system's CAs", []string{"--tls"}, "signed by unknown authority (--cacert says which CA to trust"},
		{"another CA", []string{"--tls", "--cacert", other.File}, "--cacert says which CA to trust"},
		{"nobody", []string{"--tls", "--insecure"}, "default"},
		{"a name", []string{"--tls", "--cacert", ca.File, "--sni", "localhost"}, "default"},
		{"another name", []string{"--tls", "--cacert", ca.File, "--sni", "elsewhere"}, "not elsewhere (--cacert says which CA to trust, --sni for which name"},
		{"a certificate", []string{"--tls", "--cacert", ca.File, "--cert", mine, "--key", myKey}, "default"},
		{"a stranger's", []string{"--tls", "--cacert", ca.File, "--cert", theirs, "--key", theirKey}, "tls: "},
		{"files that are no pair", []string{"--tls", "--cacert", ca.File, "--cert", mine, "--key", theirKey}, "--cert and --key: "},
		{"no file", []string{"--tls", "--cacert", "/nowhere"}, "--cacert: open /nowhere: no such file"},
		{"a key for a CA", []string{"--tls", "--cacert", key}, "--cacert: there is no certificate in " + key},
		{"no TLS", nil, "does the port speak TLS?"},
	} {
		who, err := dialed(t, addr, test.args...)
		if err != nil {
			require.ErrorContains(t, err, test.want, test.name)
			continue
		}
		require.Equal(t, test.want, who, test.name)
	}
	_, err := dialed(t, s.Addr, "--tls", "--cacert", ca.File)
	require.ErrorContains(t, err, "first record does not look like a TLS handshake")
}

func TestOptionsThatDoNotGoTogether(t *testing.T) {
	t.Parallel()
	const with = "--insecure go with --tls"
	for _, test := range []struct {
		want string
		args []string
	}{
		{with, []string{"--cacert", "x"}}, {with, []string{"--cert", "x", "--key", "x"}}, {with, []string{"--sni", "x"}}, {with, []string{"--insecure"}},
		{"--cert and --key go together", []string{"--tls", "--cert", "x"}}, {"--cert and --key go together", []string{"--tls", "--key", "x"}},
		{"--insecure trusts any certificate", []string{"--tls", "--insecure", "--cacert", "x"}},
		{"--user goes with a password: set DISQO_PASSWORD", []string{"--user", "x"}},
		{"not defined: -x", []string{"-x"}},
	} {
		_, err := parse(DefaultAddr, test.args...)
		require.ErrorContains(t, err, test.want)
	}
	_, err := parse("localhost")
	require.ErrorContains(t, err, "the address of the broker is host:port: address localhost: missing port")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("DISQO_PASSWORD", "s3cret")
	o, err := parse(DefaultAddr, "--user", "me")
	require.NoError(t, err)
	require.Equal(t, Options{Addr: DefaultAddr, User: "me", Password: "s3cret"}, *o)
	o, err = parse(DefaultAddr, "--password", "other")
	require.NoError(t, err)
	require.Equal(t, "other", o.Password)
}
