package cluster

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/cluster/crowd"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestFormat(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0123456789", 4)
	for want, m := range map[string]Member{
		" :7711 myself 0 0 connected":                          {Self: true, Port: 7711, BusPort: 17711},
		" ::1:7711 myself,leaving 0 0 connected":               {Self: true, Host: "::1", Port: 7711, Leaving: true},
		" 1.2.3.4:7711@5 fail? 3 4 disconnected":               {Host: "1.2.3.4", Port: 7711, BusPort: 5},
		" 1.2.3.4:7711 fail 3 4 disconnected":                  {Host: "1.2.3.4", Port: 7711, BusPort: 17711, Failed: true},
		" :1@2 fail,handshake,noaddr,leaving 3 4 disconnected": {Port: 1, BusPort: 2, Failed: true, Handshake: true, NoAddr: true, Leaving: true},
	} {
		m.ID = id
		require.Equal(t, id+want, Format(m, 3, 4, true, false))
	}
	require.Equal(t, id+" h:1 noflags 0 9 connected", Format(Member{ID: id, Host: "h", Port: 1}, 0, 9, false, true))
}

func TestParseMember(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0123456789", 4)
	for _, m := range []Member{
		{ID: id, Port: 7711, BusPort: 17711, Self: true},
		{ID: id, Host: "1.2.3.4", Port: 7711, BusPort: 17711, Failed: true, Leaving: true},
		{ID: id, Host: "fe80::1", Port: 60000, BusPort: 5},
		{ID: id, Port: 1, BusPort: 10001, NoAddr: true, Handshake: true},
	} {
		got, err := parseMember(Format(m, 7, 8, false, false))
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	for _, line := range []string{"", "x", id, id + " a:1 noflags 0 0 connected", id + " 1.2.3.4 noflags 0 0 x", id + " 1.2.3.4:x noflags 0 0 x",
		id + " 1.2.3.4:1@x noflags 0 0 x", id + " 1.2.3.4:70000 noflags 0 0 x", id + " :1 myself 0 0 0 0"} {
		_, err := parseMember(line)
		require.ErrorIs(t, err, errNotNode, line)
	}
}

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]target{
		"a":             {"a", 7711, 17711},
		"a.b-c:1":       {"a.b-c", 1, 10001},
		"a:1@2":         {"a", 1, 2},
		"::1":           {"::1", 7711, 17711},
		"[::1]:60000@1": {"::1", 60000, 1},
	} {
		got, err := parseTarget(s)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, s := range []string{"", "a b", "a:x", "a:1@x", "a:0", "a:60000", ":1", "a:1@0"} {
		_, err := parseTarget(s)
		require.Error(t, err, s)
	}
}

func TestMetaAndMessages(t *testing.T) {
	t.Parallel()
	for _, m := range []meta{
		{low: 1, high: 1},
		{low: 1, high: 7, leaving: true, alone: true, port: 55535, bus: 65535, epoch: 1 << 50, ip: netip.MustParseAddr("1.2.3.4")},
		{low: 0, high: 1, ip: netip.MustParseAddr("fe80::1")},
	} {
		got, err := decodeMeta(append(m.append(nil), "more of a later version"...))
		require.NoError(t, err)
		require.Equal(t, m, got)
		msg := message{kind: msgBye, nonce: 1 << 60, id: newID(), meta: m}
		back, err := decodeMessage(msg.encode())
		require.NoError(t, err)
		require.Equal(t, msg, back)
		for i := range msg.encode() {
			_, err := decodeMessage(msg.encode()[:i])
			require.Error(t, err)
		}
	}
	bad := meta{low: 1, high: 1}.append(nil)
	bad[15] = 3
	_, err := decodeMeta(append(bad, 1, 2, 3))
	require.ErrorIs(t, err, errMeta)
	a, b := place(strings.Repeat("0f", 20)), place(strings.Repeat("f0", 20))
	require.NotEqual(t, a, b)
	require.Equal(t, "[fd0f:f0f:f0f:f0f:f0f:f0f:f0f:f0f]:1", a.String())
}

func FuzzMeta(f *testing.F) {
	f.Add(meta{low: 1, high: 1, ip: netip.MustParseAddr("1.2.3.4")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMeta(b); err == nil {
			again, err := decodeMeta(m.append(nil))
			require.NoError(t, err)
			require.Equal(t, m, again)
		}
		_, _ = decodeMessage(b)
		_, _ = parseMember(string(b))
		_, _ = parseTarget(string(b))
	})
}

func TestNodesConfWithPeers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nodes.conf")
	i, err := OpenIdentity(path)
	require.NoError(t, err)
	peers := []Member{{ID: newID(), Host: "1.2.3.4", Port: 1, BusPort: 10001, Failed: true}, {ID: newID(), Host: "::1", Port: 2, BusPort: 3}}
	require.NoError(t, i.SetLeaving(true))
	require.NoError(t, i.keep(Member{ID: newID(), Self: true, Host: "1.2.3.5", Port: 7, BusPort: 8}, peers, []forgotten{{newID(), 17, 4}}))
	require.Contains(t, i.text(), "vars forgotten ")
	require.Equal(t, i.ID()+" 1.2.3.5:7@8 myself,leaving 0 0 connected", i.Line())
	require.NoError(t, i.Close())
	again, err := OpenIdentity(path)
	require.NoError(t, err)
	require.Equal(t, peers, again.Peers())
	require.Equal(t, i.Line(), again.Line())
	require.NoError(t, again.Close())

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	line := Format(peers[1], 0, 0, false, false)
	for name, more := range map[string]string{
		"twice": line + "\n", "cut": line[:50], "two selves": Format(Member{ID: newID(), Self: true}, 0, 0, false, true),
		"too long": strings.Repeat("vars\n", fileBytesMax/5+1),
	} {
		require.NoError(t, os.WriteFile(path, append(text, more...), 0o600))
		_, err = OpenIdentity(path)
		require.ErrorContains(t, err, "restore the file", name)
	}
}

func TestBridge(t *testing.T) {
	t.Parallel()
	var log record
	text := slog.New(slog.NewTextHandler(&log, nil))
	b := bridge{text, crowd.NewLines(text), new(atomic.Int64)}
	for range 3 {
		for _, line := range []string{
			"[DEBUG] memberlist: Stream connection from=127.0.0.1:1\n",
			"[INFO] memberlist: Suspect x has failed, no acks received\n",
			"[ERR] memberlist: Failed to send UDP ping: no\n",
			"[ERR] memberlist: Decrypt packet failed: x from=10.0.0.1:99\n",
			"[ERR] memberlist: Decrypt packet failed: x from=10.0.0.2:98\n",
			"[WARN] memberlist: handler queue full, dropping message\n",
			"", "[", "[ERR]",
		} {
			n, err := b.Write([]byte(line))
			require.NoError(t, err)
			require.Equal(t, len(line), n)
		}
	}
	require.Equal(t, 3, log.count("level="))
	require.Equal(t, 2, log.count("another cluster-secret"))
	require.Equal(t, 1, log.count("handler queue full"))
}
