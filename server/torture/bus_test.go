//go:build linux

package torture

import (
	"bytes"
	"compress/lzw"
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// variable is what differs between two lines of a log that say the same.
var variable = regexp.MustCompile(`(time|address|node|peer|from|dropped|rtt)=\S+|0x[0-9a-f]+|\d+`)

// quietLog checks that a broker says nothing more often than once a minute for
// each address that it comes from.
func quietLog(t *testing.T, p *servertest.Process) {
	t.Helper()
	said := map[string]int{}
	lines := 0
	for line := range strings.Lines(p.Log()) {
		lines++
		said[variable.ReplaceAllString(line, "")]++
	}
	t.Logf("%d lines in the log", lines)
	for line, n := range said {
		require.LessOrEqual(t, n, 2*attackHosts, "%s", line)
	}
}

// junk returns bytes of no meaning.
func junk(rng *rand.Rand, most int) []byte {
	b := make([]byte, 1+rng.IntN(most))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// labelled is how gossip of the cluster begins.
func labelled() []byte {
	const label = "disqo/" + clusterName
	return append([]byte{244, byte(len(label))}, label...)
}

// gossipTypes are those of memberlist, which ends with its label's.
var gossipTypes = []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 244}

// noises make what no node says, each of another kind.
func noises(node []byte) []func(rng *rand.Rand) []byte {
	to := append([]byte{'G'}, node...)
	text := func(s string) func(*rand.Rand) []byte { return func(*rand.Rand) []byte { return []byte(s) } }
	gossip := func(begin ...[]byte) func(*rand.Rand) []byte {
		return func(rng *rand.Rand) []byte {
			var b []byte
			for _, part := range begin {
				b = append(b, part...)
			}
			return append(append(b, gossipTypes[rng.IntN(len(gossipTypes))]), junk(rng, 1300)...)
		}
	}
	return []func(rng *rand.Rand) []byte{
		func(rng *rand.Rand) []byte { return junk(rng, 4000) },
		text("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n"),
		text("PING\r\n"), text("*1\r\n$4\r\nPING\r\n"),
		text(string(servertest.Command("COMMAND", "DOCS")) + string(servertest.Command("ADDJOB", "q", "body", "0"))),
		func(rng *rand.Rand) []byte { return append([]byte{'D'}, junk(rng, 4000)...) },
		func(rng *rand.Rand) []byte {
			return append([]byte{'D'}, linkFrame(byte(rng.IntN(12)), junk(rng, 4000))...)
		},
		gossip(), gossip(labelled()), gossip(to), gossip(to, labelled()),
		func(rng *rand.Rand) []byte { return append(append(to[:21:21], labelled()...), lie(rng)...) },
	}
}

// lie is well-formed gossip with an impossible content.
func lie(rng *rand.Rand) []byte {
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0xcf}, n) }
	word := func(s string) []byte { return append([]byte{0xa0 | byte(len(s))}, s...) }
	pairs := func(typ byte, fields ...[]byte) []byte {
		b := []byte{typ, 0x80 | byte(len(fields)/2)}
		for _, f := range fields {
			b = append(b, f...)
		}
		return b
	}
	large := [...]uint64{1 << 63, 1<<64 - 1, 1<<31 - 1, 1 << 32, 1 << 40}[rng.IntN(5)]
	switch rng.IntN(6) {
	case 0: // states of very many nodes
		return pairs(6, word("Nodes"), number(large), word("UserStateLen"), number(large), word("Join"), []byte{0xc3})
	case 1: // a message of so many bytes
		return pairs(8, word("UserMsgLen"), number(large))
	case 2: // many messages in one: as many as can be, of no length or more than there is
		return append([]byte{7, 255}, junk(rng, 600)...)
	case 3: // compressed
		return pairs(9, word("Algo"), number(large), word("Buf"), []byte{0xc6, 0xff, 0xff, 0xff, 0xff})
	case 4: // an array that is longer than all memory
		return []byte{4, 0xdd, 0xff, 0xff, 0xff, 0xff}
	}
	return pairs(4, word("Node"), []byte{0xdb, 0xff, 0xff, 0xff, 0xf0}, word("Port"), number(large))
}

