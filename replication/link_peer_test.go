package replication

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

func TestHalfOpenPeerIsDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timeout, until time.Duration
	}{
		"15 s":   {15 * time.Second, 16 * time.Second},
		"3 s":    {3 * time.Second, 3300 * time.Millisecond},
		"100 ms": {100 * time.Millisecond, 1050 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := &testNet{}
				b := n.addRaw(2, func(nc net.Conn) { answer(nc, rawHello(2), 0) })
				a := n.add(t, 1, func(o *Options) { o.Timeout = func() time.Duration { return c.timeout } })
				a.links.SetPeers([]store.NodeID{b.id})
				synctest.Wait()
				session := a.links.State(b.id).Session
				time.Sleep(max(c.timeout, minDeaf) - time.Millisecond)
				synctest.Wait()
				s := a.links.State(b.id)
				require.Equal(t, session, s.Session)
				require.NotZero(t, s.PingSent)
				time.Sleep(c.until - max(c.timeout, minDeaf) + 100*time.Millisecond)
				synctest.Wait()
				s = a.links.State(b.id)
				require.True(t, s.Up)
				require.NotEqual(t, session, s.Session)
				require.Equal(t, 2, n.dialled())
			})
		})
	}
}

func TestChangedTellsOfSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &testNet{}
		b := n.addRaw(2, func(nc net.Conn) { answer(nc, rawHello(2), 3) })
		a := n.add(t, 1, func(o *Options) { o.Timeout = func() time.Duration { return 500 * time.Millisecond } })
		a.links.SetPeers([]store.NodeID{b.id, nodeID(9)})
		time.Sleep(400 * time.Millisecond)
		require.Equal(t, 1, a.changed()) // up; three pongs in 150 ms
		time.Sleep(200 * time.Millisecond)
		require.Equal(t, 2, a.changed()) // 9 was never there
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, 3, a.changed()) // 2 is silent
		require.True(t, a.links.State(b.id).Up)
		require.Zero(t, a.links.State(nodeID(9)).Pong)
		require.NotZero(t, a.links.State(nodeID(9)).PingSent)
		time.Sleep(600 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 6, a.changed()) // down, heard, up
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &testNet{failing: true}
		b := n.add(t, 2, nil)
		a := n.add(t, 1, nil)
		a.links.SetPeers([]store.NodeID{b.id})
		synctest.Wait()
		require.Equal(t, 1, n.dialled(), "at once")
		time.Sleep(time.Second)
		require.GreaterOrEqual(t, n.dialled(), 5)
		require.LessOrEqual(t, n.dialled(), 7)
		time.Sleep(9 * time.Second)
		before := n.dialled()
		time.Sleep(20 * time.Second)
		require.GreaterOrEqual(t, n.dialled()-before, 19)
		require.LessOrEqual(t, n.dialled()-before, 40)

		time.Sleep(minBackoff / 2) // since the last one
		before = n.dialled()
		a.links.SetPeers([]store.NodeID{b.id})
		time.Sleep(minBackoff / 2)
		synctest.Wait()
		require.Equal(t, before+1, n.dialled(), "at once for SetPeers")

		time.Sleep(10 * time.Second)
		n.mu.Lock()
		n.failing = false
		n.mu.Unlock()
		c := rawDial(t, a, rawHello(2))
		c.expect(t, typeHello)
		time.Sleep(minBackoff / 2)
		synctest.Wait()
		require.True(t, a.links.State(b.id).Up, "at once for a hello")
	})
}

// A link that dies at once is not dialled without rest, even if whoever hears
// of it calls SetPeers.
func TestBackoffOfShortLinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &testNet{}
		b := n.addRaw(2, func(nc net.Conn) {
			time.AfterFunc(time.Millisecond, func() { nc.Close() })
			answer(nc, rawHello(2), 100)
		})
		var a *testNode
		changed := make(chan struct{}, 1)
		a = n.add(t, 1, func(o *Options) {
			o.Changed = func() {
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for {
				select {
				case <-changed:
					a.links.SetPeers([]store.NodeID{b.id})
				case <-ctx.Done():
					return
				}
			}
		}()
		a.links.SetPeers([]store.NodeID{b.id})
		time.Sleep(10 * time.Second)
		require.LessOrEqual(t, n.dialled(), 400)
	})
}

