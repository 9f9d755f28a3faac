package replication

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

func TestHelloRoundTrip(t *testing.T) {
	t.Parallel()
	for _, h := range []Hello{
		{},
		{ID: store.NodeID{1, 19: 2}, Cluster: "blue", Host: "node-1.example.org", Port: 7711, BusPort: 17711, Versions: [2]uint8{1, 3}, Session: 1<<64 - 1, Leaving: true},
		{ID: store.NodeID{1, 19: 2}, Terms: true, Boot: 1<<64 - 2},
	} {
		b := appendHello(nil, &h)
		again, err := parseHello(b)
		require.NoError(t, err)
		require.Equal(t, h, again)
		again, err = parseHello(append(b, "of a later version"...))
		require.NoError(t, err)
		require.Equal(t, h, again)
		old := len(b) - 8 // a node of an earlier version does not say which process it is
		for i := range b {
			again, err := parseHello(b[:i])
			if i < old {
				require.Error(t, err, "%d of %d bytes", i, len(b))
				continue
			}
			require.NoError(t, err)
			require.Zero(t, again.Boot)
		}
	}
	_, err := parseHello(append(make([]byte, helloFixed), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	require.Error(t, err)
}

func TestHelloMeets(t *testing.T) {
	t.Parallel()
	self := Hello{ID: store.NodeID{1}, Cluster: "blue", Versions: [2]uint8{2, 4}}
	for name, c := range map[string]struct {
		other Hello
		err   string
	}{
		"same":             {Hello{ID: store.NodeID{2}, Cluster: "blue", Versions: [2]uint8{2, 4}}, ""},
		"older overlaps":   {Hello{ID: store.NodeID{2}, Cluster: "blue", Versions: [2]uint8{1, 2}}, ""},
		"newer overlaps":   {Hello{ID: store.NodeID{2}, Cluster: "blue", Versions: [2]uint8{4, 9}}, ""},
		"too old":          {Hello{ID: store.NodeID{2}, Cluster: "blue", Versions: [2]uint8{1, 1}}, "speaks the versions 1 to 1, not 2 to 4"},
		"too new":          {Hello{ID: store.NodeID{2}, Cluster: "blue", Versions: [2]uint8{5, 9}}, "speaks the versions 5 to 9, not 2 to 4"},
		"upside down":      {Hello{ID: store.NodeID{2}, Cluster: "blue", Versions: [2]uint8{4, 2}}, "speaks the versions"},
		"itself":           {self, "met itself"},
		"nobody":           {Hello{Cluster: "blue", Versions: [2]uint8{2, 4}}, "without an id"},
		"another cluster":  {Hello{ID: store.NodeID{2}, Cluster: "red", Versions: [2]uint8{2, 4}}, `is of the cluster "red", not "blue"`},
		"a nameless other": {Hello{ID: store.NodeID{2}, Versions: [2]uint8{2, 4}}, `is of the cluster "", not "blue"`},
	} {
		err := self.meets(&c.other)
		if c.err == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.err, name)
		}
	}
}
