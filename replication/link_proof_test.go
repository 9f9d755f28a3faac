package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// Only nodes with the same secret talk to each other.
func TestSecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b string
		up   bool
	}{
		"none":        {"", "", true},
		"the same":    {"s3cret", "s3cret", true},
		"another":     {"s3cret", "guess", false},
		"only theirs": {"", "s3cret", false},
		"only ours":   {"s3cret", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := &testNet{nodes: map[store.NodeID]*testNode{}}
			with := func(secret string) func(*Options) {
				key, err := LinkKey(secret)
				require.NoError(t, err)
				return func(o *Options) { o.Key = key }
			}
			a, b := n.add(t, 1, with(c.a)), n.add(t, 2, with(c.b))
			a.links.SetPeers([]store.NodeID{b.id})
			b.links.SetPeers([]store.NodeID{a.id})
			if c.up {
				require.Eventually(t, func() bool { return a.links.State(b.id).Up && b.links.State(a.id).Up }, 10*time.Second, time.Millisecond)
				return
			}
			require.Eventually(t, func() bool { return n.dialled() > 6 }, 10*time.Second, time.Millisecond)
			require.False(t, a.links.State(b.id).Up || b.links.State(a.id).Up)
			if c.b != "" {
				b.mu.Lock()
				defer b.mu.Unlock()
				require.Empty(t, b.heard, "a stranger is not listened to")
			}
		})
	}
}
