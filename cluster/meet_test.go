package cluster

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

func TestMeetNobody(t *testing.T) {
	t.Parallel()
	a := startNode(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	require.NoError(t, a.Meet("127.0.0.1", 7711, port))
	list := a.Members()
	require.Len(t, list, 2)
	h := list[0]
	if h.Self {
		h = list[1]
	}
	require.True(t, h.Handshake)
	require.True(t, ValidID(h.ID))
	require.Equal(t, "127.0.0.1", h.Host)
	took := eventually(t, "given up", func() bool { return len(a.Members()) == 1 })
	require.Greater(t, took, testTimeout/2)
	eventually(t, "logged", func() bool { return a.log.count("MEET failed") == 1 })
	require.NoError(t, a.Save())
	require.Empty(t, a.ident.Peers(), "handshakes are not saved")
}

func TestMeetOneself(t *testing.T) {
	t.Parallel()
	a := startNode(t, nil)
	a.meet(a)
	eventually(t, "over", func() bool { return len(a.Members()) == 1 })
	require.Equal(t, "127.0.0.1", a.Members()[0].Host, "it teaches the own address")
	require.Zero(t, a.log.count("MEET failed"))
}

func TestMeetRefusals(t *testing.T) {
	t.Parallel()
	a := startNode(t, nil)
	for name, test := range map[string]struct {
		host      string
		port, bus int
		why       string
	}{
		"no host":   {"", 7711, 0, "neither an address nor a host name"},
		"odd host":  {"a b\n", 7711, 0, `"a b\n" is neither`},
		"long host": {strings.Repeat("a", 256), 7711, 0, "neither"},
		"no port":   {"127.0.0.1", 0, 0, "out of range"},
		"high port": {"127.0.0.1", 55536, 0, "out of range"},
		"high bus":  {"127.0.0.1", 7711, 65536, "out of range"},
		"far":       {"10.1.2.3", 7711, 0, "10.1.2.3 is not a loopback address: set cluster-secret, or cluster-protected-mode no"},
	} {
		err := a.Meet(test.host, test.port, test.bus)
		require.ErrorContains(t, err, test.why, name)
		require.NotContains(t, err.Error(), "\n", name)
	}
	require.Len(t, a.Members(), 1)
	for range handshakesMax {
		_, err := a.shake(target{"127.0.0.1", 1, 1}, true)
		require.NoError(t, err)
	}
	require.ErrorIs(t, a.Meet("127.0.0.1", 7711, 0), errHandshakes)
}

// A host name stands for all its addresses.
func TestMeetByName(t *testing.T) {
	t.Parallel()
	b := startNode(t, nil)
	a := startNode(t, func(o *Options) {
		o.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
			if host != "disqo.example" {
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.MustParseAddr("10.9.8.7"), loopback(1)}, nil
		}
	})
	require.NoError(t, a.Meet("disqo.example", 7711, b.BusPort()))
	eventually(t, "met", func() bool { return meshed([]*testNode{a, b}) })
	require.NoError(t, a.Meet("other.example", 7711, b.BusPort()))
	eventually(t, "no such host", func() bool { return a.log.count("no such host") == 1 })
}

func TestOtherSecretsAndNames(t *testing.T) {
	t.Parallel()
	with := func(secret, name string) *testNode {
		return startNode(t, func(o *Options) { o.Secret, o.Name = secret, name })
	}
	a, b := with("s3cret", "prod"), with("s3cret", "prod")
	mesh(t, []*testNode{a, b})
	for name, test := range map[string]struct {
		n    *testNode
		here string // in its log
		mine string // in a's log
	}{
		"another secret": {with("s4cret", "prod"), "another cluster-secret, or none", "another cluster-secret"},
		"no secret":      {with("", "prod"), "another cluster-secret, or none", "without the cluster-secret"},
		"another name":   {with("s3cret", "test"), "another cluster-name?", "another cluster-name"},
	} {
		test.n.meet(a)
		eventually(t, name, func() bool { return test.n.log.count(test.here) > 0 && a.log.count(test.mine) > 0 })
		require.Len(t, test.n.Members(), 1)
		require.Equal(t, 1, a.log.count(test.mine+" tried"), "once a minute")
	}
	require.True(t, meshed([]*testNode{a, b}))
}

func TestVersions(t *testing.T) {
	t.Parallel()
	a, b := startNode(t, nil), startNode(t, nil)
	mesh(t, []*testNode{a, b})
	next := meta{low: versionHigh + 1, high: versionHigh + 2, port: 1, bus: 2}
	g := a.gossip.Load()
	id := newID()
	for range 2 {
		err := g.NotifyAlive(&memberlist.Node{Name: id, Meta: next.append(nil)})
		require.ErrorContains(t, err, "it speaks versions 2..3 of the cluster protocol, this node 1..1")
	}
	require.Equal(t, 1, a.log.count("a node is refused"))
	require.Equal(t, 1, a.log.count(id))
	require.NoError(t, b.gossip.Load().say(netip.AddrPortFrom(loopback(1), uint16(a.BusPort())), message{kind: msgMeet, id: newID(), meta: next}))
	eventually(t, "logged", func() bool { return a.log.count("cannot be understood") == 1 })

	wider := meta{low: 0, high: 9, port: 1, bus: 2, epoch: 3}
	require.NoError(t, g.NotifyAlive(&memberlist.Node{Name: newID(), Meta: append(wider.append(nil), "later"...)}))
	for _, bad := range []memberlist.Node{{Name: "x", Meta: wider.append(nil)}, {Name: newID()}, {Name: newID(), Meta: []byte{1, 1, 0}}} {
		require.Error(t, g.NotifyAlive(&bad))
	}
	far := meta{low: 1, high: 1, ip: netip.MustParseAddr("10.0.0.1")}
	require.ErrorContains(t, g.NotifyAlive(&memberlist.Node{Name: newID(), Meta: far.append(nil)}), "cluster-secret")
	clone := meta{low: 1, high: 1, epoch: time.Now().Add(time.Hour).UnixMilli()}
	require.NoError(t, g.NotifyAlive(&memberlist.Node{Name: a.id(), Meta: clone.append(nil)}))
	require.Equal(t, 1, a.log.count("was nodes.conf copied?"))
	require.Len(t, a.Members(), 2)
}
