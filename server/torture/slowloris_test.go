//go:build linux

package torture

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/disqo/disqo/server/servertest"
)

// honest are clients that ping while something else happens.
const honest = 100

// pings returns the 99th percentile of the round trips of honest clients, each
// of which pings 20 times a second, while do runs.
func pings(t *testing.T, clients []*wire, do func()) time.Duration {
	t.Helper()
	return alongside(t, func(stop <-chan struct{}) (took []time.Duration, err error) {
		var mu sync.Mutex
		err = parallel(len(clients), func(g int) error {
			var own []time.Duration
			defer func() {
				mu.Lock()
				defer mu.Unlock()
				took = append(took, own...)
			}()
			pace := time.NewTicker(50 * time.Millisecond)
			defer pace.Stop()
			for {
				begun := time.Now()
				if err := clients[g].say("PING\r\n", "+PONG"); err != nil {
					return err
				}
				own = append(own, time.Since(begun))
				select {
				case <-stop:
					return nil
				case <-pace.C:
				}
			}
		})
		return took, err
	}, do)
}

// alongside returns the 99th percentile of what honest clients measure, who stop
// when they are told, while do runs.
func alongside(t *testing.T, clients func(stop <-chan struct{}) ([]time.Duration, error), do func()) time.Duration {
	t.Helper()
	stop, done := make(chan struct{}), make(chan error, 1)
	var took []time.Duration
	go func() {
		var err error
		took, err = clients(stop)
		done <- err
	}()
	func() {
		defer close(stop)
		do()
	}()
	require.NoError(t, <-done, "an honest client")
	return percentile(took, 99)
}

// Ten thousand clients send an endless command, a byte a second. They are
// closed when command-timeout has passed since their first byte; the others
// hardly notice.
func TestSlowloris(t *testing.T) {
	descriptorsNeeded(t, manyClients+1000)
	const timeout = 3 * time.Second
	p := start(t, "--maxclients", "11000", "--command-timeout", "3")
	good := crowd(t, p.Addr, honest)
	d := dribblers{p: p, c: p.Dial(t), grace: timeout + 5*time.Second}
	servertest.Until(t, "they are let in", patience, func() bool { return info(t, d.c, "clients", "connected_clients") == honest+1 })
	open := sockets(t, p)
	alone := pings(t, good, func() { <-time.After(2 * time.Second) })
	attacked := pings(t, good, func() { d.attack(t) })
	t.Logf("%d dribblers closed within %v, %d bytes each; p99 of honest clients %v, alone %v", manyClients, d.closed, d.each, attacked, alone)
	servertest.Until(t, "no socket is left", patience, func() bool { return sockets(t, p) <= open })
	// The attackers run on this machine too and take their share of it: the
	// slack is theirs, on two processors that others use as well.
	require.LessOrEqual(t, attacked, 2*alone+250*time.Millisecond, "honest clients are disturbed")
	well(t, p)
}

// dribblers attack a broker.
type dribblers struct {
	p     *servertest.Process
	c     *servertest.Client
	grace time.Duration // until all must be closed

	closed time.Duration // from the last one's first byte until all were closed
	each   int64         // bytes of memory
}

