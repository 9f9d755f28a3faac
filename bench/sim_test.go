package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSimKeepsARecord(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hours.tsv")
	o := SimOptions{Seed: 1, Seeds: 2, Time: time.Minute, Record: path, Workers: 1}
	sum := 0.0
	for range 2 {
		r, err := Sim(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, 2, r.Total.Seeds)
		require.NotZero(t, r.Total.Delivered)
		sum += r.Total.Simulated.Hours()
		require.InDelta(t, sum, r.Recorded, 0.1)
		require.Contains(t, r.String(), "2 seeds, ")
		require.Contains(t, r.String(), ": 0 failures\n")
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSpace(string(text)), "\n"), 3)
	require.True(t, strings.HasPrefix(string(text), recordHead))

	require.NoError(t, os.WriteFile(path, []byte("rubbish\n"), 0o600))
	_, err = Sim(t.Context(), o)
	require.ErrorContains(t, err, "hours.tsv:1 is no line of a record")
}
