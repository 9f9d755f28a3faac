package server_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The life of a node: CLUSTER as a cluster of one, SHUTDOWN, and what it keeps
// to itself: its directory and its sockets.

func TestClusterLeavingIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := servertest.Start(t, "--dir", dir)
	c := srv.Dial(t)
	node := decode(t, c.Do("CLUSTER", "MYID")).(string)
	require.Equal(t, ok, c.Do("CLUSTER", "LEAVING", "YES"))
	require.Regexp(t, `^`+node+` 127\.0\.0\.1:\d+@\d+ myself,leaving 0 0 connected\n$`, decode(t, c.Do("CLUSTER", "NODES")))
	srv.Stop(t)

	srv = servertest.Start(t, "--dir", dir)
	c = srv.Dial(t)
	require.Equal(t, bulk(node), c.Do("CLUSTER", "MYID"))
	require.Equal(t, "+yes\r\n", c.Do("CLUSTER", "LEAVING"))
	require.Equal(t, "100", decode(t, c.Do("HELLO")).([]any)[2].([]any)[3])
	require.Regexp(t, `^-NOREPL .*I'm leaving the cluster \(copies wanted 1, possible 0\)\r\n$`, c.Do("ADDJOB", "q", "x", "0"))
	require.Equal(t, ok, c.Do("CLUSTER", "LEAVING", "no"))
	srv.Stop(t)

	c = servertest.Start(t, "--dir", dir).Dial(t)
	require.Equal(t, bulk(node), c.Do("CLUSTER", "MYID"))
	require.Equal(t, "+no\r\n", c.Do("CLUSTER", "LEAVING"))
	c.Job("q", "x")
}

func TestClusterLeavingServesWhatIsThereAndSendsConsumersAway(t *testing.T) {
	t.Parallel()
	const away = "-LEAVING This node is leaving the cluster, please connect to a different one\r\n"
	srv := servertest.Start(t)
	c, blocked := srv.Dial(t), srv.Dial(t)
	id := c.Job("q", "x", "RETRY", "1")
	blocked.Send(bulks("GETJOB", "FROM", "empty"))
	blockedClients(t, c, 1)
	require.Equal(t, ok, c.Do("CLUSTER", "LEAVING", "yes"))
	require.Equal(t, away, blocked.Raw())
	require.Equal(t, "*1\r\n"+bulks("q", id, "x"), blocked.Do("GETJOB", "FROM", "q"))
	require.Equal(t, away, blocked.Do("GETJOB", "TIMEOUT", "10", "FROM", "q"))
	require.Equal(t, noArray, blocked.Do("GETJOB", "NOHANG", "FROM", "q"))
	eventually(t, "its retry comes", func() bool { return c.Do("QLEN", "q") == ":1\r\n" })
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
}

func TestClusterResetHardMakesAnotherNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := servertest.Start(t, "--dir", dir)
	c, blocked := srv.Dial(t), srv.Dial(t)
	first := decode(t, c.Do("CLUSTER", "MYID")).(string)
	id := c.Job("q", "x")
	blocked.Send(bulks("GETJOB", "FROM", "empty"))
	blockedClients(t, c, 1)

	require.Equal(t, ok, c.Do("CLUSTER", "RESET"))
	require.Equal(t, noArray, blocked.Raw())
	require.Equal(t, noBulk, c.Do("SHOW", id))
	require.Equal(t, bulk(first), c.Do("CLUSTER", "MYID"), "soft keeps the id")
	require.Equal(t, ok, c.Do("CLUSTER", "RESET", "soft"))
	require.Equal(t, bulk(first), c.Do("CLUSTER", "MYID"))

	require.Equal(t, ok, c.Do("CLUSTER", "LEAVING", "yes"))
	require.Equal(t, ok, c.Do("CLUSTER", "RESET", "hard"))
	require.Equal(t, "+yes\r\n", c.Do("CLUSTER", "LEAVING"), "RESET does not clear it")
	require.Equal(t, ok, c.Do("CLUSTER", "LEAVING", "no"))
	second := decode(t, c.Do("CLUSTER", "MYID")).(string)
	require.Regexp(t, `^[0-9a-f]{40}$`, second)
	require.NotEqual(t, first, second)
	require.Equal(t, "D-"+second[:8], c.Job("q", "x")[:10])
	require.Equal(t, second, decode(t, c.Do("HELLO")).([]any)[1])
	srv.Stop(t)
	require.Equal(t, bulk(second), servertest.Start(t, "--dir", dir).Dial(t).Do("CLUSTER", "MYID"))
}

func TestClusterSaveConfig(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "node")
	require.NoError(t, os.Mkdir(dir, 0o700))
	c := servertest.Start(t, "--dir", dir, "--appendonly", "no").Dial(t) // a log would miss the directory, too
	file := filepath.Join(dir, "nodes.conf")
	require.NoError(t, os.Remove(file))
	require.Equal(t, ok, c.Do("CLUSTER", "SAVECONFIG"))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, decode(t, c.Do("CLUSTER", "NODES")), string(text))
	require.NoError(t, os.RemoveAll(dir))
	for _, words := range [][]string{{"SAVECONFIG"}, {"LEAVING", "yes"}, {"RESET", "HARD"}} {
		require.Regexp(t, `^-ERR error saving the cluster node config: .*no such file or directory\r\n$`, c.Do(append([]string{"CLUSTER"}, words...)...))
	}
	require.Equal(t, "+no\r\n", c.Do("CLUSTER", "LEAVING"), "what is not saved is not so")
}

