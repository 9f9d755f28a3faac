package top

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/server/servertest"
)

// sampled takes one sample.
func sampled(t *testing.T, addr string) *sample {
	t.Helper()
	b := &broker{options: &options{Options: client.Options{Addr: addr}}}
	defer b.drop()
	s, err := b.sample(t.Context())
	require.NoError(t, err)
	return s
}

func TestSampleOfABroker(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Dial(t)
	hostile := "\x1b]0;\xff\r\n"
	c.Job(hostile, "x")
	c.Job("mail", "a")
	c.Job("mail", "b")
	c.Job("mail", "later", "DELAY", "100")
	require.Equal(t, "+OK\r\n", c.Do("CLIENT", "SETNAME", "x"))
	require.Contains(t, c.Do("GETJOB", "FROM", "mail"), "mail")
	require.Equal(t, "+out\r\n", c.Do("PAUSE", "mail", "out"))

	got := sampled(t, s.Addr)
	require.False(t, got.more)
	queues := make(map[string]queue)
	for _, q := range got.queues {
		queues[q.name] = q
	}
	require.Len(t, queues, 2)
	require.Equal(t, queue{name: hostile, length: 1, in: 1, pause: "none"}, queues[hostile])
	require.Equal(t, queue{name: "mail", length: 1, in: 2, out: 1, active: 1, delayed: 1, pause: "out"}, queues["mail"])
	require.Equal(t, "0.0.0", got.info["disqo_version"])
	require.EqualValues(t, 2, got.number("connected_clients"))
	require.EqualValues(t, 2, got.number("jobs_queued"))
	for _, key := range []string{"uptime_in_seconds", "blocked_clients", "used_memory", "maxmemory", "memory_level", "aof_state", "aof_rewrite_in_progress",
		"aof_last_write_status", "instantaneous_ops_per_sec", "jobs_active", "jobs_delayed", "jobs_dead", "jobs_wait_repl", "registered_queues"} {
		require.Contains(t, got.info, key, "INFO has what is shown")
	}
	require.Len(t, got.nodes, 1)
	require.True(t, got.nodes[0].self)
}

// Only some queues are looked at; that there are more is known.
func TestSampleIsBounded(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	c := s.Dial(t)
	add := func(from, to int) {
		var pipeline strings.Builder
		for i := from; i < to; i++ {
			pipeline.Write(servertest.Command("ADDJOB", fmt.Sprint("q", i), "x", "0"))
		}
		c.Send(pipeline.String())
		for range to - from {
			c.Raw()
		}
	}
	add(0, queuesMax)
	got := sampled(t, s.Addr)
	require.Len(t, got.queues, queuesMax)
	require.False(t, got.more)
	add(queuesMax, queuesMax+500)
	got = sampled(t, s.Addr)
	require.Len(t, got.queues, queuesMax)
	require.True(t, got.more)
	require.Equal(t, "1500", got.info["registered_queues"])
}

func TestSampleOfACluster(t *testing.T) {
	t.Parallel()
	nodes := servertest.Cluster(t, 3)
	servertest.Until(t, "round trips are known", 30*time.Second, func() bool {
		got := sampled(t, nodes[0].Addr)
		require.Len(t, got.nodes, 3)
		for _, n := range got.nodes[1:] {
			require.True(t, n.linked)
			require.Equal(t, stateOK, n.state)
			require.True(t, n.fine())
			if n.trip == 0 {
				return false
			}
		}
		return got.nodes[0].self
	})
}

func TestNodes(t *testing.T) {
	t.Parallel()
	info := map[string]string{"peer0": "id=" + idB + ",address=x,rtt_usec=1500,outbox=3", "peer1": "nonsense", "peers": "="}
	got := parseNodes(idB+" 10.0.0.2:7711 noflags 0 1 connected\n"+
		idC+" :0 handshake,noaddr 0 0 disconnected\nnonsense\n"+
		idA+" 10.0.0.1:7711@9 myself,leaving 0 0 connected\n", info)
	require.Equal(t, []node{
		{id: idA, addr: "10.0.0.1:7711@9", state: "myself,leaving", self: true, linked: true},
		{id: idC, addr: ":0", state: "handshake,noaddr"},
		{id: idB, addr: "10.0.0.2:7711", state: "ok", linked: true, trip: 1500 * time.Microsecond},
	}, got)
}

// What another program answers is refused, not believed.
func TestSampleOfSomethingElse(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{":1\r\n", "*0\r\n", "$-1\r\n"} {
		l, b := silent(t)
		go func() {
			if nc, err := l.Accept(); err == nil {
				_, _ = io.WriteString(nc, answer)
			}
		}()
		_, err := b.sample(t.Context())
		require.ErrorIs(t, err, errShape)
	}
}
