package replication

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

func all(net.Conn) bool { return true }

// Two nodes talk all the time while now one, now the other has all connections begin
// anew: everything comes, once and in order.
func TestRenew(t *testing.T) {
	t.Parallel()
	nodes := tcpNodes(t, 2, nil)
	var sent, next [2]atomic.Uint64
	for i, n := range nodes {
		receive := func(_ store.NodeID, payload []byte) {
			if number := binary.LittleEndian.Uint64(payload); number != next[i].Load() {
				t.Errorf("number %d in place of %d", number, next[i].Load())
			}
			next[i].Store(binary.LittleEndian.Uint64(payload) + 1)
		}
		n.receive.Store(&receive)
	}
	mesh(t, nodes)
	var done atomic.Bool
	var posters sync.WaitGroup
	for i, n := range nodes {
		to := nodes[1-i]
		posters.Go(func() {
			for !done.Load() {
				frame := AppendFrame(nil, FirstType, func(dst []byte) []byte {
					return append(binary.LittleEndian.AppendUint64(dst, sent[i].Load()), make([]byte, 1000)...)
				})
				if !n.Post(to.id, frame, nil) {
					t.Errorf("number %d is not taken", sent[i].Load())
					return
				}
				sent[i].Add(1)
				for next[1-i].Load()+1000 < sent[i].Load() && !t.Failed() {
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	for i := range 20 {
		before := nodes[0].State(nodes[1].id).Session
		nodes[i%2].Renew(all)
		require.Eventually(t, func() bool {
			s := nodes[0].State(nodes[1].id)
			return s.Up && s.Session != before
		}, 10*time.Second, time.Millisecond)
	}
	done.Store(true)
	posters.Wait()
	require.Eventually(t, func() bool {
		return next[1].Load() == sent[0].Load() && next[0].Load() == sent[1].Load()
	}, 10*time.Second, time.Millisecond)
}

// A peer that does not read in time what it was sent: its link goes down, so that whoever
// relies on it knows that something was lost.
func TestRenewTakesTooLong(t *testing.T) {
	t.Parallel()
	var looks atomic.Pointer[func()]
	nodes := tcpNodes(t, 2, func(o *Options) {
		o.Changed = func() {
			if look := looks.Load(); look != nil {
				(*look)()
			}
		}
	})
	blocked := make(chan struct{})
	var first sync.Once
	began := make(chan struct{})
	receive := func(store.NodeID, []byte) {
		first.Do(func() { close(began) })
		<-blocked
	}
	nodes[1].receive.Store(&receive)
	mesh(t, nodes)
	from, to := nodes[0], nodes[1].id
	for range 1000 {
		require.True(t, from.Post(to, AppendFrame(nil, FirstType, func(dst []byte) []byte { return append(dst, make([]byte, 100)...) }), nil))
	}
	<-began
	require.Eventually(t, func() bool { return from.State(to).Outbox == 0 }, 10*time.Second, time.Millisecond)
	var down atomic.Bool
	look := func() {
		if !from.State(to).Up {
			down.Store(true)
		}
	}
	looks.Store(&look)
	session := from.State(to).Session
	k := from.link(to)
	from.Renew(func(nc net.Conn) bool { return nc == k.nc })
	close(blocked)
	require.Eventually(t, func() bool {
		s := from.State(to)
		return s.Up && s.Session != session
	}, 10*time.Second, time.Millisecond)
	require.True(t, down.Load())
}

// What waits for a process is not for the one that has taken its place meanwhile.
func TestRenewFindsAnotherProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n testNet
		a := n.add(t, 1, nil)
		var boots atomic.Uint64
		heard := make(chan string, 10)
		b := n.addRaw(2, func(nc net.Conn) {
			defer nc.Close()
			c := &rawConn{nc, newFrameReader(nc, 1<<20)}
			if _, err := nc.Read(make([]byte, 1)); err != nil {
				return
			}
			h := rawHello(2)
			h.Boot = boots.Add(1)
			for f, err := c.next(); err == nil; f, err = c.next() {
				switch {
				case f.typ == typeHello:
					if _, err := nc.Write(appendHelloFrame(nil, &h)); err != nil {
						return
					}
				case f.typ >= FirstType:
					heard <- string(f.payload)
				}
			}
		})
		a.links.SetPeers([]store.NodeID{b.id})
		synctest.Wait()
		go a.links.Renew(all)
		synctest.Wait()
		require.EqualValues(t, 1, a.links.State(b.id).Boot, "the link stays up")
		require.True(t, a.links.Post(b.id, text(FirstType, "for the first"), nil))
		time.Sleep(maxBackoff)
		synctest.Wait()
		require.Greater(t, a.links.State(b.id).Boot, uint64(1))
		require.Empty(t, heard)
	})
}

// A node whose last two connections end at the same moment has none for an instant.
func TestRenewOfNobody(t *testing.T) {
	t.Parallel()
	var n testNet
	a := n.add(t, 1, nil)
	var visits [2]*visit
	for i := range visits {
		nc, _ := net.Pipe()
		visits[i] = &visit{links: a.links, nc: nc, hello: rawHello(2), over: make(chan struct{})}
		require.NoError(t, visits[i].enter())
	}
	visits[1].before = nil // as it was seen to be over
	visits[1].leave()
	a.links.Renew(all)
	visits[0].leave()
}
