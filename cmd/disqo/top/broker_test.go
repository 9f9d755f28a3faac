package top

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/cmd/disqo/client"
)

// silent returns something that takes connections, by the kernel, and says nothing.
func silent(t *testing.T) (net.Listener, *broker) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l, &broker{options: &options{Options: client.Options{Addr: l.Addr().String()}}}
}

// A broker that says nothing is not waited for, neither beyond the deadline nor
// when the user has seen enough.
func TestSilence(t *testing.T) {
	t.Parallel()
	_, b := silent(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := b.sample(ctx)
	require.ErrorContains(t, err, "timeout")

	l, b := silent(t)
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := b.sample(ctx)
		done <- err
	}()
	nc, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	_, err = nc.Read(make([]byte, 100)) // INFO
	require.NoError(t, err)
	cancel()
	select {
	case err = <-done:
		require.Error(t, err)
	case <-time.After(longestAnswer - time.Second):
		require.Fail(t, "still waiting")
	}
}
