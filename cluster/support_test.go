package cluster

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	testWait    = 20 * time.Second
	testPoll    = 5 * time.Millisecond
	testTimeout = time.Second // cluster-node-timeout
)

// record is a log that can be searched.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) count(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Count(r.text.Bytes(), []byte(part))
}

// testNode is a node in this process. It can be closed and started again.
type testNode struct {
	*Cluster
	t       *testing.T
	dir     string
	options Options
	timeout atomic.Int64 // cluster-node-timeout
	changes atomic.Int64
	log     record
	links   chan net.Conn
	ident   *Identity
	closed  bool
	blocked atomic.Pointer[[]netip.Addr] // the network loses what goes to or comes from them
}

// clientPorts are made up: nobody listens there.
var clientPorts atomic.Int64

// newNode makes a node that is not started; its bus is on 127.0.0.1 and a free
// port unless change says otherwise.
func newNode(t *testing.T, change func(o *Options)) *testNode {
	n := &testNode{t: t, dir: t.TempDir(), links: make(chan net.Conn, 16)}
	n.timeout.Store(int64(testTimeout))
	n.options = Options{
		ClientPort: int(20000 + clientPorts.Add(1)), LoopbackOnly: true,
		NodeTimeout: func() time.Duration { return time.Duration(n.timeout.Load()) },
		Log:         slog.New(slog.NewTextHandler(&n.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
		OnChange:    func() { n.changes.Add(1) },
		OnLink:      func(nc net.Conn) { n.links <- nc },
	}
	if change != nil {
		change(&n.options)
	}
	return n
}

func (n *testNode) start() *testNode {
	n.t.Helper()
	var err error
	n.ident, err = OpenIdentity(filepath.Join(n.dir, "nodes.conf"))
	require.NoError(n.t, err)
	n.options.Identity = n.ident
	n.Cluster, err = New(n.options)
	require.NoError(n.t, err)
	n.bus.decideTime = time.Second
	n.bus.may = func(ip netip.Addr) error {
		if b := n.blocked.Load(); b != nil && slices.Contains(*b, ip) {
			return &net.OpError{Op: "write", Net: "udp", Err: errNoAnswer}
		}
		return n.may(ip)
	}
	require.NoError(n.t, n.Start())
	n.closed = false
	n.t.Cleanup(n.stop)
	return n
}

func (n *testNode) stop() {
	if !n.closed {
		n.closed = true
		n.Close()
		_ = n.ident.Close()
	}
}

func startNode(t *testing.T, change func(o *Options)) *testNode {
	t.Helper()
	return newNode(t, change).start()
}

func startNodes(t *testing.T, count int) []*testNode {
	t.Helper()
	var nodes []*testNode
	for range count {
		nodes = append(nodes, startNode(t, nil))
	}
	return nodes
}

func (n *testNode) id() string { return n.Members()[0].ID }

func (n *testNode) meet(other *testNode) {
	n.t.Helper()
	require.NoError(n.t, n.Meet("127.0.0.1", other.options.ClientPort, other.BusPort()))
}

// chain makes each node meet the next.
func chain(nodes []*testNode) {
	for i, n := range nodes[1:] {
		nodes[i].meet(n)
	}
}

// find returns a node as another sees it.
func (n *testNode) find(id string) (Member, bool) {
	for _, m := range n.Members() {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// sees reports whether a node is a member that has not failed.
func (n *testNode) sees(id string) bool {
	m, ok := n.find(id)
	return ok && !m.Failed && n.Cluster.alive(id)
}

func eventually(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	require.Eventually(t, f, testWait, testPoll, what)
	return time.Since(start)
}

// meshed reports whether all nodes see each other, and nobody else.
func meshed(nodes []*testNode) bool {
	for _, n := range nodes {
		if len(n.Members()) != len(nodes) {
			return false
		}
		for _, other := range nodes {
			if other != n && !n.sees(other.id()) {
				return false
			}
		}
	}
	return true
}

func mesh(t *testing.T, nodes []*testNode) {
	t.Helper()
	chain(nodes)
	took := eventually(t, "full mesh", func() bool { return meshed(nodes) })
	t.Logf("mesh of %d after %v", len(nodes), took.Round(time.Millisecond))
}

func ids(list []Member) (out []string) {
	for _, m := range list {
		out = append(out, m.ID)
	}
	return out
}

func sorted(list []string) bool { return slices.IsSorted(list) }

func loopback(last byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, last}) }
