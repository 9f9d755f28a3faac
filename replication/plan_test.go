package replication

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in     Situation
		peers  int
		reason string
		short  bool
	}{
		"alone":                {in: Situation{Copies: 1}},
		"alone, two wanted":    {in: Situation{Copies: 2}, short: true},
		"three of three":       {in: Situation{Copies: 3, Reachable: 2}, peers: 2},
		"leaving alone":        {in: Situation{Copies: 1, Leaving: true}, short: true, reason: "I'm leaving the cluster"},
		"full alone":           {in: Situation{Copies: 1, LowMemory: true}, short: true, reason: "I'm out of memory"},
		"leaving, far too few": {in: Situation{Copies: 4, Leaving: true, Reachable: 2}, short: true},
		"leaving, enough":      {in: Situation{Copies: 2, Leaving: true, Reachable: 2}, peers: 2},
	} {
		peers, err := Plan(c.in)
		require.Equal(t, c.peers, peers, name)
		if !c.short {
			require.NoError(t, err, name)
			continue
		}
		var s *Shortage
		require.ErrorAs(t, err, &s, name)
		require.Equal(t, c.reason, s.Reason, name)
		require.Contains(t, err.Error(), "Not enough reachable nodes for the requested replication level")
		require.Contains(t, err.Error(), c.reason)
	}
}
