package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// secured starts a broker with a port for TLS, and returns where that is.
func secured(t *testing.T, ca *servertest.Authority, directives ...string) (srv *servertest.Server, addr string) {
	t.Helper()
	cert, key := ca.Issue("broker")
	srv = servertest.Start(t, append([]string{"--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key}, directives...)...)
	return srv, "127.0.0.1:" + srv.Dial(t).Info("server", "tls_port")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	srv, addr := secured(t, ca, "--requirepass", "")
	c := servertest.DialTLS(t, addr, ca.Client(""))
	job := c.Job("q", "body")
	require.Contains(t, srv.Dial(t).Do("SHOW", job), "body", "both ports are those of one broker")
	require.Contains(t, c.Do("GETJOB", "FROM", "q"), job)
	require.Contains(t, c.Do("CLIENT", "LIST"), " fd=")
	require.NotContains(t, c.Do("CLIENT", "LIST"), "fd=-1")

	_, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.Pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	require.ErrorContains(t, err, "protocol version")
	old := ca.Client("")
	old.MaxVersion = tls.VersionTLS12
	require.Equal(t, pong, servertest.DialTLS(t, addr, old).Do("PING"))

	plain := servertest.Dial(t, addr)
	plain.Send("PING\r\n")
	said, err := io.ReadAll(plain.Conn)
	require.NoError(t, err)
	require.NotContains(t, string(said), "PONG")
}

// One port for both is one that speaks TLS only.
func TestTLSOnly(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, l.Close())
	srv := servertest.Start(t, "--port", port, "--cluster-port", "0", "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key)
	require.Equal(t, pong, servertest.DialTLS(t, srv.Addr, ca.Client("")).Do("PING"))
	require.Len(t, srv.Broker.Addrs(), 1)
}

func TestCertificatesOfClients(t *testing.T) {
	t.Parallel()
	ca, other := servertest.NewAuthority(t), servertest.NewAuthority(t)
	stranger := other.Client("stranger")
	stranger.RootCAs = ca.Pool
	for _, row := range []struct {
		auth                       string
		without, with, byAStranger bool
	}{{"no", true, true, true}, {"optional", true, true, false}, {"yes", false, true, false}} {
		_, addr := secured(t, ca, "--tls-auth-clients", row.auth, "--tls-ca-cert-file", ca.File)
		for who, config := range map[string]*tls.Config{"without": ca.Client(""), "with": ca.Client("client"), "stranger": stranger} {
			want := map[string]bool{"without": row.without, "with": row.with, "stranger": row.byAStranger}[who]
			nc, err := tls.Dial("tcp", addr, config)
			said := make([]byte, 7)
			if err == nil {
				_, err = io.WriteString(nc, "PING\r\n")
				require.NoError(t, err)
				_, err = io.ReadFull(nc, said)
				_ = nc.Close()
			}
			require.Equal(t, want, err == nil && string(said) == pong, "tls-auth-clients %s, %s a certificate: %v", row.auth, who, err)
		}
	}
}

func TestTLSNeedsFiles(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	for want, directives := range map[string][]string{
		"tls-port needs tls-cert-file and tls-key-file": {"--tls-port", "0", "--tls-cert-file", cert},
		"tls-auth-clients yes needs tls-ca-cert-file":   {"--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "yes"},
		"no such file or directory":                     {"--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key + "x"},
	} {
		_, err := newBroker(t, nil, append([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir()}, directives...)...)
		require.ErrorContains(t, err, want)
	}
}

// A certificate that is renewed is in force without a restart, and connections that
// are there go on.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	_, addr := secured(t, ca)
	serial := func() string {
		c := servertest.DialTLS(t, addr, ca.Client(""))
		require.Equal(t, pong, c.Do("PING"))
		return c.Conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before, there := serial(), servertest.DialTLS(t, addr, ca.Client(""))
	cert, key := ca.Issue("broker")
	later := time.Now().Add(time.Hour)
	require.NoError(t, os.Chtimes(cert, later, later))
	require.NoError(t, os.Chtimes(key, later, later))
	servertest.Until(t, "the new one is in force", waitLimit, func() bool { return serial() != before })
	require.Equal(t, pong, there.Do("PING"))
}

// A client that is slow to read, and one that sends a pipeline before it reads, get
// all; one that takes nothing is closed.
func TestTLSOutput(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	_, addr := secured(t, ca, "--client-write-timeout", "1")
	body := strings.Repeat("x", 1<<20)
	c := servertest.DialTLS(t, addr, ca.Client(""))
	id := c.Job("q", body)
	const n = 40
	c.Send(strings.Repeat(string(servertest.Command("SHOW", id)), n) + strings.Repeat(string(servertest.Command("PING")), 10_000))
	for range n {
		require.Contains(t, c.Raw(), body)
	}
	for range 10_000 {
		require.Equal(t, pong, c.Raw())
	}

	stuck := servertest.DialTLS(t, addr, ca.Client(""))
	stuck.Send(strings.Repeat(string(servertest.Command("SHOW", id)), n))
	began := time.Now()
	servertest.Until(t, "who takes nothing is closed", waitLimit, func() bool { return c.Info("clients", "connected_clients") == "2" })
	require.Less(t, time.Since(began), 6*time.Second, "TLS does not wait to say farewell")
}

// Whoever goes away while it waits gets no job, also over TLS.
func TestTLSHangUp(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	srv, addr := secured(t, ca)
	root, c := srv.Dial(t), servertest.DialTLS(t, addr, ca.Client(""))
	c.Send(string(servertest.Command("GETJOB", "FROM", "q")))
	servertest.Until(t, "it waits", waitLimit, func() bool { return root.Info("clients", "blocked_clients") == "1" })
	require.NoError(t, c.Conn.(*tls.Conn).NetConn().Close())
	servertest.Until(t, "it is gone", waitLimit, func() bool { return root.Info("clients", "blocked_clients") == "0" })
	id := root.Job("q", "body")
	require.Contains(t, root.Do("SHOW", id), "queued")

	second := servertest.DialTLS(t, addr, ca.Client(""))
	second.Send(string(servertest.Command("ADDJOB", "q", "last", "0")))
	require.NoError(t, second.Conn.(*tls.Conn).CloseWrite())
	require.Contains(t, second.Raw(), "+D-")
}

// Half a handshake holds a place for five seconds, and nothing else.
func TestHalfAHandshake(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	srv, addr := secured(t, ca)
	root := srv.Dial(t)
	for i := range 50 {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = nc.Close() })
		_, err = nc.Write([]byte("\x16\x03\x01\x02\x00\x01")[:i%7])
		require.NoError(t, err)
	}
	require.Equal(t, pong, servertest.DialTLS(t, addr, ca.Client("")).Do("PING"))
	began := time.Now()
	servertest.Until(t, "they are gone", waitLimit, func() bool { return root.Info("clients", "connected_clients") == "3" })
	require.Less(t, time.Since(began), 10*time.Second)
}

// A pipeline before AUTH is answered over TLS as it is without.
func TestPipelineOfAStranger(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	srv := servertest.Start(t, "--requirepass", "pw", "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key)
	root := srv.Dial(t)
	require.Equal(t, ok, root.Do("AUTH", "pw"))
	for _, c := range []*servertest.Client{srv.Dial(t), servertest.DialTLS(t, "127.0.0.1:"+root.Info("server", "tls_port"), ca.Client(""))} {
		const n = 200
		c.Send(strings.Repeat("PING\r\n", n))
		for range n {
			require.Equal(t, "-NOAUTH Authentication required.\r\n", c.Raw())
		}
	}
}

// A slow handshake takes nothing of the time for AUTH.
func TestAuthAfterASlowHandshake(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	srv := servertest.Start(t, "--requirepass", "pw", "--auth-timeout", "1", "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key)
	root := srv.Dial(t)
	require.Equal(t, ok, root.Do("AUTH", "pw"))
	nc, err := net.Dial("tcp", "127.0.0.1:"+root.Info("server", "tls_port"))
	require.NoError(t, err)
	time.Sleep(1200 * time.Millisecond) // as somebody far away
	config := ca.Client("")
	config.ServerName = "localhost"
	tc := tls.Client(nc, config)
	defer tc.Close()
	_, err = io.WriteString(tc, "AUTH pw\r\n")
	require.NoError(t, err)
	said := make([]byte, len(ok))
	_, err = io.ReadFull(tc, said)
	require.NoError(t, err)
	require.Equal(t, ok, string(said))
}

// A broker that stops does not wait for half a handshake.
func TestStopDuringAHandshake(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	srv, addr := secured(t, ca)
	root := srv.Dial(t)
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer nc.Close()
	servertest.Until(t, "it is there", waitLimit, func() bool { return root.Info("clients", "connected_clients") == "3" })
	began := time.Now()
	srv.Broker.Shutdown()
	require.NoError(t, nc.SetReadDeadline(time.Now().Add(waitLimit)))
	_, err = nc.Read(make([]byte, 1))
	require.Error(t, err)
	require.Less(t, time.Since(began), 3*time.Second, "a handshake may take five")
}

func TestTLSRefusals(t *testing.T) {
	t.Parallel()
	ca := servertest.NewAuthority(t)
	srv, addr := secured(t, ca)
	root := srv.Dial(t)
	require.Equal(t, ok, root.Do("CONFIG", "SET", "maxclients", "1"))
	c := servertest.DialTLS(t, addr, ca.Client(""))
	require.Equal(t, "-ERR max number of clients reached\r\n", c.Raw())
	c.Closed()
	require.Equal(t, pong, root.Do("PING"))
	require.Equal(t, fmt.Sprint(1), root.Info("stats", "rejected_connections"))
}