// attack lets ten thousand clients send a byte a second until all are closed,
// and checks that each was told why.
func (d *dribblers) attack(t *testing.T) {
	t.Helper()
	const (
		endless = "*4\r\n$6\r\nADDJOB\r\n$1000\r\n"
		slots   = 50 // of a second; each has its share of the dribblers
	)
	base := d.p.Resident(t)
	connected := func() int { return info(t, d.c, "clients", "connected_clients") - honest - 1 }
	bad := make([]*wire, manyClients)
	defer func() { part(bad) }()
	pace := time.NewTicker(time.Second / slots)
	defer pace.Stop()
	var last time.Time // when the last one sent its first byte
	for turn := 0; turn < slots || connected() > 0; turn++ {
		require.True(t, turn < slots || time.Since(last) < d.grace, "%d are still connected", connected())
		for i := turn % slots; i < len(bad); i += slots {
			if turn < slots {
				var err error
				bad[i], err = connect(d.p.Addr)
				require.NoError(t, err)
			}
			_, _ = bad[i].Write([]byte{endless[turn/slots]}) // some are closed already
		}
		if turn == slots-1 {
			last = time.Now()
			servertest.Until(t, "9,900 at once", time.Second, func() bool { return connected() >= 9900 })
			d.each = (d.p.Resident(t) - base) / manyClients
			require.LessOrEqual(t, d.each, int64(perConnection))
		}
		<-pace.C
	}
	d.closed = time.Since(last)
	require.LessOrEqual(t, d.closed, d.grace)
	for i, w := range bad {
		heard, err := w.rest()
		require.NoError(t, err)
		require.Equal(t, tooSlow, heard, "dribbler %d", i)
	}
}

// More clients than maxclients are told so and cost nothing.
func TestMaxClients(t *testing.T) {
	const most = 50
	p := start(t, "--maxclients", "50")
	c := p.Dial(t)
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
	base := sockets(t, p)
	in := crowd(t, p.Addr, most-1)
	for _, w := range in {
		require.NoError(t, w.say("PING\r\n", "+PONG"))
	}
	full := sockets(t, p)
	require.Equal(t, base+most-1, full)
	for range 1000 {
		w, err := connect(p.Addr)
		require.NoError(t, err)
		heard, err := w.rest()
		require.NoError(t, err)
		require.Equal(t, "-ERR max number of clients reached\r\n", heard)
		require.NoError(t, w.Close())
	}
	require.Equal(t, 1000, info(t, c, "stats", "rejected_connections"))
	servertest.Until(t, "no socket is left", patience, func() bool { return sockets(t, p) == full })
	require.Equal(t, most, info(t, c, "clients", "connected_clients"))
	for _, w := range in {
		require.NoError(t, w.say("PING\r\n", "+PONG"), "a client that was let in")
	}
	in[0].reset()
	servertest.Until(t, "there is room again", patience, func() bool { return info(t, c, "clients", "connected_clients") == most-1 })
	w := dial(t, p.Addr)
	require.NoError(t, w.say("PING\r\n", "+PONG"))
	part(slices.Concat(in, []*wire{w}))
	servertest.Until(t, "all are gone", patience, func() bool { return sockets(t, p) == base })
	well(t, p)
}

// When the process has no descriptor left, clients wait at the door; it does
// not spin, serves those who are in, and lets in the others when it can.
func TestNoDescriptorLeft(t *testing.T) {
	p := start(t)
	c := p.Dial(t)
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
	const room, all = 10, 40
	open := 0
	servertest.Until(t, "nodes.conf is written", patience, func() bool {
		was := open
		open = descriptors(t, p)
		return open == was
	})
	limit := unix.Rlimit{Cur: uint64(open + room), Max: uint64(open + room)}
	require.NoError(t, unix.Prlimit(p.Cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil))
	clients := make([]*wire, all)
	for i := range clients { // one after another: they are let in in this order
		clients[i] = dial(t, p.Addr)
		_, err := clients[i].Write([]byte("PING\r\n"))
		require.NoError(t, err)
	}
	servertest.Until(t, "some are let in", patience, func() bool { return info(t, c, "clients", "connected_clients") > room/2 })
	used := cpu(t, p)
	alone := pings(t, []*wire{clients[0]}, func() { <-time.After(time.Second) })
	require.Less(t, cpu(t, p)-used, 300*time.Millisecond, "it spins")
	require.Less(t, alone, 100*time.Millisecond)
	require.Less(t, info(t, c, "clients", "connected_clients"), all, "there was room for all")
	for i, w := range clients { // each that leaves makes room for another
		require.NoError(t, w.hear("+PONG"), "client %d", i)
		w.reset()
	}
	well(t, p)
	require.Contains(t, p.Log(), "accept failed")
}
