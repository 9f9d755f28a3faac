package servertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server"
	"github.com/disqo/disqo/server/config"
)

// Server is a broker in this process.
type Server struct {
	Addr   string // of its TCP socket, on 127.0.0.1 unless told otherwise
	Config *config.Set
	Broker *server.Server

	stop context.CancelFunc
	done chan error
}

// clusterName keeps test servers away from whatever else runs on this machine.
var clusterName = fmt.Sprint("test-", os.Getpid())

// Start runs a broker on a free port of 127.0.0.1 until the test ends, and waits
// until it has loaded its log, which on a busy machine clients hear of. The
// directives are written as on the command line: "--maxmemory", "1mb".
func Start(t testing.TB, directives ...string) *Server {
	t.Helper()
	return StartWith(t, func(*server.Options) {}, directives...)
}

// StartWith is Start for a broker whose options are changed before it is made.
func StartWith(t testing.TB, change func(*server.Options), directives ...string) *Server {
	t.Helper()
	args := append(base(t.TempDir()), "--cluster-name", clusterName)
	args = append(args, directives...)
	set, err := config.Load(args)
	require.NoError(t, err)
	options := server.Options{
		Config: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Build: server.Build{Version: "0.0.0", Commit: "test"},
	}
	change(&options)
	broker, err := server.New(options)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{Addr: broker.Addrs()[0].String(), Config: set, Broker: broker, stop: cancel, done: make(chan error, 1)}
	go func() { s.done <- broker.Run(ctx) }()
	t.Cleanup(func() { s.Stop(t) })
	Until(t, "the broker has loaded its log", patience, func() bool { return !broker.Loading() })
	return s
}

// Stop ends the broker and waits for it; again is fine.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.stop()
	select {
	case err := <-s.done:
		s.done <- err
		require.NoError(t, err)
	case <-time.After(30 * time.Second):
		t.Fatal("the server did not stop within 30 s")
	}
}

// Dial connects a client.
func (s *Server) Dial(t testing.TB) *Client {
	t.Helper()
	return Dial(t, s.Addr)
}
