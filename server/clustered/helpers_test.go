package clustered

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const (
	patience = 20 * time.Second // for what comes soon, on a busy machine
	asBusy   = 5 * time.Second  // for what must come at once, on a busy machine
)

// started is a cluster with a connection to each of its nodes.
type started struct {
	t     *testing.T
	nodes []*servertest.Server
	c     []*servertest.Client
	ids   []string
}

// cluster starts n nodes that are one cluster.
func cluster(t *testing.T, n int, directives ...string) *started {
	t.Helper()
	return around(t, servertest.Cluster(t, n, directives...))
}

// around connects to nodes that are one cluster.
func around(t *testing.T, nodes []*servertest.Server) *started {
	t.Helper()
	s := &started{t: t, nodes: nodes}
	for _, n := range nodes {
		c := n.Dial(t)
		s.c = append(s.c, c)
		s.ids = append(s.ids, c.Self().ID)
	}
	return s
}

// eventually waits for a condition.
func (s *started) eventually(what string, holds func() bool) {
	s.t.Helper()
	servertest.Until(s.t, what, patience, holds)
}

// fields returns what SHOW says of a job, nil if the node does not know it.
func fields(t testing.TB, c *servertest.Client, id string) map[string]any {
	t.Helper()
	list, ok := servertest.Decode(t, c.Do("SHOW", id)).([]any)
	if !ok {
		return nil
	}
	m := map[string]any{}
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)] = list[i+1]
	}
	return m
}

// state returns the state of a job at a node, "" if the node does not know it.
func (s *started) state(node int, id string) string {
	s.t.Helper()
	m := fields(s.t, s.c[node], id)
	if m == nil {
		return ""
	}
	return m["state"].(string)
}

// in counts the nodes where a job is in one of some states.
func (s *started) in(id string, states ...string) (n int) {
	s.t.Helper()
	for i := range s.c {
		if slices.Contains(states, s.state(i, id)) {
			n++
		}
	}
	return n
}

// copies counts the nodes that hold a job that is not acknowledged.
func (s *started) copies(id string) int {
	s.t.Helper()
	return s.in(id, "wait-repl", "active", "queued")
}

// slowCopy is when a node that has not confirmed its copy is asked again, and
// another one as well.
const slowCopy = 50 * time.Millisecond

// copied waits until so many nodes hold a job that was added since, and returns
// how many do: more only if the machine was too busy for an answer in time.
func (s *started) copied(id string, want int, since time.Time) (have int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d copies of %s", want, id), func() bool {
		have = s.copies(id)
		return have >= want
	})
	if time.Since(since) < slowCopy {
		require.Equal(s.t, want, have, "copies, and nobody was slow")
	}
	return have
}

// gone waits until no node knows a job.
func (s *started) gone(id string) {
	s.t.Helper()
	s.eventually("nobody knows "+id, func() bool { return s.in(id, "wait-repl", "active", "queued", "acked") == 0 })
}

// number returns an integer of INFO.
func number(t testing.TB, c *servertest.Client, field string) int {
	t.Helper()
	n, err := strconv.Atoi(c.Info("default", field))
	require.NoError(t, err, field)
	return n
}

// emptyWithin is how long an acknowledgement may be kept where all is well: a
// holder that is no member any more is given up after half a minute, as gossip
// may yet tell of it. A node that has forgotten it hears of it again from one that
// acknowledges before it does.
const emptyWithin = time.Minute

// empty waits until no node holds a job, nor an acknowledgement of one.
func (s *started) empty() {
	s.t.Helper()
	for i, c := range s.c {
		servertest.Until(s.t, "node "+strconv.Itoa(i)+" holds nothing", emptyWithin, func() bool { return number(s.t, c, "registered_jobs") == 0 })
	}
}

// job is one that GETJOB answered.
type job struct{ queue, id, body string }

// jobs decodes a reply of GETJOB.
func jobs(t testing.TB, raw string) (out []job) {
	t.Helper()
	list, ok := servertest.Decode(t, raw).([]any)
	if !ok {
		require.Equal(t, "*-1\r\n", raw)
	}
	for _, j := range list {
		f := j.([]any)
		out = append(out, job{f[0].(string), f[1].(string), f[2].(string)})
	}
	return out
}

// one takes a job that must come soon.
func one(t testing.TB, c *servertest.Client, queue string) job {
	t.Helper()
	got := jobs(t, c.Do("GETJOB", "TIMEOUT", "20000", "FROM", queue))
	require.Len(t, got, 1)
	return got[0]
}

// none checks that a queue gives nothing at once.
func none(t testing.TB, c *servertest.Client, queue string) {
	t.Helper()
	require.Equal(t, "*-1\r\n", c.Do("GETJOB", "NOHANG", "FROM", queue))
}

// set sends CONFIG SET.
func set(t testing.TB, c *servertest.Client, name, value string) {
	t.Helper()
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", name, value))
}

// id returns the id of an answered ADDJOB.
func id(t testing.TB, reply string) string {
	t.Helper()
	require.Regexp(t, `^\+D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}\r\n$`, reply)
	return reply[1 : len(reply)-2]
}
