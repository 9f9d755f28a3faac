package aof_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// TestDiskStaysSmall runs a year of traffic beside records that live on, with
// the owner's rule: while the sealed segments are more than twice what is live,
// the oldest is reclaimed. The disk may never hold more than three times what is
// live and three segments.
func TestDiskStaysSmall(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]uint16{"one long-lived record": 1, "a lot of them": 300} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOwner(aof.Options{SegmentSize: 16 << 10}, rand.New(rand.NewPCG(seeded(t), 11)))
			w.keys = keep + 10
			w.on(memfs.New())
			require.NoError(t, w.open())
			y := year{owner: w, t: t, keep: keep}
			for key := range keep {
				y.add(w.put(key))
			}
			hours := scaled(365*24, 30*24)
			for range hours {
				for range 4 {
					key := keep + uint16(w.rng.IntN(10))
					y.add(w.put(key))
					y.add(w.next(key, 0))
				}
			}
			require.NoError(t, w.close())
			require.NoError(t, w.open())
			require.Len(t, w.live, int(keep))
			t.Logf("%d hours, %d records, at most %.1f segments above 3 x live (%d bytes), %d segments were made",
				hours, w.last, float64(y.most)/float64(w.opts.SegmentSize), y.bytes(), w.log.Head())
		})
	}
}

// year is an owner that keeps its log small.
type year struct {
	*owner
	t    *testing.T
	keep uint16
	most int64 // bytes on the disk above three times what was live
}

// add appends a record, and reclaims as the rule says.
func (y *year) add(r rec) {
	require.NoError(y.t, y.append(r))
	require.NoError(y.t, y.commit(y.log.End()))
	y.check()
	for y.log.Sizes().Sealed > 2*y.bytes() {
		require.NoError(y.t, y.reclaim(1))
		y.check()
	}
}

// bytes returns how much of the log is live.
func (y *year) bytes() (sum int64) {
	for _, e := range y.live {
		sum += int64(aof.RecordOverhead + recHeader + e.rec.pad)
	}
	return sum
}

// check looks at the disk, where the end of a sealed segment takes a whole sector.
func (y *year) check() {
	sizes, used := y.log.Sizes(), y.fs.Used()
	require.LessOrEqual(y.t, sizes.Disk, used)
	require.Less(y.t, used, sizes.Disk+512*int64(sizes.Files))
	above := used - 3*y.bytes()
	y.most = max(y.most, above)
	require.LessOrEqual(y.t, above, 3*y.opts.SegmentSize)
}
