package aof_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// TestForgedBatch stores what looks like a batch in a record: where the header
// of the batch around it is torn, it must not be believed.
func TestForgedBatch(t *testing.T) {
	t.Parallel()
	for pad := range 8 {
		o := options(t)
		l, _, _ := open(t, o)
		commit(t, l, "good")
		path := filepath.Join(o.Dir, files(t, o.Dir)[0])
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		end := len(bytes.TrimRight(before, "\x00"))
		forged := aof.ForgedBatch(l.Head(), uint32(end+40))
		commit(t, l, string(append(make([]byte, pad), forged...)))
		l.Abandon()
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		at := bytes.Index(b, forged)
		require.Greater(t, at, end)
		b[(end+7)/8*8+20] ^= 1
		require.NoError(t, os.WriteFile(path, b, 0o600))
		_, report, got := open(t, o)
		require.NotNil(t, report.Torn)
		require.Zero(t, report.Torn.Batches)
		require.Equal(t, []string{"good"}, got)
	}
}
