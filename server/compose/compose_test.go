package compose_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	testTimeout  = 5 * time.Minute  // of the whole, with room for a slow machine
	atLeast      = 20_000           // answered adds below which the run shows nothing
	atLeastFault = 100              // likewise, in each fault
	startWithin  = 30 * time.Second // until a cluster is whole
	failWithin   = time.Minute      // until the others have given up a node: cluster-node-timeout is 15 s
	cutFor       = 20 * time.Second // longer than cluster-node-timeout: the node is given up
	deadFor      = 8 * time.Second  // between docker kill and docker start
	enoughWithin = time.Minute      // after the faults, until there were enough
	quietFor     = 6 * time.Second  // without a delivery, more than two RETRYs: nothing more comes
	drainWithin  = time.Minute      // until nothing more comes
	restWithin   = time.Minute      // then, until no node holds a job: a holder that is gone is given up after half a minute
	jobID        = `^D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}$`
)

// silence keeps go-redis from telling of each connection that a fault ends.
type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Without a secret there is no cluster, and the message says what to do.
func TestSecretIsNeeded(t *testing.T) {
	compose := needDocker(t)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	p := &project{t: t, name: "disqotest", root: root, compose: compose}
	example, err := os.ReadFile(filepath.Join(root, ".env.example"))
	require.NoError(t, err)
	for name, text := range map[string]string{"the example as it is": string(example), "nothing": ""} {
		env := filepath.Join(t.TempDir(), "env")
		require.NoError(t, os.WriteFile(env, []byte(text), 0o600))
		_, complaint, err := p.try(nil, compose[0], p.composeArgs(env, "config")...)
		require.Error(t, err, name)
		require.Contains(t, complaint, "copy .env.example to .env and set it there", name)
	}
}

// The life of a cluster: it starts, loses a node to a kill and one to the
// network, grows, shrinks and is restarted node by node, all under load. No
// acknowledged job is lost.
func TestCompose(t *testing.T) {
	redis.SetLogger(silence{})
	p := newProject(t)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	f := &fleet{p: p}
	p.up()
	t.Logf("3 nodes are whole after %.1fs", f.whole(3, startWithin).Seconds())
	oneNodeToAnother(t, f)
	healthy(t, f)

	l := startLoad(ctx, f)
	t.Cleanup(func() {
		l.endProducers()
		l.endConsumers()
	})
	r := &run{t: t, p: p, f: f, l: l}
	r.fault("kill -9", r.kill)
	r.fault("cut off", r.cut)
	r.fault("scale to 5", func() {
		p.scale(5)
		t.Logf("5 nodes are whole after %.1fs", f.whole(5, startWithin).Seconds())
	})
	r.fault("drain one", r.leave)
	for n := range 4 {
		r.fault(fmt.Sprintf("restart %d", n+1), func() { r.restart(n + 1) })
	}
	r.judge()
	keeps(t, f)
}

// keeps replaces all containers: the nodes stay who they were, and have their
// jobs.
func keeps(t *testing.T, f *fleet) {
	id := must(t, f.node(1).addr, "ADDJOB", "kept", "hello", 0, "DELAY", 3600)
	was := map[int]container{}
	nodes := map[int]string{}
	for _, c := range f.refresh() {
		was[c.number], nodes[c.number] = c, must(t, c.addr, "CLUSTER", "MYID")
	}
	f.p.up("--force-recreate", "--scale", service+"=4")
	f.whole(4, startWithin)
	for _, c := range f.refresh() {
		require.NotEqual(t, was[c.number].id, c.id, "it is a new container")
		require.Equal(t, nodes[c.number], must(t, c.addr, "CLUSTER", "MYID"), "of the same node")
	}
	require.Contains(t, must(t, f.node(1).addr, "SHOW", id), id)
}

// oneNodeToAnother adds at one node and gets at another, with redis-cli and
// with go-redis as they come.
func oneNodeToAnother(t *testing.T, f *fleet) {
	nodes := f.refresh()
	cli := func(c container, args ...string) string {
		host, port, err := net.SplitHostPort(c.addr)
		require.NoError(t, err)
		return strings.TrimSpace(f.p.run(nil, "redis-cli", append([]string{"-h", host, "-p", port}, args...)...))
	}
	id := cli(nodes[0], "ADDJOB", "mail", "hello", "0")
	require.Regexp(t, jobID, id)
	require.Equal(t, "mail\n"+id+"\nhello", cli(nodes[1], "GETJOB", "TIMEOUT", "5000", "FROM", "mail"))
	require.Equal(t, "1", cli(nodes[1], "ACKJOB", id))

	ctx := t.Context()
	client := func(c container) *redis.Client {
		r := redis.NewClient(&redis.Options{Addr: c.addr})
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	id, err := client(nodes[1]).Do(ctx, "ADDJOB", "news", "again", 0, "REPLICATE", 3).Text()
	require.NoError(t, err)
	there := client(nodes[2])
	got, err := there.Do(ctx, "GETJOB", "TIMEOUT", 3000, "FROM", "news").Slice()
	require.NoError(t, err)
	require.Equal(t, []any{[]any{"news", id, "again"}}, got)
	require.NoError(t, there.Do(ctx, "ACKJOB", id).Err())
}

// healthy waits until the engine calls all nodes healthy, and looks at what the
// image says of itself.
func healthy(t *testing.T, f *fleet) {
	eventually(t, startWithin, "health", func() string {
		for _, c := range f.refresh() {
			if c.health != "healthy" {
				return c.name + " is " + c.health
			}
		}
		return ""
	})
	for _, c := range f.refresh() {
		require.Equal(t, "65532:65532", f.p.docker("inspect", "-f", "{{.Config.User}}", c.id))
		_, log, err := f.p.try(nil, "docker", "logs", c.id)
		require.NoError(t, err)
		require.Contains(t, log, "protected-mode is off and no password is set")
		require.NotContains(t, log, "of a test", "the secret")
		for path, want := range map[string]string{"/readyz": "ok\n", "/": "<title>Disqo</title>"} {
			res, err := http.Get("http://" + c.http + path)
			require.NoError(t, err)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Contains(t, string(text), want)
		}
	}
}
