package reference

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// size is how many nodes the units have.
const size = 7

// timeout is the cluster-node-timeout of the units.
const timeout = 3 * time.Second

var seedFlag = flag.Uint64("reference.seed", 0, "seed of the random choices; 0 takes the time")

// shared are the nodes that all units use, one unit after the other.
var shared struct {
	once  sync.Once
	nodes []*node
	err   error
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, n := range shared.nodes {
		n.kill()
	}
	if code == 0 && len(shared.nodes) > 0 {
		_ = os.RemoveAll(shared.nodes[0].work)
	}
	os.Exit(code)
}

// begin starts a unit: the tests of the reference's init-tests, which leave
// seven empty nodes that know each other.
func begin(t *testing.T) *unit {
	t.Helper()
	shared.once.Do(func() { shared.nodes, shared.err = startNodes(program(t), size) })
	require.NoError(t, shared.err)
	u := newUnit(t, shared.nodes)
	u.start()
	for i := range u.nodes {
		require.Equal(t, "PONG", u.do(i, "PING"), "node %d", i)
		u.ok(i, "CLUSTER", "RESET", "HARD")
		u.ok(i, "CLUSTER", "LEAVING", "no")
		u.ok(i, "CONFIG", "SET", "maxmemory", "1gb") // as a test that failed may have left less
		u.ok(i, "CONFIG", "SET", "cluster-node-timeout", strconv.FormatInt(timeout.Milliseconds(), 10))
		u.ok(i, "CONFIG", "REWRITE")
	}
	for i := range u.nodes {
		u.ids[i] = u.do(i, "CLUSTER", "MYID").(string)
	}
	u.join()
	return u
}

// long is begin for a unit that -short leaves out.
func long(t *testing.T) *unit {
	t.Helper()
	if testing.Short() {
		t.Skip("a unit for long runs")
	}
	return begin(t)
}

// startNodes starts n nodes, or none.
func startNodes(program string, n int, directives ...string) (nodes []*node, err error) {
	work, err := os.MkdirTemp("", "disqo-reference")
	if err != nil {
		return nil, err
	}
	for i := range n {
		next, err := newNode(program, work, fmt.Sprintf("node_%d", i), directives...)
		if err != nil {
			for _, started := range nodes {
				started.kill()
			}
			return nil, err
		}
		nodes = append(nodes, next)
	}
	return nodes, nil
}

// join makes each node meet the next and waits until all know all.
func (u *unit) join() {
	u.t.Helper()
	for i := range len(u.nodes) - 1 {
		u.ok(i, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(u.nodes[i+1].port))
	}
	u.whole()
}

// whole waits until every node can reach every other and is linked to it.
func (u *unit) whole() {
	u.t.Helper()
	for i := range u.nodes {
		u.eventually(job{}, fmt.Sprintf("node %d reaches all others", i), func() bool { return u.reachable(i) == len(u.nodes)-1 && u.linked(i) })
	}
}

// start starts the nodes that were killed, or those given.
func (u *unit) start(which ...int) {
	u.t.Helper()
	if len(which) == 0 {
		for i := range u.nodes {
			which = append(which, i)
		}
	}
	var started []*node
	var errs []error
	for _, i := range which {
		if n := u.nodes[i]; !n.alive() || n.crashed() {
			errs = append(errs, n.launch())
			started = append(started, n)
		}
	}
	require.NoError(u.t, errors.Join(errs...))
	for _, n := range started {
		errs = append(errs, n.ready())
	}
	require.NoError(u.t, errors.Join(errs...))
}

// kill ends nodes with SIGKILL.
func (u *unit) kill(which ...int) {
	u.t.Helper()
	for _, i := range which {
		require.True(u.t, u.nodes[i].alive(), "node %d was killed twice", i)
		u.nodes[i].kill()
	}
}
