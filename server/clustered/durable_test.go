package clustered

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/server"
	"github.com/disqo/disqo/server/servertest"
)

// processes starts brokers in processes of their own that are one cluster.
func processes(t *testing.T, n int, directives ...string) []*servertest.Process {
	t.Helper()
	var list []*servertest.Process
	var addrs []string
	for range n {
		p := servertest.Exec(t, directives...)
		list = append(list, p)
		addrs = append(addrs, p.Addr)
	}
	servertest.JoinAt(t, addrs...)
	return list
}

// again starts the broker of a process that ended, where it was.
func again(t *testing.T, p *servertest.Process, bus string, directives ...string) *servertest.Process {
	t.Helper()
	_, port, err := net.SplitHostPort(p.Addr)
	require.NoError(t, err)
	return servertest.ExecIn(t, p.Dir, append([]string{"--port", port, "--cluster-port", bus}, directives...)...)
}

// dialAll connects to processes.
func dialAll(t *testing.T, list []*servertest.Process) *started {
	t.Helper()
	s := &started{t: t}
	for _, p := range list {
		c := p.Dial(t)
		s.c = append(s.c, c)
		s.ids = append(s.ids, c.Self().ID)
	}
	return s
}

// With appendonly yes and appendfsync always, jobs outlive that all their nodes
// are killed at once: all copies are there, each job is delivered once, what was
// acknowledged or delivered at most once does not come back.
func TestAllKilled(t *testing.T) {
	t.Parallel()
	directives := []string{"--appendonly", "yes", "--appendfsync", "always"}
	list := processes(t, 3, directives...)
	s := dialAll(t, list)
	const n = 100
	s.c[0].Send(addjobs(n, "q", "REPLICATE", "3", "RETRY", "2"))
	left := map[string]bool{}
	for range n {
		left[id(t, s.c[0].Raw())] = true
	}
	for _, j := range jobs(t, s.c[0].Do("GETJOB", "COUNT", "20", "FROM", "q")) {
		require.Equal(t, ":1\r\n", s.c[0].Do("ACKJOB", j.id))
		delete(left, j.id)
	}
	for _, j := range jobs(t, s.c[0].Do("GETJOB", "COUNT", "20", "FROM", "q")) {
		require.True(t, left[j.id], "delivered, not acknowledged")
	}
	delayed := s.c[1].Job("q", "delayed", "REPLICATE", "3", "DELAY", "1", "RETRY", "2")
	left[delayed] = true
	once := s.c[0].Job("once", "b", "REPLICATE", "1", "RETRY", "0")
	spent := s.c[0].Job("spent", "b", "REPLICATE", "1", "RETRY", "0")
	require.Equal(t, spent, one(t, s.c[0], "spent").id)
	var buses []string
	for _, c := range s.c {
		buses = append(buses, c.Self().Bus)
		require.Equal(t, "+OK\r\n", c.Do("CLUSTER", "SAVECONFIG"), "it shall know the others when it is started again")
	}
	var all sync.WaitGroup
	for _, p := range list {
		all.Go(func() { _ = p.Cmd.Process.Kill() })
	}
	all.Wait()
	for i, p := range list {
		p.ExitCode(t)
		list[i] = again(t, p, buses[i], directives...)
	}
	ids := s.ids
	s = dialAll(t, list)
	require.Equal(t, ids, s.ids)
	servertest.Whole(t, s.c...)
	for id := range left {
		require.Equal(t, 3, s.copies(id))
	}
	seen := map[string]bool{}
	s.eventually("all that is left is delivered", func() bool {
		for _, j := range jobs(t, s.c[1].Do("GETJOB", "NOHANG", "COUNT", "100", "FROM", "q")) {
			require.True(t, left[j.id], "acknowledged, or unknown")
			require.False(t, seen[j.id], "twice")
			seen[j.id] = true
			require.Equal(t, ":1\r\n", s.c[1].Do("ACKJOB", j.id))
		}
		return len(seen) == len(left)
	})
	require.Equal(t, once, one(t, s.c[2], "once").id, "at most once, never delivered")
	s.c[2].Do("ACKJOB", once)
	for _, c := range s.c {
		none(t, c, "spent")
	}
	s.c[0].Do("ACKJOB", spent)
	s.empty()
}

