package clustered

import (
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// adder adds one default job after the other and takes the time of each.
type adder struct {
	ids  []string
	most time.Duration
	err  error
}

// run adds until stop is closed.
func (a *adder) run(addr string, stop <-chan struct{}) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		a.err = err
		return
	}
	defer func() { _ = nc.Close() }()
	command, reply := servertest.Command("ADDJOB", "q", "b", "0", "RETRY", "60"), make([]byte, 512)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		start := time.Now()
		_ = nc.SetDeadline(start.Add(patience))
		if _, a.err = nc.Write(command); a.err != nil {
			return
		}
		n, err := nc.Read(reply)
		if err != nil || n < 2 || reply[0] != '+' {
			a.err = &net.OpError{Op: string(reply[:n]), Err: err}
			return
		}
		a.ids = append(a.ids, string(reply[1:n-2]))
		a.most = max(a.most, time.Since(start))
	}
}

// load adds at some nodes for a time, and at others to compare. It returns what
// was added at the nodes, and the longest time that one job took there and at
// the others.
func load(t *testing.T, d time.Duration, nodes, control []*servertest.Process) (ids []string, most, calm time.Duration) {
	t.Helper()
	stop := make(chan struct{})
	adders := make([]adder, len(nodes)+len(control))
	var all sync.WaitGroup
	for i, p := range slices.Concat(nodes, control) {
		all.Go(func() { adders[i].run(p.Addr, stop) })
	}
	<-time.After(d)
	close(stop)
	all.Wait()
	for i, a := range adders {
		require.NoError(t, a.err)
		if i < len(nodes) {
			ids, most = append(ids, a.ids...), max(most, a.most)
		} else {
			calm = max(calm, a.most)
		}
	}
	require.NotEmpty(t, ids)
	return ids, most, calm
}

// One of three nodes that freezes or dies stops no default ADDJOB for longer than
// 200 ms, beyond how late this machine makes those of a cluster to which nothing
// happens; the copies that it misses are there 5 s after it is back.
func TestOneOfThreeIsAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"frozen", "killed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, control := processes(t, 3), processes(t, 2)
			s := dialAll(t, list)
			bus := s.c[2].Self().Bus
			require.Equal(t, "+OK\r\n", s.c[2].Do("CLUSTER", "SAVECONFIG"), "it shall know the others when it is started again")
			if name == "frozen" {
				require.NoError(t, list[2].Cmd.Process.Signal(syscall.SIGSTOP))
				t.Cleanup(func() { _ = list[2].Cmd.Process.Signal(syscall.SIGCONT) })
			} else {
				list[2].Kill(t)
			}
			ids, most, calm := load(t, 1200*time.Millisecond, list[:2], control)
			t.Logf("%d jobs added, the slowest in %s, where nothing happens in %s", len(ids), most, calm)
			require.Less(t, most, 200*time.Millisecond+calm)
			if name == "frozen" {
				require.NoError(t, list[2].Cmd.Process.Signal(syscall.SIGCONT))
			} else {
				list[2] = again(t, list[2], bus)
				s.c[2] = list[2].Dial(t)
			}
			back := time.Now()
			_, most, calm = load(t, 800*time.Millisecond, list[:2], control)
			t.Logf("when it is back the slowest in %s, where nothing happens in %s", most, calm)
			require.Less(t, most, 200*time.Millisecond+calm)
			for _, id := range ids {
				servertest.Until(t, "the third copy", 5*time.Second-time.Since(back)+calm, func() bool { return fields(t, s.c[2], id) != nil })
			}
			t.Logf("all copies %s after it was back", time.Since(back))
		})
	}
}
