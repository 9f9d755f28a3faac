package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// testNet connects nodes by pipes. With failing set, nobody can be dialled.
type testNet struct {
	mu      sync.Mutex
	nodes   map[store.NodeID]*testNode
	failing bool
	dials   int
}

func (n *testNet) dial(_ context.Context, id store.NodeID) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	node := n.nodes[id]
	if n.failing || node == nil {
		return nil, errors.New("nobody there")
	}
	ours, theirs := net.Pipe()
	if node.accept != nil {
		go node.accept(theirs)
	} else {
		node.links.Accept(theirs)
	}
	return ours, nil
}

func (n *testNet) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// testNode is links and what they told.
type testNode struct {
	id      store.NodeID
	links   *Links
	accept  func(net.Conn) // in place of links
	receive func(from store.NodeID, typ byte, payload []byte)

	mu      sync.Mutex
	got     []string
	heard   []Hello
	changes int
}

func nodeID(i byte) store.NodeID { return store.NodeID{0: i, 19: i} }

// add makes a node of the net with its clock beginning at 1 s.
func (n *testNet) add(t *testing.T, i byte, tweak func(*Options)) *testNode {
	node := &testNode{id: nodeID(i)}
	began := time.Now().Add(-time.Second)
	o := Options{
		Self: func() Hello { return Hello{ID: node.id, Cluster: "test", Host: fmt.Sprint("host", i), Port: 7711} },
		Dial: n.dial,
		Heard: func(h Hello, remote net.Addr) {
			node.mu.Lock()
			defer node.mu.Unlock()
			node.heard = append(node.heard, h)
		},
		Receive: func(from store.NodeID, session uint64, typ byte, payload []byte) {
			if node.receive != nil {
				node.receive(from, typ, payload)
			}
			node.mu.Lock()
			defer node.mu.Unlock()
			node.got = append(node.got, fmt.Sprintf("%d:%s", typ, payload))
		},
		Changed: func() {
			node.mu.Lock()
			defer node.mu.Unlock()
			node.changes++
		},
		Now:     func() int64 { return time.Since(began).Milliseconds() },
		Timeout: func() time.Duration { return 15 * time.Second },
	}
	if tweak != nil {
		tweak(&o)
	}
	node.links = NewLinks(o)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes == nil {
		n.nodes = map[store.NodeID]*testNode{}
	}
	n.nodes[node.id] = node
	t.Cleanup(node.links.Close)
	return node
}

// addRaw makes a node that does with a connection what it likes.
func (n *testNet) addRaw(i byte, accept func(net.Conn)) *testNode {
	node := &testNode{id: nodeID(i), accept: accept}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes == nil {
		n.nodes = map[store.NodeID]*testNode{}
	}
	n.nodes[node.id] = node
	return node
}

func (n *testNode) received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string{}, n.got...)
}

func (n *testNode) changed() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changes
}

// text is a frame with a text.
func text(typ byte, s string) []byte {
	return AppendFrame(nil, typ, func(dst []byte) []byte { return append(dst, s...) })
}

// gate is a Waiter.
type gate struct {
	open  chan struct{}
	err   error
	mu    sync.Mutex
	asked int
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) Wait() error {
	g.mu.Lock()
	g.asked++
	g.mu.Unlock()
	<-g.open
	return g.err
}

// rawConn speaks to links by hand.
type rawConn struct {
	net.Conn
	r *frameReader
}

// rawDial is a connection to a node from one that has the given hello.
func rawDial(t *testing.T, to *testNode, h Hello) *rawConn {
	ours, theirs := net.Pipe()
	to.links.Accept(theirs)
	c := &rawConn{ours, newFrameReader(ours, 1<<20)}
	t.Cleanup(func() { c.Close() })
	_, err := c.Write(appendHelloFrame([]byte{'D'}, &h))
	require.NoError(t, err)
	return c
}

func rawHello(i byte) Hello {
	return Hello{ID: nodeID(i), Cluster: "test", Versions: [2]uint8{Version, Version}, Session: 5}
}

// next reads a frame.
func (c *rawConn) next() (frame, error) {
	for {
		f, ok, err := c.r.next()
		if ok || err != nil {
			return f, err
		}
		if _, err := c.r.fill(); err != nil {
			return f, err
		}
	}
}

// expect reads a frame of a type and returns its payload.
func (c *rawConn) expect(t *testing.T, typ byte) string {
	t.Helper()
	f, err := c.next()
	require.NoError(t, err)
	require.Equal(t, typ, f.typ, "%q", f.payload)
	return string(f.payload)
}

// answer introduces itself on an accepted connection, and answers no more than
// so many pings.
func answer(nc net.Conn, h Hello, pings int) {
	defer nc.Close()
	var d [1]byte
	if _, err := nc.Read(d[:]); err != nil {
		return
	}
	c := &rawConn{nc, newFrameReader(nc, 1<<20)}
	if _, err := c.next(); err != nil {
		return
	}
	if _, err := nc.Write(appendHelloFrame(nil, &h)); err != nil {
		return
	}
	for {
		f, err := c.next()
		if err != nil {
			return
		}
		if f.typ != typePing || pings == 0 {
			continue
		}
		pings--
		n := binary.LittleEndian.Uint64(f.payload)
		pong := AppendFrame(nil, typePong, func(b []byte) []byte { return binary.LittleEndian.AppendUint64(b, n) })
		if _, err := nc.Write(pong); err != nil {
			return
		}
	}
}