// Whatever comes to the bus, by TCP and UDP, the broker lives, its link to the
// other node works, and nothing is left behind.
func TestNoiseOnTheBus(t *testing.T) {
	a, b := two(t)
	c, bus := a.Dial(t), busOf(t, a)
	rng := random(t)
	node, err := hex.DecodeString(c.Self().ID)
	require.NoError(t, err)
	udp, err := net.Dial("udp", bus)
	require.NoError(t, err)
	defer func() { _ = udp.Close() }()
	before := standing(t, a, c)
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	kinds := noises(node)
	begun := time.Now()
	p99 := besides(t, a.Addr, func() {
		for round := range rounds {
			var all []net.Conn
			for i, noise := range kinds {
				nc, err := stranger(bus, round*len(kinds)+i)
				require.NoError(t, err)
				_, _ = nc.Write(noise(rng)) // may be closed already
				if round%3 == 0 {
					_ = nc.(*net.TCPConn).CloseWrite()
				} else if round%3 == 1 {
					_ = nc.(*net.TCPConn).SetLinger(0)
					_ = nc.Close()
				}
				all = append(all, nc)
				for range 10 {
					if packet := noise(rng); len(packet) < 1400 {
						_, _ = udp.Write(packet)
					}
				}
			}
			if round%3 == 0 {
				for _, nc := range all {
					_, err := io.Copy(io.Discard, nc)
					require.True(t, err == nil || refused(err), "not closed: %v", err)
				}
			}
			for _, nc := range all {
				_ = nc.Close()
			}
		}
	})
	t.Logf("%d connections in %v; p99 of ADDJOB REPLICATE 2 is %v", rounds*len(kinds), time.Since(begun), p99)
	before.recovers(t, a, c, 64*mib)
	servertest.Whole(t, c, b.Dial(t))
	quietLog(t, a)
}

// What gossip says that it brings costs no memory before it is there: messages,
// states of users and of nodes, and what is packed.
func TestAnnouncedGossip(t *testing.T) {
	const each = 40
	word := func(s string) []byte { return append([]byte{0xa0 | byte(len(s))}, s...) }
	number := func(n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{0xcf}, n) }
	message := slices.Concat([]byte{8, 0x81}, word("UserMsgLen"), number(20*mib))
	state := func(nodes, user uint64) []byte {
		return slices.Concat([]byte{6, 0x83}, word("Nodes"), number(nodes), word("UserStateLen"), number(user), word("Join"), []byte{0xc3})
	}
	var z bytes.Buffer
	w := lzw.NewWriter(&z, lzw.LSB, 8)
	_, err := w.Write(append(message, make([]byte, 39*mib)...))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bomb := slices.Concat([]byte{9, 0x82}, word("Algo"), []byte{0}, word("Buf"), binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(z.Len())), z.Bytes())

	a := start(t, "--cluster-name", clusterName)
	c, bus := a.Dial(t), busOf(t, a)
	id, err := hex.DecodeString(c.Self().ID)
	require.NoError(t, err)
	to := append(append([]byte{'G'}, id...), labelled()...)
	before := standing(t, a, c)
	var all []net.Conn
	for i := range each {
		for _, lie := range [][]byte{message, state(0, 20*mib), state(mib, 0), bomb} {
			nc, err := stranger(bus, i)
			require.NoError(t, err)
			_, _ = nc.Write(slices.Concat(to, lie)) // may be closed already
			all = append(all, nc)
		}
	}
	for _, nc := range all { // they would wait for five seconds
		require.NoError(t, nc.SetDeadline(time.Now().Add(3*time.Second)))
		_, err := io.Copy(io.Discard, nc)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "not closed at once")
		_ = nc.Close()
	}
	udp, err := net.Dial("udp", bus)
	require.NoError(t, err)
	defer func() { _ = udp.Close() }()
	heard := info(t, c, "cluster", "gossip_messages_received")
	for range each {
		_, err := udp.Write(slices.Concat(to, bomb))
		require.NoError(t, err)
	}
	servertest.Until(t, "the packets were heard", patience, func() bool {
		return info(t, c, "cluster", "gossip_messages_received") >= heard+each
	})
	before.recovers(t, a, c, 32*mib)
}

