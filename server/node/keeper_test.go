package node

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/store"
)

// A full disk that is found full by one start after the other, with nothing but
// live records in the log, lets every job be acknowledged, in any order, and
// then takes new ones.
func TestFullDiskIsEmptied(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		o := LogOptions{Policy: aof.EverySec, SegmentSize: 256 << 10}
		fs := memfs.New()
		fs.SetCapacity(16*o.SegmentSize - rnd.Int64N(o.SegmentSize))
		var ids []store.ID
		var n *Node
		for range 4 {
			n, _ = openNode(t, fs, o)
			for err := error(nil); err == nil; {
				var m Mark
				for range 100 {
					var id store.ID
					if id, _, err = n.Add(spec("q", strings.Repeat("x", 300)), false, &m); err != nil {
						break
					}
					ids = append(ids, id)
				}
				var full *aof.FullError
				require.True(t, err == nil || errors.As(err, &full), "%v", err)
				require.NoError(t, m.Wait())
			}
			require.Equal(t, len(ids), n.Jobs())
			fs = fs.Clone()
			require.NoError(t, n.Close())
		}
		n, _ = openNode(t, fs, o)
		rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for i, id := range ids {
			var m Mark
			ok, err := n.Ack(&id, &m)
			require.NoError(t, err, "%d of %d acknowledged: %+v", i, len(ids), n.LogInfo())
			require.True(t, ok)
			require.NoError(t, m.Wait())
		}
		require.Eventually(t, func() bool { _, err := safely(n, spec("q", "more")); return err == nil }, 10*time.Second, time.Millisecond)
	}
}
