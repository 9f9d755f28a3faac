package replication

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

func TestNewerLinkWaitsForTheOlder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := (&testNet{}).add(t, 2, nil)
		busy := make(chan struct{})
		var inside atomic.Int32
		b.receive = func(_ store.NodeID, typ byte, _ []byte) {
			if inside.Add(1) > 1 {
				panic("two at a time")
			}
			if typ == 20 {
				<-busy
			}
			inside.Add(-1)
		}
		first := rawDial(t, b, rawHello(1))
		first.expect(t, typeHello)
		_, err := first.Write(append(append(text(20, "a"), text(10, "b")...), text(10, "c")...))
		require.NoError(t, err)
		synctest.Wait()

		second := rawDial(t, b, rawHello(1))
		go second.Write(text(10, "d"))
		synctest.Wait()
		require.Empty(t, b.received())
		_, err = first.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "the older one is closed at once")

		third := rawDial(t, b, rawHello(1))
		require.Contains(t, third.expect(t, typeBye), "too many links")
		require.Len(t, b.heard, 1)

		close(busy)
		second.expect(t, typeHello)
		synctest.Wait()
		require.Equal(t, []string{"20:a", "10:b", "10:c", "10:d"}, b.received())
		require.Len(t, b.heard, 2)
		second.Close()
		synctest.Wait()
		require.Empty(t, b.links.in)
		require.Zero(t, b.links.visits+b.links.strangers.Taken())
	})
}

// An older link that does not end keeps the newer ones out, however many come.
func TestOlderLinkThatIsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := (&testNet{}).add(t, 2, nil)
		busy := make(chan struct{})
		b.receive = func(_ store.NodeID, typ byte, _ []byte) {
			if typ == 20 {
				<-busy
			}
		}
		first := rawDial(t, b, rawHello(1))
		first.expect(t, typeHello)
		first.Write(text(20, "a"))
		for range 3 {
			began := time.Now()
			c := rawDial(t, b, rawHello(1))
			require.Contains(t, c.expect(t, typeBye), "does not end")
			require.Equal(t, handshakeTime, time.Since(began))
			synctest.Wait()
		}
		last := rawDial(t, b, rawHello(1))
		time.Sleep(time.Second)
		close(busy)
		last.expect(t, typeHello)
		last.Write(text(10, "b"))
		synctest.Wait()
		require.Equal(t, []string{"20:a", "10:b"}, b.received())
	})
}

// What an acceptor does not want is refused in words, and gets nowhere.
func TestAcceptorRefuses(t *testing.T) {
	t.Parallel()
	hello := func(h Hello) []byte { return appendHelloFrame([]byte{'D'}, &h) }
	cluster, version := rawHello(1), rawHello(1)
	cluster.Cluster, version.Versions = "other", [2]uint8{7, 8}
	for name, c := range map[string]struct {
		in   []byte
		says string
	}{
		"another cluster": {hello(cluster), `is of the cluster "other", not "test"`},
		"another version": {hello(version), "speaks the versions 7 to 8, not 2 to 2"},
		"itself":          {hello(rawHello(2)), "met itself"},
		"no hello":        {append([]byte{'D'}, text(10, "x")...), "a frame of type 10 in place of a hello"},
		"cut hello":       {append([]byte{'D'}, text(typeHello, "x")...), "cut short"},
		"no link":         {[]byte("X"), `a link begins with 'X'`},
		"too long":        {[]byte("D\xff\xff\xff\xff\x00\x00\x00\x00\x01\x01"), "a frame's length is 4294967295, which is not in 2..4096"},
		"silence":         {nil, "timeout"},
		"silence later":   {hello(rawHello(1))[:20], "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := (&testNet{}).add(t, 2, nil)
				ours, theirs := net.Pipe()
				b.links.Accept(theirs)
				conn := &rawConn{ours, newFrameReader(ours, 1<<20)}
				go conn.Write(c.in)
				began := time.Now()
				require.Contains(t, conn.expect(t, typeBye), c.says)
				require.Equal(t, c.says == "timeout", time.Since(began) == handshakeTime)
				_, err := conn.next()
				require.ErrorIs(t, err, io.EOF)
				synctest.Wait()
				require.Empty(t, b.heard)
				require.Zero(t, b.links.visits+b.links.strangers.Taken())
			})
		})
	}
}