// Connections that begin as links do and say no more, of one host or of many,
// keep no node out.
func TestStrangersKeepNobodyOut(t *testing.T) {
	for name, hosts := range map[string]int{"of one host": 1, "of many": attackHosts} {
		t.Run(name, func(t *testing.T) {
			directives := []string{"--cluster-name", clusterName, "--cluster-secret", "s"}
			a := start(t, directives...)
			bus := busOf(t, a)
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			var came sync.WaitGroup
			for g := range 1100 {
				came.Add(1)
				wg.Go(func() { hold(ctx, bus, g%hosts, sync.OnceFunc(came.Done)) })
			}
			defer wg.Wait()
			defer stop()
			came.Wait()
			b := start(t, directives...)
			ca, cb := a.Dial(t), b.Dial(t)
			ca.Meet(cb)
			servertest.Until(t, "b links to a", patience, func() bool { return cb.Linked(1) })
		})
	}
}

// hold keeps a connection to a bus open that says no more than that it is a link.
// When it is closed it is opened again, until ctx is done.
func hold(ctx context.Context, bus string, host int, came func()) {
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for {
		if nc, err := stranger(bus, host); err == nil {
			_, _ = nc.Write([]byte("D")) // may be closed already
			came()
			end := context.AfterFunc(ctx, func() { _ = nc.Close() })
			_, _ = nc.Read(make([]byte, 1))
			end()
			_ = nc.Close()
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// Nodes that somebody makes up, for links and for gossip, are one line in the
// log, and who has something to say besides is heard.
func TestLogOfStrangers(t *testing.T) {
	a := start(t, "--cluster-name", clusterName)
	c, bus := a.Dial(t), busOf(t, a)
	var from uint32
	for _, id := range freshIDs(1000, &from) {
		nc, err := net.Dial("tcp", bus)
		require.NoError(t, err)
		_, _ = nc.Write(append([]byte{'D'}, linkFrame(linkHello, helloOf(id[:], "other"))...)) // may be closed already
		_, _ = nc.Read(make([]byte, 1))
		_ = nc.Close()
	}
	udp, err := net.Dial("udp", bus)
	require.NoError(t, err)
	defer func() { _ = udp.Close() }()
	to, err := hex.DecodeString(c.Self().ID)
	require.NoError(t, err)
	head := append(append([]byte{'G'}, to...), labelled()...)
	for _, id := range freshIDs(4000, &from) {
		_, _ = udp.Write(slices.Concat(head, []byte{8, 1}, make([]byte, 8), id[:], []byte{99, 100})) // of a later version
	}
	servertest.Until(t, "all was heard", patience, func() bool { return info(t, c, "cluster", "gossip_messages_received") >= 2000 })
	servertest.Until(t, "it is in the log", patience, func() bool { return strings.Contains(a.Log(), "cannot be understood") })
	b := start(t, "--cluster-name", clusterName)
	c.Meet(b.Dial(t))
	servertest.Until(t, "a link is in the log", patience, func() bool { return strings.Contains(a.Log(), "linked to a node") })
	for _, line := range []string{"link from a node dropped", "cannot be understood"} {
		require.LessOrEqual(t, strings.Count(a.Log(), line), 2, line) // a minute may have ended
	}
}
