package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/servertest"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	for name, directives := range map[string][]string{
		"open":            nil,
		"with a password": {"--requirepass", "s3cret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := servertest.Exec(t, directives...)
			_, port, err := net.SplitHostPort(p.Addr)
			require.NoError(t, err)
			code, out, complaint := call("--healthcheck", "--port", port)
			require.Equal(t, 0, code, complaint)
			require.Empty(t, out+complaint)

			conf := filepath.Join(t.TempDir(), "disqo.conf")
			require.NoError(t, os.WriteFile(conf, []byte("bind 0.0.0.0\nport "+port+"\n"), 0o600))
			code, _, complaint = call("--healthcheck", conf)
			require.Equal(t, 0, code, complaint)

			p.Kill(t)
			code, _, complaint = call("--healthcheck", "--port", port)
			require.Equal(t, 1, code)
			require.Regexp(t, `^disqo: not healthy: .*127\.0\.0\.1:`+port+`: .*refused\n$`, complaint)
		})
	}
}

// With an HTTP side it is that which is asked: it lives while it is not ready.
func TestChecksByHTTP(t *testing.T) {
	t.Parallel()
	p := servertest.Exec(t, "--http-port", "0", "--requirepass", "s3cret")
	c := p.Dial(t)
	require.Equal(t, "+OK\r\n", c.Do("AUTH", "s3cret"))
	port := c.Info("server", "http_port")
	for _, check := range []string{"--healthcheck", "--readycheck"} {
		code, out, complaint := call(check, "--http-port", port)
		require.Equal(t, 0, code, complaint)
		require.Empty(t, out+complaint)
		code, _, complaint = call(check, "--http-port", "0")
		require.Equal(t, 1, code)
		require.Equal(t, "disqo: not healthy: http-port 0 stands for any free one: say --http-port\n", complaint)
	}
	require.Equal(t, "+OK\r\n", c.Do("CLUSTER", "LEAVING", "yes"))
	code, _, complaint := call("--readycheck", "--http-port", port)
	require.Equal(t, 1, code)
	require.Equal(t, "disqo: not healthy: /readyz of 127.0.0.1:"+port+" answers 503: not ready: it is leaving the cluster\n", complaint)
	code, _, complaint = call("--healthcheck", "--http-port", port)
	require.Equal(t, 0, code, complaint)
	code, _, complaint = call("--readycheck")
	require.Equal(t, 1, code)
	require.Contains(t, complaint, "set http-port")
	p.Kill(t)
	code, _, complaint = call("--healthcheck", "--http-port", port)
	require.Equal(t, 1, code)
	require.Contains(t, complaint, "refused")
}

func TestHealthcheckOfSomethingElse(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ answer, want string }{
		"loading":  {"-LOADING Disqo is loading the dataset in memory\r\n", `the broker says: LOADING Disqo is loading`},
		"no RESP":  {"HTTP/1.1 400 Bad Request\r\n\r\n", `not a reply of a broker: "HTTP/1\.1 400 Bad Request`},
		"closed":   {"", `EOF`},
		"no end":   {strings.Repeat("x", 4096), `EOF`},
		"no pong":  {":1\r\n", `was answered "1"`},
		"half one": {"+PON", `EOF`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			go func() {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = nc.Read(make([]byte, 16))
				_, _ = nc.Write([]byte(test.answer))
				_ = nc.Close()
			}()
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			code, _, complaint := call("--healthcheck", "--port", port)
			require.Equal(t, 1, code)
			require.Regexp(t, `^disqo: not healthy: PING of 127\.0\.0\.1:`+port+`.*`+test.want+`.*\n$`, complaint)
		})
	}
}

// A broker that is stuck takes connections, by the kernel, and says nothing.
func TestHealthcheckEnds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	code, _, complaint := call("--healthcheck", "--port", port)
	require.Equal(t, 1, code)
	require.Contains(t, complaint, "timeout")
}

func TestOwnAddress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"default":        {nil, "127.0.0.1:7711"},
		"port":           {[]string{"--port", "8000"}, "127.0.0.1:8000"},
		"address":        {[]string{"--bind", "10.1.2.3"}, "10.1.2.3:7711"},
		"name":           {[]string{"--bind", "localhost"}, "localhost:7711"},
		"several":        {[]string{"--bind", "10.1.2.3", "127.0.0.1"}, "10.1.2.3:7711"},
		"all":            {[]string{"--bind", "0.0.0.0"}, "127.0.0.1:7711"},
		"all, IPv6":      {[]string{"--bind", "::"}, "[::1]:7711"},
		"any free port":  {[]string{"--port", "0"}, ""},
		"nonsense is no": {[]string{"--port", "eleven"}, ""},
	} {
		set, err := config.Load(test.args)
		if test.want == "" {
			code, _, complaint := call(append([]string{"--healthcheck"}, test.args...)...)
			require.Equal(t, 1, code, name)
			require.Contains(t, complaint, "port", name)
			continue
		}
		require.NoError(t, err, name)
		got, err := ownAddress(set.Get(), set.Get().Port, "port")
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
}
