package clustered

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// stops ends a node in good order; the clients of the others stay.
func (s *started) stops(node int) {
	s.t.Helper()
	s.nodes[node].Stop(s.t)
	s.nodes = append(s.nodes[:node:node], s.nodes[node+1:]...)
	s.c = append(s.c[:node:node], s.c[node+1:]...)
}

// What is queued at a node that stops is delivered by others at once, though its RETRY
// is far away, what a consumer has when its lease is over, and each once. A node without
// a log leaves as many copies as there were.
func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	for _, keeps := range []string{"no", "yes"} {
		t.Run("appendonly "+keeps, func(t *testing.T) {
			t.Parallel()
			const n = 200
			s := cluster(t, 4, "--appendonly", keeps)
			var ids []string
			for _, options := range [][]string{{"REPLICATE", "3", "RETRY", "300"}, {"REPLICATE", "1", "RETRY", "300"}, {"REPLICATE", "1", "RETRY", "0"}} {
				s.c[0].Send(addjobs(n, "q", options...))
				for range n {
					ids = append(ids, id(t, s.c[0].Raw()))
				}
			}
			lone := s.c[0].Job("leased", "a", "REPLICATE", "1", "RETRY", "4")
			held := s.c[0].Job("leased", "b", "REPLICATE", "3", "RETRY", "4")
			s.eventually("all copies", func() bool { return s.copies(held) >= 3 && s.copies(ids[0]) >= 3 && s.copies(ids[n-1]) >= 3 })
			require.Len(t, jobs(t, s.c[0].Do("GETJOB", "COUNT", "10", "FROM", "leased")), 2)
			leased := time.Now()
			s.stops(0)
			require.Less(t, time.Since(leased), 3*time.Second, "this test is about a lease of four seconds")
			seen := map[string]bool{}
			s.eventually("consumers at other nodes get all of them", func() bool {
				for _, c := range s.c {
					for _, j := range jobs(t, c.Do("GETJOB", "NOHANG", "COUNT", "1000", "FROM", "q")) {
						require.False(t, seen[j.id], "twice: %s", j.id)
						seen[j.id] = true
					}
				}
				return len(seen) == len(ids)
			})
			require.Less(t, time.Since(leased), 100*time.Second, "long before their RETRY")
			if keeps == "no" {
				require.GreaterOrEqual(t, s.copies(ids[0]), 3)
				require.Equal(t, 1, s.copies(lone))
			}
			s.eventually("the lease is over", func() bool { return s.in(held, "queued") > 0 })
			require.GreaterOrEqual(t, time.Since(leased), 3900*time.Millisecond, "its consumer had four seconds")
		})
	}
}

// While a server stops it says so to whoever asks whether it is ready, and lets nobody
// take or add jobs by HTTP.
func TestStopIsSeenByProbes(t *testing.T) {
	t.Parallel()
	s, gates := gated(t, 2, "--http-port", "0")
	cutOff(gates, 1, true)
	host, _, err := net.SplitHostPort(s.nodes[0].Addr)
	require.NoError(t, err)
	c, web := s.nodes[0].Dial(t), "http://"+net.JoinHostPort(host, s.c[0].Info("server", "http_port"))
	status := func(method, path string) int {
		req, err := http.NewRequest(method, web+path, nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	require.Equal(t, http.StatusOK, status("GET", "/readyz"))
	c.Send(string(servertest.Command("ADDJOB", "q", "b", "0", "REPLICATE", "2")))
	s.waiting(0)
	s.nodes[0].Broker.Shutdown()
	s.eventually("it is not ready any more", func() bool { return status("GET", "/readyz") == http.StatusServiceUnavailable })
	require.Equal(t, http.StatusOK, status("GET", "/healthz"))
	require.Equal(t, http.StatusServiceUnavailable, status("POST", "/v1/queues/q/jobs:get?wait=1s"))
	cutOff(gates, 1, false)
	id(t, c.Raw())
	c.Closed()
}

// Who takes an element by RestMQ, and reads slowly, while the node stops has it, and it
// does not come again.
func TestStopWhileAnElementIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	directives := []string{"--dir", dir, "--appendonly", "yes", "--http-port", "0", "--max-job-size", "64mb"}
	s := servertest.Start(t, directives...)
	c := s.Dial(t)
	c.Job("q", strings.Repeat("x", 32<<20), "RETRY", "1")
	nc, err := net.Dial("tcp", "127.0.0.1:"+c.Info("server", "http_port"))
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	_, err = nc.Write([]byte("GET /q/q HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"))
	require.NoError(t, err)
	one := make([]byte, 1)
	_, err = io.ReadFull(nc, one)
	require.NoError(t, err)
	s.Broker.Shutdown()
	c.Closed()
	_, err = io.Copy(io.Discard, nc)
	require.NoError(t, err)
	s.Stop(t)
	c = servertest.Start(t, directives...).Dial(t)
	require.Equal(t, "0", c.Info("jobs", "registered_jobs"))
}
