package clustered

import (
	"bytes"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server"
	"github.com/disqo/disqo/server/servertest"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// logging starts a node that logs to l.
func logging(t *testing.T, l *logged, directives ...string) *servertest.Server {
	t.Helper()
	return servertest.StartWith(t, func(o *server.Options) { o.Log = slog.New(slog.NewTextHandler(l, nil)) }, directives...)
}

// Without cluster-secret the bus is on loopback only, says so, and refuses to
// meet anybody else, naming each cure.
func TestNoSecretNoStrangers(t *testing.T) {
	t.Parallel()
	var l logged
	s := logging(t, &l, "--bind", "0.0.0.0")
	c := servertest.Dial(t, net.JoinHostPort("127.0.0.1", s.Addr[strings.LastIndexByte(s.Addr, ':')+1:]))
	for _, host := range []string{"10.1.2.3", "8.8.8.8", "2001:db8::1"} {
		reply := c.Do("CLUSTER", "MEET", host, "7711")
		require.Regexp(t, "^-ERR Invalid node address specified: "+host+":7711: ", reply)
		require.Contains(t, reply, "cluster-secret")
		require.Contains(t, reply, "cluster-protected-mode no")
	}
	require.True(t, l.has("cluster-secret"), "the log says it")
	bus := c.Self().Bus
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	outside := 0
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.IsLoopback() || ip.To4() == nil {
			continue
		}
		outside++
		nc, err := net.DialTimeout("tcp", net.JoinHostPort(ip.String(), bus), time.Second)
		if err == nil {
			_ = nc.Close()
		}
		require.Error(t, err, "the bus listens on %s", ip)
	}
	t.Logf("%d addresses outside loopback", outside)

	open := servertest.Start(t, "--cluster-protected-mode", "no").Dial(t)
	require.Equal(t, "+OK\r\n", open.Do("CLUSTER", "MEET", "10.1.2.3", "7711"))
	secret := servertest.Start(t, "--cluster-secret", "x").Dial(t)
	require.Equal(t, "+OK\r\n", secret.Do("CLUSTER", "MEET", "10.1.2.3", "7711"))
}

// Nodes of different secrets or names are no cluster; nodes of the same are.
func TestOtherSecretOrName(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		a, b []string
		why  string
	}{
		"secrets":        {[]string{"--cluster-secret", "a"}, []string{"--cluster-secret", "b"}, "another cluster-secret"},
		"one has none":   {[]string{"--cluster-secret", "a"}, nil, ""},
		"other has none": {nil, []string{"--cluster-secret", "b"}, ""},
		"names":          {[]string{"--cluster-name", "a"}, []string{"--cluster-name", "b"}, "cluster-name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l logged
			a := logging(t, &l, append(test.a, "--cluster-node-timeout", "500")...).Dial(t)
			b := servertest.Start(t, test.b...).Dial(t)
			a.Meet(b)
			servertest.Until(t, "the log says it", patience, func() bool { return l.has("MEET failed") && l.has(test.why) })
			servertest.Until(t, "the handshake ends", patience, func() bool { return len(a.Rows()) == 1 })
			require.Len(t, b.Rows(), 1)
		})
	}
	t.Run("the same", func(t *testing.T) {
		t.Parallel()
		s := cluster(t, 3, "--cluster-secret", "a b c", "--cluster-name", "prod")
		require.Equal(t, 3, s.copies(s.c[0].Job("q", "b", "REPLICATE", "3")))
	})
}

// Garbage on the bus, by TCP and UDP, changes nothing.
func TestGarbageOnTheBus(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	const seed = 7
	random := rand.NewChaCha8([32]byte{seed})
	bus := net.JoinHostPort("127.0.0.1", s.c[0].Self().Bus)
	udp, err := net.Dial("udp", bus)
	require.NoError(t, err)
	defer func() { _ = udp.Close() }()
	first := []byte{'D', 0x16, 'G', 0, 1, 6, 8, 9, 10, 12, 13, 244, '*', 'P', 255}
	for i := range 150 {
		junk := make([]byte, 1+i*17)
		_, _ = random.Read(junk)
		junk[0] = first[i%len(first)]
		if junk[0] == 'G' && len(junk) > 21 {
			copy(junk[1:], "01234567890123456789")
		}
		nc, err := net.Dial("tcp", bus)
		require.NoError(t, err)
		_, _ = nc.Write(junk)
		if i%3 == 0 {
			_ = nc.(*net.TCPConn).CloseWrite()
			require.NoError(t, nc.SetReadDeadline(time.Now().Add(patience)))
			_, _ = io.Copy(io.Discard, nc)
		}
		_ = nc.Close()
		_, _ = udp.Write(junk)
		if i%25 == 0 {
			require.Equal(t, 3, s.copies(s.c[0].Job("q", "b", "REPLICATE", "3")))
		}
	}
	servertest.Whole(t, s.c...)
	require.Equal(t, 3, s.copies(s.c[1].Job("q", "b", "REPLICATE", "3")))
}
