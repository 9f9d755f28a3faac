package replication

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// tcpNode is links behind a listener.
type tcpNode struct {
	*Links
	id      store.NodeID
	addr    string
	receive atomic.Pointer[func(from store.NodeID, payload []byte)]
	ln      net.Listener
}

// awaitRoom returns when the outbox of a peer is less than half full.
func (n *tcpNode) awaitRoom(to store.NodeID) {
	for !n.Room(to) {
		time.Sleep(100 * time.Microsecond)
	}
}

// tcpNodes makes nodes that can dial each other over loopback.
func tcpNodes(t testing.TB, count int, tweak func(*Options)) []*tcpNode {
	nodes := make([]*tcpNode, count)
	addrs := map[store.NodeID]string{}
	for i := range nodes {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		nodes[i] = &tcpNode{id: nodeID(byte(i + 1)), addr: ln.Addr().String(), ln: ln}
		addrs[nodes[i].id] = nodes[i].addr
	}
	began := time.Now().Add(-time.Second)
	for _, n := range nodes {
		o := Options{
			Self: func() Hello { return Hello{ID: n.id} },
			Dial: func(ctx context.Context, id store.NodeID) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", addrs[id])
			},
			Heard: func(Hello, net.Addr) {},
			Receive: func(from store.NodeID, _ uint64, _ byte, payload []byte) {
				if f := n.receive.Load(); f != nil {
					(*f)(from, payload)
				}
			},
			Changed: func() {},
			Now:     func() int64 { return time.Since(began).Milliseconds() },
			Timeout: func() time.Duration { return 15 * time.Second },
		}
		if tweak != nil {
			tweak(&o)
		}
		n.Links = NewLinks(o)
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				nc, err := n.ln.Accept()
				if err != nil {
					return
				}
				n.Accept(nc)
			}
		})
		t.Cleanup(func() {
			n.ln.Close()
			wg.Wait()
			n.Close()
		})
	}
	return nodes
}

// mesh gives each node links to all others.
func mesh(t testing.TB, nodes []*tcpNode) {
	ids := make([]store.NodeID, len(nodes))
	for i, n := range nodes {
		ids[i] = n.id
	}
	for _, n := range nodes {
		n.SetPeers(ids)
	}
	require.Eventually(t, func() bool {
		for _, n := range nodes {
			for _, id := range ids {
				if id != n.id && !n.State(id).Up {
					return false
				}
			}
		}
		return true
	}, 10*time.Second, time.Millisecond)
}

// Three nodes tell each other a lot over TCP; everything comes, in the order of
// its lane, whatever its size.
func TestLinksOverTCP(t *testing.T) {
	t.Parallel()
	nodes := tcpNodes(t, 3, nil)
	var left sync.WaitGroup
	const messages, every = 20_000, 1000
	for _, n := range nodes {
		left.Add(2 * messages * (len(nodes) - 1))
		var mu sync.Mutex
		next := map[string]uint64{}
		f := func(from store.NodeID, payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			key := string(from[:]) + string(payload[0])
			if got := binary.LittleEndian.Uint64(payload[1:]); got != next[key] {
				panic(fmt.Sprintf("%d in place of %d", got, next[key]))
			}
			next[key]++
			left.Done()
		}
		n.receive.Store(&f)
	}
	mesh(t, nodes)
	for _, n := range nodes {
		for _, to := range nodes {
			if to == n {
				continue
			}
			for lane, wait := range []Waiter{nil, &noWait{}} {
				left.Go(func() {
					large := make([]byte, 300_000)
					for i := range uint64(messages) {
						n.awaitRoom(to.id)
						b := AppendFrame(nil, 10, func(dst []byte) []byte {
							dst = binary.LittleEndian.AppendUint64(append(dst, byte(lane)), i)
							if i%every == 0 {
								dst = append(dst, large...)
							}
							return append(dst, make([]byte, 50)...)
						})
						if !n.Post(to.id, b, wait) {
							panic("no link")
						}
					}
				})
			}
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); left.Wait() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.Fail(t, "not everything came")
	}
	sent, received, out, in := nodes[0].Stats()
	require.GreaterOrEqual(t, min(sent, received), int64(4*messages))
	require.GreaterOrEqual(t, min(out, in), int64(4*messages*70))
}

// Links that are closed leave no goroutine behind, nor do links that broke.
func TestCloseOverTCP(t *testing.T) { // not parallel: it counts goroutines
	before := runtime.NumGoroutine()
	nodes := tcpNodes(t, 4, nil)
	mesh(t, nodes)
	nodes[0].SetPeers(nil)
	nodes[0].Close()
	nodes[0].ln.Close()
	require.Eventually(t, func() bool { return !nodes[1].State(nodes[0].id).Up }, 10*time.Second, time.Millisecond)
	require.True(t, nodes[1].State(nodes[2].id).Up)
	for _, n := range nodes {
		n.Close()
		n.ln.Close()
	}
	ours := func() bool {
		buf := make([]byte, 1<<20)
		return strings.Contains(string(buf[:runtime.Stack(buf, true)]), "replication.(*")
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 || !ours() }, 10*time.Second, time.Millisecond)
}

// BenchmarkLinks is what a link carries: frames of 200 bytes from a number of
// posters, free and marked, until the last has been received.
func BenchmarkLinks(b *testing.B) {
	for _, posters := range []int{1, 4} {
		for _, batch := range []int{1, 16, 100} {
			for name, wait := range map[string]Waiter{"free": nil, "marked": &noWait{}} {
				b.Run(fmt.Sprintf("%s/%d posters/%d at once", name, posters, batch), func(b *testing.B) {
					benchLinks(b, posters, batch, wait)
				})
			}
		}
	}
}

func benchLinks(b *testing.B, posters, batch int, wait Waiter) {
	nodes := tcpNodes(b, 2, nil)
	each := b.N/posters/batch + 1
	total := int64(each * posters * batch)
	var got atomic.Int64
	done := make(chan struct{})
	f := func(store.NodeID, []byte) {
		if got.Add(1) == total {
			close(done)
		}
	}
	nodes[1].receive.Store(&f)
	mesh(b, nodes)
	var frames []byte
	for range batch {
		frames = append(frames, someFrame(10, 200-FrameOverhead)...)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range posters {
		go func() {
			for range each {
				nodes[0].awaitRoom(nodes[1].id)
				if !nodes[0].Post(nodes[1].id, frames, wait) {
					panic("no link")
				}
			}
		}()
	}
	<-done
	b.StopTimer()
	_, _, _, arrived := nodes[1].Stats()
	require.GreaterOrEqual(b, arrived, 200*total)
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkPost is what a poster pays while the link is busy.
func BenchmarkPost(b *testing.B) {
	nodes := tcpNodes(b, 2, nil)
	mesh(b, nodes)
	frames := someFrame(10, 200-FrameOverhead)
	b.ReportAllocs()
	for i := range b.N {
		if i%1000 == 0 {
			nodes[0].awaitRoom(nodes[1].id)
		}
		nodes[0].Post(nodes[1].id, frames, nil)
	}
}
