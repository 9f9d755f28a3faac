package reference

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const (
	patience  = 50 * time.Second      // for a condition, as in the reference's suite
	pollEvery = 20 * time.Millisecond // how often a condition that asks all nodes is looked at
)

// unit is a test with its view of the nodes. The nodes are shared with its
// subtests; the connections are its own.
type unit struct {
	t     *testing.T
	nodes []*node
	ids   []string // of the nodes, since begin
	conns []conn
	rand  *rand.Rand
	seed  uint64
	told  bool // a subtest has told how it failed
}

// conn is a connection to one life of a node.
type conn struct {
	*servertest.Client
	life int
}

func newUnit(t *testing.T, nodes []*node) *unit {
	u := &unit{t: t, nodes: nodes, ids: make([]string, len(nodes)), conns: make([]conn, len(nodes)), seed: *seedFlag}
	if u.seed == 0 {
		u.seed = uint64(time.Now().UnixNano())
	}
	u.rand = rand.New(rand.NewPCG(u.seed, 0))
	t.Cleanup(u.end)
	return u
}

// end looks for nodes that ended by themselves and tells what a failed test was.
func (u *unit) end() {
	for i, n := range u.nodes {
		if n.alive() && n.crashed() {
			u.t.Errorf("node %d ended by itself", i)
		}
	}
	if !u.t.Failed() || u.told {
		return
	}
	u.t.Logf("-reference.seed=%d; the nodes' files are in %s", u.seed, u.nodes[0].work)
	for _, n := range u.nodes {
		u.t.Log(n.log())
	}
}

// together runs tests that disturb neither each other nor the nodes, at the
// same time, and waits for them.
func (u *unit) together(tests map[string]func(*unit)) {
	u.t.Helper()
	u.run("together", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(u.in(t))
			})
		}
	})
}

// alone runs one test.
func (u *unit) alone(name string, test func(*unit)) {
	u.t.Helper()
	u.run(name, func(t *testing.T) { test(u.in(t)) })
}

// run ends the unit if a subtest fails: the nodes may not be what the next one
// expects.
func (u *unit) run(name string, test func(*testing.T)) {
	u.t.Helper()
	if !u.t.Run(name, test) {
		u.told = true
		u.t.FailNow()
	}
}

// in returns a view of the same nodes for a subtest.
func (u *unit) in(t *testing.T) *unit {
	own := newUnit(t, u.nodes)
	own.ids = u.ids
	return own
}

// client returns the connection to a node, a new one if the node was killed
// since the last.
func (u *unit) client(i int) *servertest.Client {
	u.t.Helper()
	n := u.nodes[i]
	require.True(u.t, n.alive(), "node %d is not running", i)
	if u.conns[i].Client == nil || u.conns[i].life != n.lives {
		u.conns[i] = conn{u.dial(i), n.lives}
	}
	return u.conns[i].Client
}

// dial opens one more connection to a node.
func (u *unit) dial(i int) *servertest.Client {
	u.t.Helper()
	return servertest.Dial(u.t, u.nodes[i].addr())
}

// try sends a command to a node and returns the reply, errors included.
func (u *unit) try(i int, args ...string) any {
	u.t.Helper()
	return servertest.Decode(u.t, u.client(i).Do(args...))
}

// do is try for a command that must not fail.
func (u *unit) do(i int, args ...string) any {
	u.t.Helper()
	v := u.try(i, args...)
	if failure, ok := v.(servertest.Failure); ok {
		u.fail(job{}, "node %d answered %q to %q", i, failure, args)
	}
	return v
}

// ok is do for a command that answers +OK.
func (u *unit) ok(i int, args ...string) {
	u.t.Helper()
	require.Equal(u.t, "OK", u.do(i, args...), "node %d, %q", i, args)
}

// refused sends a command that must be answered with an error of that code.
func (u *unit) refused(i int, code string, args ...string) {
	u.t.Helper()
	v := u.try(i, args...)
	if failure, ok := v.(servertest.Failure); !ok || !strings.HasPrefix(string(failure), code) {
		u.fail(job{}, "node %d answered %q to %q, not -%s", i, v, args, code)
	}
}

// info returns an integer of INFO.
func (u *unit) info(i int, field string) int {
	u.t.Helper()
	n, err := strconv.Atoi(u.client(i).Info("default", field))
	require.NoError(u.t, err, field)
	return n
}

// reachable returns how many peers a node can reach.
func (u *unit) reachable(i int) int {
	u.t.Helper()
	for line := range strings.SplitSeq(u.do(i, "CLUSTER", "INFO").(string), "\r\n") {
		if value, ok := strings.CutPrefix(line, "cluster_reachable_nodes:"); ok {
			n, err := strconv.Atoi(value)
			require.NoError(u.t, err, line)
			return n
		}
	}
	u.fail(job{}, "CLUSTER INFO of node %d has no cluster_reachable_nodes", i)
	return 0
}

// rows returns the six columns of each line of CLUSTER NODES.
func (u *unit) rows(i int) (rows [][]string) {
	u.t.Helper()
	text := u.do(i, "CLUSTER", "NODES").(string)
	for line := range strings.Lines(text) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		require.Len(u.t, columns, 6, "CLUSTER NODES of node %d: %q", i, text)
		rows = append(rows, columns)
	}
	return rows
}

// flagged returns the ids of the nodes that a node shows with a flag.
func (u *unit) flagged(i int, flag string) (ids []string) {
	u.t.Helper()
	for _, row := range u.rows(i) {
		if slices.Contains(strings.Split(row[2], ","), flag) {
			ids = append(ids, row[0])
		}
	}
	return ids
}

// linked reports whether a node has a link to every other.
func (u *unit) linked(i int) bool {
	u.t.Helper()
	rows := u.rows(i)
	return len(rows) == len(u.nodes) && !slices.ContainsFunc(rows, func(row []string) bool { return row[5] != "connected" })
}

// queue returns a name that no other queue has.
func (u *unit) queue() string { return fmt.Sprintf("q%016x", u.rand.Uint64()) }

// eventually waits for a condition. What it says and the states of the job are
// in the message if it does not come.
func (u *unit) eventually(j job, what string, holds func() bool) {
	u.t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			u.fail(j, "still not so after %s: %s", patience, what)
		}
	}
}

// always looks for a while whether a condition holds all the time.
func (u *unit) always(d time.Duration, j job, what string, holds func() bool) {
	u.t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < d; <-tick.C {
		u.must(j, holds(), "for %s: %s; not so after %s", d, what, time.Since(start).Round(time.Millisecond))
	}
}

// must fails with the states of a job if a condition does not hold.
func (u *unit) must(j job, holds bool, format string, args ...any) {
	u.t.Helper()
	if !holds {
		u.fail(j, "expected "+format, args...)
	}
}

// fail ends the test with a message and with what every node knows of the job.
func (u *unit) fail(j job, format string, args ...any) {
	u.t.Helper()
	u.t.Errorf(format, args...) // before anything that may fail in turn
	for i, n := range u.nodes {
		u.t.Logf("node %d (port %d, id %.8s): %s", i, n.port, u.ids[i], u.describe(i, j))
	}
	u.t.FailNow()
}
