package replication

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// pair is two nodes of which the first has a link to the second.
func pair(t *testing.T, tweak func(*Options)) (n *testNet, a, b *testNode) {
	n = &testNet{}
	b = n.add(t, 2, nil)
	a = n.add(t, 1, tweak)
	a.links.SetPeers([]store.NodeID{a.id, b.id, b.id})
	synctest.Wait()
	require.True(t, a.links.State(b.id).Up)
	return n, a, b
}

func TestLinkStateAndHello(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		s := a.links.State(b.id)
		require.NotZero(t, s.Pong)
		require.Len(t, b.heard, 1)
		require.Equal(t, Hello{ID: a.id, Cluster: "test", Host: "host1", Port: 7711, Versions: [2]uint8{Version, Version}, Session: s.Session}, b.heard[0])
		require.Equal(t, LinkState{}, b.links.State(a.id))
		require.Equal(t, LinkState{}, a.links.State(a.id))
		require.Equal(t, 1, a.changed())
		require.False(t, b.links.Post(a.id, text(10, "x"), nil), "no link back")

		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		require.GreaterOrEqual(t, a.links.State(b.id).Pong, s.Pong+1000)
		require.Zero(t, a.links.State(b.id).PingSent)
		sent, received, out, in := a.links.Stats()
		bSent, bReceived, bOut, bIn := b.links.Stats()
		require.Equal(t, []int64{2, 2, out, in}, []int64{sent, received, bIn, bOut})
		require.Equal(t, []int64{2, 2}, []int64{bSent, bReceived})

		a.links.SetPeers(nil)
		synctest.Wait()
		require.False(t, a.links.Post(b.id, text(10, "x"), nil))
		require.False(t, a.links.Room(b.id))
		require.Equal(t, 2, a.changed())
	})
}

func TestLanesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		g := newGate()
		close(g.open)
		for i := range 2000 {
			require.True(t, a.links.Post(b.id, text(10, fmt.Sprint(i)), nil))
			require.True(t, a.links.Post(b.id, append(text(11, fmt.Sprint(2*i)), text(11, fmt.Sprint(2*i+1))...), g))
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		next := map[string]int{}
		for _, s := range b.received() {
			lane, n, _ := strings.Cut(s, ":")
			require.Equal(t, fmt.Sprint(next[lane]), n)
			next[lane]++
		}
		require.Equal(t, map[string]int{"10": 2000, "11": 4000}, next)
		require.Zero(t, a.links.State(b.id).Outbox)
	})
}

func TestMarkedFramesWaitAndFreeOnesOvertake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		first, second, third := newGate(), newGate(), newGate()
		a.links.Post(b.id, text(11, "one"), first)
		synctest.Wait()
		a.links.Post(b.id, text(11, "two"), second)
		a.links.Post(b.id, text(11, "three"), third)
		a.links.Post(b.id, text(10, "free"), nil)
		synctest.Wait()
		require.Equal(t, []string{"10:free"}, b.received())
		require.Equal(t, len(text(11, "one"))+len(text(11, "two"))+len(text(11, "three")), a.links.State(b.id).Outbox)
		close(first.open)
		synctest.Wait()
		require.Equal(t, []string{"10:free", "11:one"}, b.received())
		close(third.open) // covers the second
		synctest.Wait()
		require.Equal(t, []string{"10:free", "11:one", "11:two", "11:three"}, b.received())
		require.Equal(t, []int{1, 0, 1}, []int{first.asked, second.asked, third.asked})
	})
}

func TestFailedWaitDropsTheLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		session := a.links.State(b.id).Session
		g := newGate()
		g.err = errors.New("the log is broken")
		a.links.Post(b.id, text(11, "one"), g)
		close(g.open)
		synctest.Wait()
		require.False(t, a.links.State(b.id).Up)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.True(t, a.links.State(b.id).Up)
		require.NotEqual(t, session, a.links.State(b.id).Session)
		require.Empty(t, b.received())
	})
}

func TestOverflowByBytesDropsTheLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, func(o *Options) { o.OutboxBytes = 1000 })
		g := newGate()
		require.True(t, a.links.Post(b.id, make([]byte, 499), g))
		require.True(t, a.links.Room(b.id))
		require.True(t, a.links.Post(b.id, make([]byte, 501), g))
		require.False(t, a.links.Room(b.id))
		synctest.Wait()
		require.False(t, a.links.Post(b.id, make([]byte, 1), g))
		require.False(t, a.links.Post(b.id, text(10, "gone"), nil))
		close(g.open)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.Empty(t, b.received())
		require.True(t, a.links.Room(b.id))
		large := string(make([]byte, 5000))
		require.True(t, a.links.Post(b.id, text(10, large), nil), "one that is alone may be larger")
		synctest.Wait()
		require.Len(t, b.received(), 1)
	})
}

func TestOverflowByAgeDropsTheLink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, nil)
		stuck := make(chan struct{})
		once := sync.Once{}
		b.receive = func(store.NodeID, byte, []byte) { once.Do(func() { <-stuck }) }
		a.links.Post(b.id, text(10, "one"), nil)
		synctest.Wait()
		session := a.links.State(b.id).Session
		a.links.Post(b.id, text(10, "two"), nil) // stays in the pipe's Write
		a.links.Post(b.id, text(10, "three"), nil)
		time.Sleep(4900 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, session, a.links.State(b.id).Session)
		time.Sleep(1200 * time.Millisecond)
		synctest.Wait()
		require.False(t, a.links.State(b.id).Up)
		close(stuck)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		require.True(t, a.links.State(b.id).Up)
		require.Equal(t, []string{"10:one"}, b.received())
	})
}

func TestMarkedFramesAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, a, b := pair(t, func(o *Options) { o.OutboxAge = 2 * time.Second })
		g := newGate()
		a.links.Post(b.id, text(11, "one"), g)
		time.Sleep(3100 * time.Millisecond)
		synctest.Wait()
		require.False(t, a.links.State(b.id).Up)
		close(g.open) // until then it is waited for
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		require.True(t, a.links.State(b.id).Up)
		require.Empty(t, b.received())
	})
}
