//go:build linux

package torture

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const (
	halfOpen    = 2000
	attackHosts = 40              // addresses from which attackers come
	decideTime  = 5 * time.Second // that the bus gives to a stranger
	slack       = 5 * time.Second // for a busy machine
)

// clusterName keeps the brokers of these tests to themselves.
const clusterName = "torture"

// two starts two brokers that are one cluster, each a process of its own.
func two(t *testing.T, directives ...string) (a, b *servertest.Process) {
	t.Helper()
	directives = append([]string{"--cluster-name", clusterName}, directives...)
	a, b = start(t, directives...), start(t, directives...)
	servertest.JoinAt(t, a.Addr, b.Addr)
	return a, b
}

// busOf returns the address of the bus of a broker.
func busOf(t *testing.T, p *servertest.Process) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", p.Dial(t).Self().Bus)
}

// footing is what a broker has open before an attack.
type footing struct {
	sockets, goroutines int
	peak                int64
}

func standing(t *testing.T, p *servertest.Process, c *servertest.Client) footing {
	t.Helper()
	return footing{sockets(t, p), info(t, c, "memory", "go_goroutines"), peak(t, p)}
}

// recovers checks that an attack left nothing open, and cost no more than so
// many bytes.
func (f footing) recovers(t *testing.T, p *servertest.Process, c *servertest.Client, most int64) {
	t.Helper()
	well(t, p)
	servertest.Until(t, "no socket is left", patience, func() bool { return sockets(t, p) <= f.sockets })
	servertest.Until(t, "no goroutine is left", patience, func() bool { return info(t, c, "memory", "go_goroutines") <= f.goroutines+10 })
	grown := peak(t, p) - f.peak
	t.Logf("%s more memory at the peak", mb(grown))
	require.LessOrEqual(t, grown, most)
}

// clientHello returns how a TLS client begins.
func clientHello(t *testing.T) []byte {
	t.Helper()
	for {
		here, there := net.Pipe()
		go func() { _ = tls.Client(here, &tls.Config{ServerName: "localhost"}).Handshake() }()
		b := make([]byte, 16*kib)
		n, err := there.Read(b)
		require.NoError(t, err)
		_ = there.Close()
		if b[n-1] != '\n' { // which would end an inline command
			return b[:n]
		}
	}
}

// strangers opens connections from many addresses, sends on each what it is told
// to, and says no more. It waits until all are closed and returns how long that
// took after the last one's last byte.
func strangers(t *testing.T, addr string, n int, opening func(i int) []byte) time.Duration {
	t.Helper()
	all := make([]net.Conn, n)
	defer func() {
		for _, nc := range all {
			if nc != nil {
				_ = nc.Close()
			}
		}
	}()
	err := parallel(8, func(g int) error {
		for i := g; i < n; i += 8 {
			nc, err := stranger(addr, i)
			if err != nil {
				return err
			}
			all[i] = nc
			_, _ = nc.Write(opening(i)) // may be closed already
		}
		return nil
	})
	require.NoError(t, err)
	begun := time.Now()
	err = parallel(8, func(g int) error {
		for i := g; i < n; i += 8 {
			if _, err := io.Copy(io.Discard, all[i]); errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err, "not closed")
	return time.Since(begun)
}

// stranger connects from an address of its own.
func stranger(addr string, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 77, byte(1+i%attackHosts))}}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return nc, nc.SetDeadline(time.Now().Add(patience))
}

// replicated adds jobs of two copies until stop is closed, and returns how long
// each took.
func replicated(addr string, stop <-chan struct{}) (took []time.Duration, err error) {
	w, err := connect(addr)
	if err != nil {
		return nil, err
	}
	defer w.reset()
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		begun := time.Now()
		if _, err := io.WriteString(w, "ADDJOB both work 5000 REPLICATE 2\r\n"); err != nil {
			return took, err
		}
		id, err := w.line()
		if err != nil || !isID(id) {
			return took, errors.Join(errors.New("not an id: "+id), err)
		}
		took = append(took, time.Since(begun))
		select {
		case <-stop:
			return took, nil
		case <-pace.C:
		}
	}
}

// besides returns the 99th percentile of ADDJOBs of two copies while do runs.
func besides(t *testing.T, addr string, do func()) time.Duration {
	t.Helper()
	return alongside(t, func(stop <-chan struct{}) ([]time.Duration, error) { return replicated(addr, stop) }, do)
}

// Clients that begin TLS and say no more are closed when command-timeout has
// passed.
func TestHalfOpenTLS(t *testing.T) {
	descriptorsNeeded(t, 3*halfOpen)
	p := start(t, "--command-timeout", "1")
	c := p.Dial(t)
	good := crowd(t, p.Addr, 10)
	pings(t, good, func() {})
	before := standing(t, p, c)
	hello := clientHello(t)
	var took time.Duration
	p99 := pings(t, good, func() {
		took = strangers(t, p.Addr, halfOpen, func(i int) []byte {
			return hello[:[]int{1, 3, 5, len(hello) / 2, len(hello)}[i%5]]
		})
	})
	t.Logf("%d closed within %v; p99 of honest clients %v", halfOpen, took, p99)
	require.Less(t, took, time.Second+slack)
	require.Less(t, p99, time.Second)
	before.recovers(t, p, c, 64*mib)
}

// The bus speaks no TLS yet: it closes who begins it at once. Who begins
// anything else and does not go on is closed after 5 s. There are never more of
// them than the bus has room for; the others are closed at once. The links
// between the nodes do not suffer, and when it is over another node can join.
func TestHalfOpenOnTheBus(t *testing.T) {
	descriptorsNeeded(t, 3*halfOpen)
	a, _ := two(t)
	c, bus := a.Dial(t), busOf(t, a)
	hello := clientHello(t)
	link := slices.Concat([]byte{'D'}, linkFrame(linkHello, helloOf(make([]byte, 20), clusterName)))
	silent := [][]byte{nil, {'D'}, link[:len(link)/2], {'G', 1, 2, 3}, {6}, {244, 9}}
	alone := besides(t, a.Addr, func() { <-time.After(time.Second) })
	before := standing(t, a, c)
	for _, test := range []struct {
		name    string
		within  time.Duration
		opening func(i int) []byte
	}{
		{"TLS", slack, func(i int) []byte { return hello[:[]int{1, 3, 5, len(hello) / 2, len(hello)}[i%5]] }},
		{"silence", decideTime + slack, func(i int) []byte { return silent[i%len(silent)] }},
	} {
		used := cpu(t, a)
		var took time.Duration
		p99 := besides(t, a.Addr, func() { took = strangers(t, bus, halfOpen, test.opening) })
		t.Logf("%s: %d closed within %v; p99 of ADDJOB REPLICATE 2 is %v, alone %v; %v of the processor",
			test.name, halfOpen, took, p99, alone, cpu(t, a)-used)
		require.Less(t, took, test.within)
		require.Less(t, p99, 2*alone+500*time.Millisecond)
		before.recovers(t, a, c, 64*mib)
	}
	third := start(t, "--cluster-name", clusterName)
	c.Meet(third.Dial(t))
	servertest.Until(t, "another node joins", patience, func() bool { return c.Linked(2) })
	quietLog(t, a)
}

// refused reports whether an error is that of a connection that was closed.
func refused(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