// A dial that hangs is given up when the peer shows up elsewhere.
func TestHelloEndsAHangingDial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &testNet{}
		b := n.add(t, 2, nil)
		hang := true
		a := n.add(t, 1, func(o *Options) {
			dial := o.Dial
			o.Dial = func(ctx context.Context, id store.NodeID) (net.Conn, error) {
				if hang {
					hang = false
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return dial(ctx, id)
			}
		})
		a.links.SetPeers([]store.NodeID{b.id})
		time.Sleep(staleDial + time.Millisecond)
		rawDial(t, a, rawHello(2)).expect(t, typeHello)
		time.Sleep(minBackoff / 2)
		synctest.Wait()
		require.True(t, a.links.State(b.id).Up)
	})
}

// A process that was stopped judges nobody by the time it did not run.
func TestStoppedProcessDropsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &testNet{}
		var leap atomic.Int64
		b := n.add(t, 2, nil)
		a := n.add(t, 1, func(o *Options) {
			now := o.Now
			o.Now = func() int64 { return now() + leap.Load() }
		})
		a.links.SetPeers([]store.NodeID{b.id})
		synctest.Wait()
		session := a.links.State(b.id).Session
		time.Sleep(100 * time.Millisecond)
		leap.Store(60_000)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, session, a.links.State(b.id).Session)
		require.Equal(t, 1, a.changed())
	})
}

func TestRemovedPeerAndClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		in := rawDial(t, a, rawHello(7))
		in.expect(t, typeHello)
		a.links.Close()
		a.links.Close()
		require.False(t, a.links.Post(b.id, text(10, "x"), nil))
		_, err := in.next()
		require.Error(t, err)
		a.links.SetPeers([]store.NodeID{b.id})
		ours, theirs := net.Pipe()
		a.links.Accept(theirs)
		_, err = ours.Read(make([]byte, 1))
		require.Error(t, err)
		// synctest.Test fails if a goroutine is left when Cleanup has closed b.
	})
}

// A node that ends sends what waits, also for its log, but not for long.
func TestCloseSendsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		g := newGate()
		a.links.Post(b.id, text(11, "acknowledged"), g)
		go func() {
			time.Sleep(partingTime / 2)
			close(g.open)
		}()
		a.links.Close()
		synctest.Wait()
		require.Equal(t, []string{"11:acknowledged"}, b.received())
	})
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		g := newGate()
		a.links.Post(b.id, text(11, "too late"), g)
		time.AfterFunc(2*partingTime, func() { close(g.open) })
		began := time.Now()
		a.links.Close()
		require.Equal(t, 2*partingTime, time.Since(began), "the waiter is waited for, the writer is not")
		synctest.Wait()
		require.Empty(t, b.received())
	})
}

// Pings carry what a node says of its memory; one that says nothing, as those of an
// earlier version, is as good a peer.
func TestPingsTellOfMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &testNet{}
		a := n.add(t, 1, func(o *Options) { o.Memory = func() (int64, int64) { return 5, 1 << 40 } })
		b := n.add(t, 2, func(*Options) {})
		a.links.SetPeers([]store.NodeID{b.id})
		b.links.SetPeers([]store.NodeID{a.id})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		s := b.links.State(a.id)
		require.True(t, s.Up)
		require.EqualValues(t, 5, s.MemoryUsed)
		require.EqualValues(t, 1<<40, s.MemoryMax)
		s = a.links.State(b.id)
		require.True(t, s.Up)
		require.Zero(t, s.MemoryUsed)
		require.Zero(t, s.MemoryMax)
		require.NotZero(t, s.Pong, "a ping without memory is answered, too")
	})
}
