package clustered

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// CLUSTER NODES, INFO, MYID and HELLO agree with each other.
func TestFormats(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	for i, c := range s.c {
		require.Equal(t, s.ids[i], servertest.Decode(t, c.Do("CLUSTER", "MYID")))
		rows := c.Rows()
		require.Len(t, rows, 3)
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
			require.Equal(t, "127.0.0.1", r.Host)
			if r.ID == s.ids[i] {
				require.Equal(t, []string{"myself"}, r.Flags)
				require.Zero(t, r.PingSent+r.Pong)
				require.True(t, r.Connected)
				continue
			}
			require.Equal(t, []string{"noflags"}, r.Flags)
			at := slices.Index(s.ids, r.ID)
			require.GreaterOrEqual(t, at, 0)
			require.Equal(t, s.nodes[at].Addr, net.JoinHostPort(r.Host, r.Port))
		}
		require.ElementsMatch(t, s.ids, ids)
		s.eventually("a pong of each", func() bool {
			return !slices.ContainsFunc(c.Rows(), func(r servertest.Row) bool { return !r.Is("myself") && r.Pong == 0 })
		})
		require.Regexp(t, `^\$\d+\r\ncluster_state:ok\r\ncluster_known_nodes:3\r\ncluster_reachable_nodes:2\r\ncluster_size:3\r\n`+
			`cluster_stats_messages_sent:[1-9]\d*\r\ncluster_stats_messages_received:[1-9]\d*\r\n\r\n$`, c.Do("CLUSTER", "INFO"))
		hello := servertest.Decode(t, c.Do("HELLO")).([]any)
		require.Equal(t, int64(1), hello[0])
		require.Equal(t, s.ids[i], hello[1])
		require.Len(t, hello, 5)
		for _, n := range hello[2:] {
			f := n.([]any)
			at := slices.Index(s.ids, f[0].(string))
			host, port, err := net.SplitHostPort(s.nodes[at].Addr)
			require.NoError(t, err)
			require.Equal(t, []any{s.ids[at], host, port, "1"}, f)
		}
		for _, wrong := range [][]string{{"NODES", "x"}, {"MYID", "x"}, {"NOSUCH"}, {"FORGET"}, {"MEET", "127.0.0.1"}, {"SAVECONFIG", "x"}, {"RESET", "a", "b"}} {
			require.Equal(t, "-ERR Wrong CLUSTER subcommand or number of arguments\r\n", c.Do(append([]string{"CLUSTER"}, wrong...)...))
		}
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	s := cluster(t, 3)
	c := s.c[0]
	require.Equal(t, "-ERR Invalid node identifier\r\n", c.Do("CLUSTER", "FORGET", "x"))
	require.Equal(t, "-ERR Unknown node "+strings.Repeat("a", 40)+"\r\n", c.Do("CLUSTER", "FORGET", strings.Repeat("a", 40)))
	require.Equal(t, "-ERR I tried hard but I can't forget myself...\r\n", c.Do("CLUSTER", "FORGET", s.ids[0]))
	id := c.Job("q", "b", "REPLICATE", "3")
	s.nodes[2].Stop(t)
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
	for _, c := range s.c[:2] {
		require.Equal(t, "+OK\r\n", c.Do("CLUSTER", "FORGET", s.ids[2]))
		require.Len(t, c.Rows(), 2)
	}
	for _, c := range s.c[:2] {
		servertest.Until(t, "nobody waits for a node that is forgotten (bug B9)", patience, func() bool { return number(t, c, "registered_jobs") == 0 })
		require.Equal(t, "2", c.ClusterInfo("cluster_size"))
	}
	id = c.Job("q", "b")
	require.EqualValues(t, 2, fields(t, c, id)["repl"])
}

// A forgotten node that is met is a member again.
func TestForgetAndMeet(t *testing.T) {
	t.Parallel()
	s := cluster(t, 2)
	for i, c := range s.c {
		c.Send(string(servertest.Command("CLUSTER", "FORGET", s.ids[1-i])) + string(servertest.Command("ADDJOB", "q", "b", "0")))
		require.Equal(t, "+OK\r\n", c.Raw())
		id := strings.Trim(c.Raw(), "+\r\n")
		require.EqualValues(t, 1, fields(t, c, id)["repl"], "the next command knows it already")
	}
	require.Len(t, s.c[0].Rows(), 1)
	s.c[0].Meet(s.c[1])
	servertest.Whole(t, s.c...)
	require.Equal(t, 2, s.copies(s.c[0].Job("q", "b", "REPLICATE", "2")))
}