// stalls is a file system whose syncs wait while it is stalled.
type stalls struct {
	*memfs.FS
	mu   sync.Mutex
	gate chan struct{} // closed: nothing waits
}

func newStalls() *stalls {
	s := &stalls{FS: memfs.New(), gate: make(chan struct{})}
	close(s.gate)
	s.OnOp(func(o memfs.Op) error {
		if o.Kind == memfs.Sync {
			s.mu.Lock()
			gate := s.gate
			s.mu.Unlock()
			<-gate
		}
		return nil
	})
	return s
}

// stall makes syncs wait until the returned function is called.
func (s *stalls) stall() (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// on starts a node with its log in a file system of the test's.
func on(t *testing.T, fs *memfs.FS, policy string) *servertest.Server {
	t.Helper()
	return servertest.StartWith(t, func(o *server.Options) { o.LogFS = fs }, "--appendonly", "yes", "--appendfsync", policy)
}

// ready waits until all logs have room: they make it as they begin.
func (s *started) ready() {
	s.t.Helper()
	for _, c := range s.c {
		id := c.Job("ready", "", "REPLICATE", strconv.Itoa(len(s.c)))
		require.Equal(s.t, ":1\r\n", c.Do("ACKJOB", id))
	}
	s.empty()
}

// GOTJOB waits for the policy of the replica's log.
func TestConfirmationWaitsForTheLog(t *testing.T) {
	t.Parallel()
	for policy, waits := range map[string]bool{"always": true, "everysec": false, "no": false} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			disk := newStalls()
			nodes := []*servertest.Server{servertest.Start(t), on(t, disk.FS, policy)}
			servertest.Join(t, nodes...)
			s := around(t, nodes)
			s.ready()
			end := disk.stall()
			t.Cleanup(end)
			c := s.c[0]
			c.Send(string(servertest.Command("ADDJOB", "q", "b", "0", "REPLICATE", "2")))
			if waits {
				c.Silent(200 * time.Millisecond)
				reply := s.nodes[0].Dial(t).Do("ADDJOB", "q", "b", "100", "REPLICATE", "2")
				require.True(t, strings.HasPrefix(reply, "-NOREPL Timeout reached before replicating"), reply)
				end()
			}
			job := id(t, c.Raw())
			require.Equal(t, 2, s.copies(job))
			end()
			c.Do("ACKJOB", job)
			s.empty()
		})
	}
}

// The reply of a job with copies waits for the log of the node itself, too.
func TestOriginWaitsForItsLog(t *testing.T) {
	t.Parallel()
	disk := newStalls()
	nodes := []*servertest.Server{on(t, disk.FS, "always"), servertest.Start(t), servertest.Start(t)}
	servertest.Join(t, nodes...)
	s := around(t, nodes)
	s.ready()
	end := disk.stall()
	t.Cleanup(end)
	s.c[0].Send(addjobs(3, "q", "REPLICATE", "3"))
	s.eventually("the others have it", func() bool { return number(t, s.c[1], "registered_jobs") == 3 })
	s.c[0].Silent(200 * time.Millisecond)
	end()
	for range 3 {
		id(t, s.c[0].Raw())
	}
}

// A node whose disk is full takes no copies; another does.
func TestFullDiskTakesNoCopies(t *testing.T) {
	t.Parallel()
	disk := memfs.New()
	nodes := []*servertest.Server{servertest.Start(t), on(t, disk, "always"), servertest.Start(t)}
	servertest.Join(t, nodes...)
	s := around(t, nodes)
	disk.SetCapacity(1)
	body := strings.Repeat("x", 1<<20)
	s.eventually("the disk is full", func() bool {
		return strings.HasPrefix(s.c[1].Do("ADDJOB", "full", body, "0", "REPLICATE", "1"), "-MISCONF")
	})
	for i := range 10 {
		id := s.c[0].Job("q", fmt.Sprint(i, body), "REPLICATE", "2")
		require.Empty(t, s.state(1, id))
		require.Equal(t, "active", s.state(2, id))
	}
	// Long enough for the other to answer, whatever else this disk and these processors do.
	require.Regexp(t, "^-NOREPL Timeout .* no answer from "+s.ids[1]+"\r\n$", s.c[0].Do("ADDJOB", "q", body, "2000", "REPLICATE", "3"))
}
