package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/bench"
	"github.com/disqo/disqo/server/servertest"
)

// With a broker that ignores the log, everything but recovery can be measured.
func TestDurable(t *testing.T) {
	t.Parallel()
	var progress bytes.Buffer
	broker := forgetful(t)
	r, err := bench.Durable(context.Background(), bench.DurableOptions{
		Server: broker, Dir: t.TempDir(), Runs: 2, Jobs: 1000, Recover: -1, Progress: &progress,
	})
	require.NoError(t, err)
	require.Len(t, r.Rows, 9, "three phases at two depths, and three of always")
	for _, row := range r.Rows {
		require.Len(t, row.Ratio.All, 2)
		require.Positive(t, row.A.Rate.Median)
		require.Positive(t, row.B.Rate.Min)
	}
	require.Equal(t, 16, r.Rows[3].Depth)
	require.Equal(t, 50, r.Rows[8].Clients)
	lines := strings.Split(progress.String(), "\n")
	for i, want := range []string{"run 1  disqo memory", "run 1  disqo everysec", "run 2  disqo everysec", "run 2  disqo memory"} {
		require.True(t, strings.HasPrefix(lines[i], want), lines[i])
	}
	require.Contains(t, r.String(), "A = disqo memory, B = disqo everysec, 16 producers and 16 consumers\n")
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(text), `"phase":"both"`)
}

// Recovery counts the jobs that are there after a kill.
func TestRecovery(t *testing.T) {
	t.Parallel()
	r, err := bench.Durable(context.Background(), bench.DurableOptions{
		Server: servertest.Binary(t), Dir: t.TempDir(), Pairs: "none", Recover: 1000,
	})
	require.NoError(t, err)
	require.Empty(t, r.Rows)
	require.Len(t, r.Recovery, 1)
	require.Len(t, r.Recovery[0].Seconds.All, 3)
	require.Positive(t, r.Recovery[0].LogBytes)
	require.Contains(t, r.String(), "disqo everysec")
}

func TestDurableOptions(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]bench.DurableOptions{
		"Runs": {Runs: -1}, "Jobs": {Jobs: -1}, "Size": {Size: 7}, "Recover": {Recover: -2}, "no pair": {Pairs: "x"}, "no such file": {Server: "/no/such/file"},
	} {
		_, err := bench.Durable(context.Background(), o)
		require.ErrorContains(t, err, want)
	}
}
