package server

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
)

// far is a connection that says to come from another address.
type far struct {
	net.Conn
	from net.Addr
}

func (f far) RemoteAddr() net.Addr { return f.from }

func TestProtectedMode(t *testing.T) {
	t.Parallel()
	const refusal = "-DENIED Disqo is running in protected mode"
	stranger := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}
	for name, row := range map[string]struct {
		from       net.Addr
		directives []string
		denied     bool
	}{
		"a stranger":            {from: stranger, denied: true},
		"a stranger, IPv6":      {from: &net.TCPAddr{IP: net.ParseIP("2001:db8::1")}, denied: true},
		"loopback":              {from: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}},
		"loopback, IPv6":        {from: &net.TCPAddr{IP: net.IPv6loopback}},
		"loopback, mapped":      {from: &net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1")}},
		"unix socket":           {from: &net.UnixAddr{Net: "unix", Name: "/x"}},
		"with a password":       {from: stranger, directives: []string{"--requirepass", "pw"}},
		"when it is turned off": {from: stranger, directives: []string{"--protected-mode", "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := config.Load(append([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir()}, row.directives...))
			require.NoError(t, err)
			s, err := New(Options{Config: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			t.Cleanup(func() {
				cancel()
				require.NoError(t, <-done)
			})
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = theirs.Close() })
			go s.admit(far{ours, row.from})
			if !row.denied {
				_, err = io.WriteString(theirs, "QUIT\r\n")
				require.NoError(t, err)
			}
			said, err := io.ReadAll(theirs)
			require.NoError(t, err)
			if row.denied {
				require.Contains(t, string(said), refusal)
				require.EqualValues(t, 1, s.stats.rejected.Load())
			} else {
				require.Equal(t, "+OK\r\n", string(said))
			}
		})
	}
}
