package crowd

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// conn is a connection from a host.
type conn struct {
	net.Conn
	host   byte
	closed bool
}

func (c *conn) Close() error { c.closed = true; return nil }

func (c *conn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, c.host)} }

func TestPlaces(t *testing.T) {
	t.Parallel()
	p := NewPlaces(2, 4)
	enter := func(host byte) *conn {
		c := &conn{host: host}
		p.Enter(c)
		return c
	}
	a1, a2 := enter(1), enter(1)
	a3 := enter(1)
	require.True(t, a1.closed, "the oldest of a host that has its share")
	require.False(t, p.Leave(a1))
	require.False(t, a2.closed || a3.closed)
	b, c := enter(2), enter(3)
	require.Equal(t, 4, p.Taken())
	d := enter(4)
	require.True(t, a2.closed, "the oldest of the host that has most")
	require.False(t, a3.closed || b.closed || c.closed || d.closed)
	for _, there := range []*conn{a3, b, c, d} {
		require.True(t, p.Leave(there))
		require.False(t, p.Leave(there))
	}
	require.Zero(t, p.Taken())
	require.Empty(t, p.hosts)
	for host := range byte(5) {
		enter(host)
	}
	require.Equal(t, 4, p.Taken())
}

func TestPlacesAreShared(t *testing.T) {
	t.Parallel()
	p := NewPlaces(4, 10)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for range 1000 {
				c := &conn{host: byte(g / 2)}
				p.Enter(c)
				p.Leave(c)
			}
		})
	}
	wg.Wait()
	require.Zero(t, p.Taken())
}

func TestHost(t *testing.T) {
	t.Parallel()
	require.Equal(t, "10.0.0.1", Host(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}).String())
	require.False(t, Host(&net.UnixAddr{}).IsValid())
}

func TestLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		l := NewLines(slog.New(slog.NewTextHandler(&text, nil)))
		times := func(line string) int { return strings.Count(text.String(), line) }
		for range 3 {
			l.Say(slog.LevelWarn, Known("a"), "failed", "error", 1)
			l.Say(slog.LevelWarn, Known("b"), "failed")
			l.Say(slog.LevelInfo, Known("a"), "linked")
			l.Say(slog.LevelWarn, Stranger("a"), "failed")
		}
		require.Equal(t, 3, times("failed"))
		require.Equal(t, 1, times("linked"))
		for i := range 1000 {
			l.Say(slog.LevelWarn, Stranger(fmt.Sprint(i)), "strange")
		}
		require.Equal(t, strangerMost-1, times("strange"), "with the one before")
		l.Say(slog.LevelWarn, Known("c"), "failed")
		require.Equal(t, 4, times("failed"), "peers are heard besides")
		time.Sleep(linesPause)
		l.Say(slog.LevelWarn, Known("a"), "failed")
		require.Equal(t, 5, times("failed"))
		require.Equal(t, 1, times(fmt.Sprintf("lines=%d", 1000-strangerMost+1)))
		time.Sleep(linesPause)
		l.Say(slog.LevelWarn, Known("a"), "failed")
		require.Equal(t, 1, times("lines="))
		for i := range 2 * knownMost {
			l.Say(slog.LevelWarn, Known(fmt.Sprint(i)), "known")
		}
		require.Equal(t, knownMost-1, times("known"))
		NewLines(nil).Say(slog.LevelWarn, Stranger(""), "to nobody")
	})
}
