package server

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A command that panics, even under a shard's lock, ends its connection and
// nothing else.
func TestPanicClosesOneConnection(t *testing.T) {
	t.Parallel()
	set, err := config.Load([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir()})
	require.NoError(t, err)
	log := &buffer{}
	s, err := New(Options{Config: set, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	s.commands.byName["boom"] = &command{name: "boom", stats: &commandStats{}, run: func(s *session, args [][]byte) {
		s.srv.node.Peek(args[1], 1, false, func(*node.Job) bool { panic("boom") })
	}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	talk := func(lines string) (r *bufio.Reader) {
		nc, err := net.Dial("tcp", s.Addrs()[0].String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = nc.Close() })
		_, err = nc.Write([]byte(lines))
		require.NoError(t, err)
		return bufio.NewReader(nc)
	}
	other := talk("ADDJOB q x 0\r\n")
	_, err = other.ReadString('\n')
	require.NoError(t, err)
	_, err = talk("boom q\r\n").ReadString('\n')
	require.Error(t, err, "the connection was closed")
	line, err := talk("QLEN q\r\n").ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, ":1\r\n", line)
	stop()
	require.NoError(t, <-done)
	require.Contains(t, log.String(), "a command panicked")
	require.Contains(t, log.String(), "TestPanicClosesOneConnection", "the stack is in the log")
}
