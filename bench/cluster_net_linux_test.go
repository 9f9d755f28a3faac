package bench

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	heard   = 5 * time.Second        // that what must arrive may take
	unheard = 300 * time.Millisecond // after which what did not arrive is lost
)

// testFabric makes a network, or skips the test where that is not allowed.
func testFabric(t *testing.T, nodes int) *fabric {
	t.Helper()
	f, err := newFabric(nodes)
	if err != nil && os.Getenv("DISQO_CI") == "" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(f.close)
	return f
}

// socket opens a UDP socket and a TCP listener on port 7000 of each node; the
// listener's connections are echoed.
func socket(t *testing.T, f *fabric, i int) net.PacketConn {
	t.Helper()
	var udp net.PacketConn
	var tcp net.Listener
	require.NoError(t, f.nodes[i].do(func() (err error) {
		if udp, err = net.ListenPacket("udp4", f.addr(i)+":7000"); err == nil {
			tcp, err = net.Listen("tcp4", f.addr(i)+":7000")
		}
		return err
	}))
	t.Cleanup(func() { _ = udp.Close(); _ = tcp.Close() })
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				b := make([]byte, 64)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					if _, err = c.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return udp
}

// says reports whether a datagram from one node arrives at another; the
// sender is never told.
func says(t *testing.T, f *fabric, udp []net.PacketConn, l link, text string, patience time.Duration) bool {
	t.Helper()
	_, err := udp[l.from].WriteTo([]byte(text), &net.UDPAddr{IP: net.ParseIP(f.addr(l.to)), Port: 7000})
	require.NoError(t, err)
	require.NoError(t, udp[l.to].SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 64)
	n, from, err := udp[l.to].ReadFrom(b)
	if err != nil {
		return false
	}
	require.Equal(t, text, string(b[:n]))
	require.Equal(t, f.addr(l.from)+":7000", from.String())
	return true
}

// echo reports whether a connection carries bytes there and back.
func echo(t *testing.T, c net.Conn, patience time.Duration) bool {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	n, err := c.Read(make([]byte, 1))
	return err == nil && n == 1
}

// connect dials from one node to another.
func connect(f *fabric, l link, patience time.Duration) (c net.Conn, err error) {
	d := net.Dialer{Timeout: patience}
	err = f.nodes[l.from].do(func() error {
		c, err = d.DialContext(context.Background(), "tcp4", f.addr(l.to)+":7000")
		return err
	})
	return c, err
}

// A cut link loses everything in its direction, silently, UDP and TCP alike,
// that of connections made before too; all others carry, and the hub reaches
// everyone. Healed, all is well, what was sent on a connection meanwhile
// included.
func TestFabric(t *testing.T) {
	t.Parallel()
	f := testFabric(t, 3)
	var udp []net.PacketConn
	for i := range 3 {
		udp = append(udp, socket(t, f, i))
	}
	every := []link{{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}}
	open, pending := make(map[link]net.Conn), make(map[link]int) // connections, and bytes whose echo did not come yet
	for _, l := range every {
		c, err := connect(f, l, heard)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		require.True(t, echo(t, c, heard))
		open[l] = c
	}
	oneWay := []link{{0, 1}, {0, 2}}
	bothWays := []link{{0, 1}, {0, 2}, {1, 0}, {2, 0}}
	for _, cut := range [][]link{oneWay, nil, bothWays, nil} {
		require.NoError(t, f.cut(cut))
		for l, n := range pending {
			require.Empty(t, cut)
			require.NoError(t, open[l].SetDeadline(time.Now().Add(heard)))
			_, err := io.ReadFull(open[l], make([]byte, n))
			require.NoError(t, err, "%v", l)
		}
		clear(pending)
		dead := make(map[link]bool)
		for _, l := range cut {
			dead[l] = true
		}
		for _, l := range every {
			patience := heard
			if dead[l] {
				patience = unheard
			}
			require.Equal(t, !dead[l], says(t, f, udp, l, "hello", patience), "%v of %v", l, cut)
		}
		for _, l := range every {
			torn := dead[l] || dead[link{l.to, l.from}]
			patience := heard
			if torn {
				patience = unheard
			}
			c, err := connect(f, l, patience)
			require.Equal(t, torn, err != nil, "%v of %v: %v", l, cut, err)
			if err == nil {
				_ = c.Close()
			} else {
				require.ErrorContains(t, err, "timeout", "nobody may be told")
			}
			require.Equal(t, !torn, echo(t, open[l], patience), "%v of %v", l, cut)
			if torn {
				pending[l]++
			}
		}
		for i := range 3 {
			c, err := f.dial(t.Context(), f.addr(i)+":7000", heard)
			require.NoError(t, err)
			require.True(t, echo(t, c.nc, heard))
			c.close()
		}
	}
}

// What the machine has is not touched: the threads are home again, and the
// addresses end with the network. This test is not parallel, as it looks at all
// threads of the process.
func TestFabricLeavesNothing(t *testing.T) {
	testFabric(t, 3)
	home, err := os.Readlink("/proc/self/ns/net")
	require.NoError(t, err)
	threads, err := filepath.Glob("/proc/self/task/*/ns/net")
	require.NoError(t, err)
	require.NotEmpty(t, threads)
	away := func() (n int) {
		for _, path := range threads {
			if at, err := os.Readlink(path); err == nil && at != home {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return away() == 0 }, heard, 10*time.Millisecond)
	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range all {
		addrs, err := i.Addrs()
		require.NoError(t, err)
		for _, a := range addrs {
			require.False(t, strings.HasPrefix(a.String(), "10.231.0."), "%s has %s", i.Name, a)
		}
	}
}

// A node that ends by itself ends the torture, with its log, and no process
// stays.
func TestClusterThatEnds(t *testing.T) {
	t.Parallel()
	testFabric(t, 1).close()
	path := filepath.Join(t.TempDir(), "broker")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho no way \"$@\" >&2; exit 3\n"), 0o755))
	r, err := Cluster(t.Context(), ClusterOptions{Server: path, Dir: t.TempDir(), Faults: []string{"freeze"}, Directives: []string{"--loud"}})
	require.ErrorContains(t, err, "ended by itself with exit status 3")
	require.ErrorContains(t, err, "no way --bind 10.231.0.")
	require.ErrorContains(t, err, "--loud")
	require.Len(t, r.Runs, 1)
	log, err := os.ReadFile(filepath.Join(r.Runs[0].Kept, "node1", "log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "no way")
}