// Damage after the hello closes the link.
func TestDamageClosesTheLink(t *testing.T) {
	t.Parallel()
	flipped := text(10, "damaged")
	flipped[len(flipped)-1] ^= 1
	later := text(10, "later")
	later[8] = Version + 1
	EndFrame(later, 0)
	for name, c := range map[string]struct {
		in   []byte
		says string
	}{
		"checksum":     {flipped, "checksum"},
		"length":       {[]byte("\xff\xff\xff\xff\x00\x00\x00\x00\x01\x0a"), "length"},
		"version":      {later, "version 3"},
		"second hello": {text(typeHello, ""), "type 1"},
		"pong":         {text(typePong, ""), "type 3"},
		"bye":          {text(typeBye, "so long"), "so long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := (&testNet{}).add(t, 2, nil)
				conn := rawDial(t, b, rawHello(1))
				conn.expect(t, typeHello)
				conn.Write(append(text(10, "good"), text(9, "of a later version")...))
				conn.Write(append(append(text(10, "better"), c.in...), text(10, "too late")...))
				require.Contains(t, conn.expect(t, typeBye), c.says)
				_, err := conn.next()
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, []string{"10:good", "10:better"}, b.received())
			})
		})
	}
}

func TestSilentInboundLinkIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := (&testNet{}).add(t, 2, nil)
		c := rawDial(t, b, rawHello(1))
		c.expect(t, typeHello)
		time.Sleep(44 * time.Second)
		c.Write(text(typePing, "whatever"))
		require.Equal(t, "whatever", c.expect(t, typePong))
		began := time.Now()
		_, err := c.next()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 45*time.Second, time.Since(began))
	})
}

// Those that say nothing hold places, but none that a node could need: neither
// of those that come, nor of those that are linked.
func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := (&testNet{}).add(t, 2, nil)
		linked := rawDial(t, b, rawHello(1))
		linked.expect(t, typeHello)
		conns := make([]net.Conn, 2*hostStrangers)
		for i := range conns {
			ours, theirs := net.Pipe()
			conns[i] = ours
			b.links.Accept(theirs)
			go ours.Write([]byte{'D'})
		}
		synctest.Wait()
		require.Equal(t, hostStrangers, b.links.strangers.Taken())
		_, err := conns[0].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		rawDial(t, b, rawHello(3)).expect(t, typeHello)
		linked.Write(text(typePing, "still here"))
		require.Equal(t, "still here", linked.expect(t, typePong))
		time.Sleep(2 * handshakeTime)
		require.Zero(t, b.links.strangers.Taken())
		require.Equal(t, 2, b.links.visits)
	})
}

func TestInboundLinksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := (&testNet{}).add(t, 2, nil)
		b.links.visits = maxInbound - 1
		c := rawDial(t, b, rawHello(1))
		c.expect(t, typeHello)
		require.Contains(t, rawDial(t, b, rawHello(3)).expect(t, typeBye), "more than 1024 links")
		c.Close()
		synctest.Wait()
		require.Empty(t, b.links.in)
		rawDial(t, b, rawHello(3)).expect(t, typeHello)
	})
}

// Many dial as the same node at once: never two receive.
func TestLinksOfOneNodeRace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := (&testNet{}).add(t, 2, nil)
		var inside atomic.Int32
		b.receive = func(store.NodeID, byte, []byte) {
			if inside.Add(1) > 1 {
				panic("two at a time")
			}
			time.Sleep(time.Millisecond)
			inside.Add(-1)
		}
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				c := rawDial(t, b, rawHello(1))
				if f, err := c.next(); err != nil || f.typ != typeHello {
					return
				}
				for range 10 {
					c.Write(text(10, fmt.Sprint(i)))
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second)
		require.Less(t, len(b.links.in), 2)
		require.NotEmpty(t, b.received())
	})
}
