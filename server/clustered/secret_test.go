package clustered

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The secret of a cluster is changed on one node after the other, while jobs are added
// and consumed: all come out once, and nobody is refused anything.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3, "--cluster-secret", "one")
	var done, all atomic.Bool // nothing more is begun to be added; all was
	var added, got atomic.Int64
	var producers, consumers sync.WaitGroup
	for i, n := range s.nodes {
		producer, consumer := n.Dial(t), n.Dial(t)
		producers.Go(func() {
			for k := 0; !done.Load(); k++ {
				if reply := producer.Do("ADDJOB", "q", fmt.Sprintf("job %d of %d", k, i), "5000", "REPLICATE", "3"); reply[0] != '+' {
					t.Errorf("ADDJOB: %s", reply)
					return
				}
				added.Add(1)
			}
		})
		consumers.Go(func() {
			for !all.Load() || got.Load() < added.Load() {
				jobs, _ := servertest.Decode(t, consumer.Do("GETJOB", "TIMEOUT", "100", "FROM", "q")).([]any)
				for _, j := range jobs {
					consumer.Do("ACKJOB", j.([]any)[1].(string))
					got.Add(1)
				}
			}
		})
	}
	step := func(pairs ...string) {
		for _, c := range s.c {
			before := added.Load()
			require.Equal(t, "+OK\r\n", c.Do(append([]string{"CONFIG", "SET"}, pairs...)...))
			s.eventually("the work goes on", func() bool { return added.Load() > before+20 })
		}
	}
	step("cluster-secret-also", "two")
	step("cluster-secret", "two", "cluster-secret-also", "one")
	step("cluster-secret-also", "")
	done.Store(true)
	producers.Wait()
	s.eventually("what was on its way between nodes has come, long before its RETRY", func() bool { return got.Load() == added.Load() })
	all.Store(true)
	consumers.Wait()
	require.Equal(t, added.Load(), got.Load(), "each came once")
	for _, c := range s.c {
		require.Equal(t, "0", c.Info("cluster", "strangers_refused"))
		require.Equal(t, "2", c.Info("cluster", "cluster_linked_nodes"))
	}
	require.Contains(t, s.c[0].Do("CONFIG", "SET", "cluster-secret", ""), "needs a restart")
	require.Equal(t, "*0\r\n", s.c[0].Do("CONFIG", "GET", "cluster-secret*"), "secrets are not shown")

	old := servertest.Start(t, "--cluster-secret", "one").Dial(t)
	old.Meet(s.c[0])
	s.eventually("the old secret opens nothing", func() bool { return s.c[0].Info("cluster", "strangers_refused") != "0" })
	fresh := servertest.Start(t, "--cluster-secret", "two").Dial(t)
	fresh.Meet(s.c[0])
	servertest.Whole(t, append(s.c, fresh)...)
}

// Nodes with certificates of a CA of their own talk to each other, and to no node of
// another CA, though it knows the secret.
func TestClusterOfOwnCertificates(t *testing.T) {
	t.Parallel()
	ca, other := servertest.NewAuthority(t), servertest.NewAuthority(t)
	node := func(ca *servertest.Authority, name string) *servertest.Server {
		cert, key := ca.Issue(name)
		return servertest.Start(t, "--cluster-secret", "s3cret", "--cluster-tls-cert-file", cert, "--cluster-tls-key-file", key,
			"--cluster-tls-ca-cert-file", ca.File)
	}
	a, b, stranger := node(ca, "a"), node(ca, "b"), node(other, "stranger")
	servertest.Join(t, a, b)
	s := around(t, []*servertest.Server{a, b})
	job := s.c[0].Job("q", "b", "REPLICATE", "2")
	require.Equal(t, 2, s.in(job, "queued", "active"))
	c := stranger.Dial(t)
	c.Meet(s.c[0])
	s.eventually("it is refused", func() bool { return s.c[0].Info("cluster", "strangers_refused") != "0" })
	require.Equal(t, "0", c.Info("cluster", "cluster_linked_nodes"))
}