// RESET leaves a node alone and empty; the others do not know it any more. HARD
// gives it another id, too.
func TestReset(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "SOFT", "HARD"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := cluster(t, 3)
			id := s.c[1].Job("q", "b", "REPLICATE", "3")
			require.Equal(t, "-ERR syntax error\r\n", s.c[0].Do("CLUSTER", "RESET", "x"))
			require.Equal(t, "+OK\r\n", s.c[0].Do(strings.Fields("CLUSTER RESET "+kind)...))
			require.Len(t, s.c[0].Rows(), 1)
			require.Zero(t, number(t, s.c[0], "registered_jobs"))
			servertest.Whole(t, s.c[1], s.c[2])
			if kind == "HARD" {
				require.NotEqual(t, s.ids[0], s.c[0].Self().ID)
			} else {
				require.Equal(t, s.ids[0], s.c[0].Self().ID)
			}
			none(t, s.c[0], "q")
			require.Equal(t, id, one(t, s.c[2], "q").id, "the others keep theirs")
			require.Equal(t, ":1\r\n", s.c[2].Do("ACKJOB", id))
			s.empty()
			s.c[2].Meet(s.c[0])
			servertest.Whole(t, s.c...)
			for _, c := range s.c {
				require.Equal(t, 3, s.copies(c.Job("q", "b", "REPLICATE", "3")))
			}
		})
	}
}

func TestMeetByName(t *testing.T) {
	t.Parallel()
	a, b := servertest.Start(t).Dial(t), servertest.Start(t).Dial(t)
	r := b.Self()
	require.Equal(t, "-ERR Invalid TCP port specified: x\r\n", a.Do("CLUSTER", "MEET", "localhost", "x"))
	require.Equal(t, "-ERR Invalid node address specified: 127.0.0:7711\r\n", a.Do("CLUSTER", "MEET", "127.0.0", "7711"))
	require.Equal(t, "-ERR Invalid node address specified: localhost:0\r\n", a.Do("CLUSTER", "MEET", "localhost", "0"))
	require.Equal(t, "-ERR Invalid node address specified: localhost:55536\r\n", a.Do("CLUSTER", "MEET", "localhost", "55536"))
	require.Equal(t, "+OK\r\n", a.Do("CLUSTER", "MEET", "localhost", r.Port, r.Bus))
	servertest.Whole(t, a, b)
	require.Equal(t, "+OK\r\n", a.Do("CLUSTER", "MEET", "no.such.name.invalid", "7711"), "it is tried, and logged")
}

// The directive join finds the cluster, whoever is started first.
func TestJoinDirective(t *testing.T) {
	t.Parallel()
	a := servertest.Start(t)
	at := a.Dial(t).Self()
	join := "localhost:" + at.Port + "@" + at.Bus
	b, c := servertest.Start(t, "--join", join), servertest.Start(t, "--join", join)
	servertest.Whole(t, a.Dial(t), b.Dial(t), c.Dial(t))
}

// A node that restarts is the same node, wherever its port is, and finds the
// others by itself; they find it if it cannot find them.
func TestRestartElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	nodes := []*servertest.Server{servertest.Start(t, "--dir", dir, "--appendonly", "yes"), servertest.Start(t), servertest.Start(t)}
	servertest.Join(t, nodes...)
	s := around(t, nodes)
	require.Equal(t, "+OK\r\n", s.c[0].Do("CLUSTER", "SAVECONFIG"))
	text, err := os.ReadFile(filepath.Join(dir, "nodes.conf"))
	require.NoError(t, err)
	for _, id := range s.ids {
		require.Contains(t, string(text), id)
	}
	id := s.c[0].Job("q", "b", "REPLICATE", "3")
	was := s.nodes[0].Addr
	nodes[0].Stop(t)
	nodes[0] = servertest.Start(t, "--dir", dir, "--appendonly", "yes")
	require.NotEqual(t, was, nodes[0].Addr)
	s2 := around(t, nodes)
	servertest.Whole(t, s2.c...)
	require.Equal(t, s.ids, s2.ids)
	require.Equal(t, 3, s2.copies(id))
	s2.eventually("the others know its address", func() bool {
		return slices.ContainsFunc(s2.c[1].Rows(), func(r servertest.Row) bool {
			return r.ID == s.ids[0] && net.JoinHostPort(r.Host, r.Port) == nodes[0].Addr
		})
	})
	require.Equal(t, ":1\r\n", s2.c[1].Do("ACKJOB", id))
	s2.empty()
}

// SAVECONFIG that cannot write says so.
func TestSaveConfigFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	require.NoError(t, os.Mkdir(dir, 0o755))
	c := servertest.Start(t, "--dir", dir, "--appendonly", "no").Dial(t)
	require.Equal(t, "+OK\r\n", c.Do("CLUSTER", "SAVECONFIG"))
	require.NoError(t, os.Rename(dir, dir+" is gone"))
	require.Regexp(t, "^-ERR error saving the cluster node config: .*no such file or directory\r\n$", c.Do("CLUSTER", "SAVECONFIG"))
}