func TestClusterErrors(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	node := decode(t, c.Do("CLUSTER", "MYID")).(string)
	const wrong = "Wrong CLUSTER subcommand or number of arguments"
	for _, row := range []struct {
		words []string
		want  string
	}{
		{[]string{"FORGET", "short"}, "Invalid node identifier"},
		{[]string{"FORGET", otherNode}, "Unknown node " + otherNode},
		{[]string{"FORGET", node}, "I tried hard but I can't forget myself..."},
		{[]string{"FORGET"}, wrong},
		{[]string{"MEET", "127.0.0.1"}, wrong},
		{[]string{"MEET", "127.0.0.1", ""}, "Invalid TCP port specified: "},
		{[]string{"MEET", "127.0.0.1", "55536"}, "Invalid node address specified: 127.0.0.1:55536"},
		{[]string{"MEET", "127.0.0.1", "4294967297"}, "Invalid node address specified: 127.0.0.1:4294967297"},
		{[]string{"MEET", "127.0.0.1", "0"}, "Invalid node address specified: 127.0.0.1:0"},
		{[]string{"MEET", "1.2.3", "7711"}, "Invalid node address specified: 1.2.3:7711"},
		{[]string{"RESET", "soft", "hard"}, wrong},
		{[]string{"RESET", "firm"}, "syntax error"},
		{[]string{"LEAVING", "maybe"}, "Wrong argument for CLUSTER LEAVING. Use 'yes' or 'no'"},
		{[]string{"LEAVING", "yes", "no"}, wrong},
		{[]string{"NODES", "x"}, wrong},
		{[]string{"MYID", "x"}, wrong},
		{[]string{"SAVECONFIG", "x"}, wrong},
	} {
		require.Equal(t, "-ERR "+row.want+"\r\n", c.Do(append([]string{"CLUSTER"}, row.words...)...), "%q", row.words)
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	p := servertest.Exec(t, "--appendonly", "no")
	c, blocked, other := p.Dial(t), p.Dial(t), p.Dial(t)
	require.Equal(t, pong, other.Do("PING"))
	require.Equal(t, "-ERR syntax error\r\n", c.Do("SHUTDOWN", "NOW"))
	require.Equal(t, "-ERR syntax error\r\n", c.Do("SHUTDOWN", "REWRITE-AOF", "x"))
	logDir := filepath.Join(p.Dir, "appendonlydir")
	require.NoError(t, os.WriteFile(logDir, nil, 0o600))
	require.Equal(t, "-ERR Errors trying to SHUTDOWN. Check logs.\r\n", c.Do("SHUTDOWN", "REWRITE-AOF"))
	require.NoError(t, os.Remove(logDir))
	blocked.Send(bulks("GETJOB", "FROM", "q"))
	blockedClients(t, c, 1)
	c.Send(bulks("PING") + bulks("SHUTDOWN"))
	require.Equal(t, pong, c.Raw())
	c.Closed()
	require.Regexp(t, `^-LEAVING `, blocked.Raw())
	blocked.Closed()
	other.Closed()
	require.Zero(t, p.ExitCode(t))
}

func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := servertest.Start(t, "--dir", dir)
	const why = "in use by another process; give each node a dir of its own"
	_, err := newBroker(t, nil, "--bind", "127.0.0.1", "--port", "0", "--dir", dir)
	require.ErrorContains(t, err, why)
	require.ErrorContains(t, err, filepath.Join(dir, "nodes.conf"))

	out, err := exec.Command(servertest.Binary(t), "--bind", "127.0.0.1", "--port", "0", "--dir", dir).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, string(out), why)
	require.Equal(t, 1, strings.Count(string(out), "\n"), "one line that says it: %s", out)

	require.Equal(t, pong, srv.Dial(t).Do("PING"))
	srv.Stop(t)
	require.Equal(t, pong, servertest.Start(t, "--dir", dir).Dial(t).Do("PING"), "the lock ends with its holder")
}

func TestDamagedIdentityIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"garbage":   "hello\n",
		"cut":       otherNode + " :7711 myself 0\n",
		"no myself": otherNode + " :7711 noflags 0 0 connected\n",
		"bad id":    strings.Repeat("z", 40) + " :7711 myself 0 0 connected\n",
		"empty":     "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "nodes.conf"), []byte(text), 0o600))
			_, err := newBroker(t, nil, "--bind", "127.0.0.1", "--port", "0", "--dir", dir)
			require.ErrorContains(t, err, "restore the file, or remove it to start as a new node")
		})
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	_, port, err := net.SplitHostPort(srv.Addr)
	require.NoError(t, err)
	_, err = newBroker(t, nil, "--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir())
	require.ErrorContains(t, err, "stop the program that has it, or choose another with --port")
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	short, err := os.MkdirTemp("", "dq") // socket paths have to be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	path := filepath.Join(short, "s")
	stale, err := net.Listen("unix", path)
	require.NoError(t, err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())

	srv := servertest.Start(t, "--unixsocket", path, "--unixsocketperm", "700")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	nc, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	require.NoError(t, nc.SetDeadline(time.Now().Add(waitLimit)))
	r := bufio.NewReader(nc)
	_, err = io.WriteString(nc, "PING\r\nADDJOB q x 0\r\n")
	require.NoError(t, err)
	for _, want := range []string{"+PONG", "+D-"} {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(line, want), line)
	}
	c := srv.Dial(t)
	require.Equal(t, ":1\r\n", c.Do("QLEN", "q"))
	require.Contains(t, decode(t, c.Do("CLIENT", "LIST")), " addr="+path+":0 ")
	require.Regexp(t, ` flags=U .* cmd=addjob`, decode(t, c.Do("CLIENT", "LIST")))

	_, err = newBroker(t, nil, "--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir(), "--unixsocket", path)
	require.ErrorContains(t, err, "unix socket "+path+" is in use by another server")
	srv.Stop(t)
	require.NoFileExists(t, path)
}
