package replication

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// Everybody who dials learns why it does not come to a link, and says so once.
func TestDiallerRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(nc net.Conn)
		says   string
	}{
		"another id":      {func(nc net.Conn) { answer(nc, rawHello(3), 0) }, "found node 03"},
		"another cluster": {func(nc net.Conn) { h := rawHello(2); h.Cluster = "x"; answer(nc, h, 0) }, "is of the cluster"},
		"another version": {func(nc net.Conn) { h := rawHello(2); h.Versions = [2]uint8{7, 8}; answer(nc, h, 0) }, "speaks the versions 7 to 8"},
		"itself":          {func(nc net.Conn) { answer(nc, rawHello(1), 0) }, "met itself"},
		"silence":         {func(nc net.Conn) { nc.Read(make([]byte, 1000)) }, "deadline exceeded"},
		"end":             {func(nc net.Conn) { nc.Read(make([]byte, 1000)); nc.Close() }, "EOF"},
		"no hello":        {func(nc net.Conn) { nc.Read(make([]byte, 1000)); nc.Write(text(10, "x")); nc.Close() }, "type 10 in place of a hello"},
		"too much":        {func(nc net.Conn) { nc.Read(make([]byte, 1000)); nc.Write(make([]byte, 5000)); nc.Close() }, "length"},
		"bye":             {func(nc net.Conn) { nc.Read(make([]byte, 1000)); nc.Write(text(typeBye, "no")); nc.Close() }, `says: \"no\"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				n := &testNet{}
				b := n.addRaw(2, c.answer)
				a := n.add(t, 1, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
				a.links.SetPeers([]store.NodeID{b.id})
				time.Sleep(20 * time.Second)
				a.links.Close()
				require.Contains(t, log.String(), c.says)
				require.Equal(t, 1, strings.Count(log.String(), "\n"), "%s", log.String())
				require.GreaterOrEqual(t, n.dialled(), 3)
				require.Equal(t, 1, a.changes, "it is silent")
			})
		})
	}
}
