package node

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/store"
)

// loneBus reaches nobody.
func loneBus() *Bus {
	return &Bus{
		Dial:    func(context.Context, string) (net.Conn, error) { return nil, errors.New("no") },
		Address: func() (string, int, int) { return "", 1, 1 },
		Timeout: func() time.Duration { return time.Minute },
	}
}

func holdersOf(n *Node, id store.ID) (set store.Set) {
	n.byHash(id.Hash()).read(func(s *store.Shard) {
		if j, ok := s.Get(&id); ok {
			set = j.Holders
		}
	})
	return set
}

// A node that is met again at once is not taken out of the holders of new jobs.
func TestForgetThenMeet(t *testing.T) {
	t.Parallel()
	b := strings.Repeat("b", 40)
	n, err := New(Options{ID: strings.Repeat("a", 40), Bus: loneBus()})
	require.NoError(t, err)
	defer n.Close()
	n.SetPeers([]Peer{{ID: b}})
	n.SetPeers(nil) // CLUSTER FORGET b
	for range 5 {
		n.upkeep()
	}
	n.SetPeers([]Peer{{ID: b}}) // CLUSTER MEET
	id, _, err := n.Add(&store.Spec{Queue: []byte("q"), Body: []byte("b"), Retry: 300, TTL: 1000, Repl: 2}, true, &Mark{})
	require.NoError(t, err)
	require.Equal(t, 2, holdersOf(n, id).Len())
	n.upkeep()
	require.Equal(t, 2, holdersOf(n, id).Len(), "b is a member, and was sent a copy")
}

// The last peer is forgotten as any other.
func TestForgottenByTheLast(t *testing.T) {
	t.Parallel()
	b := strings.Repeat("b", 40)
	n, err := New(Options{ID: strings.Repeat("a", 40), Bus: loneBus()})
	require.NoError(t, err)
	defer n.Close()
	n.SetPeers([]Peer{{ID: b}})
	id, _, err := n.Add(&store.Spec{Queue: []byte("q"), Body: []byte("b"), Retry: 300, TTL: 1000, Repl: 2}, true, &Mark{})
	require.NoError(t, err)
	n.SetPeers(nil)
	n.upkeep()
	require.Equal(t, 1, holdersOf(n, id).Len())
}
