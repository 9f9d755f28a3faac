package aof_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// image is a log on a disk, and what is in it.
type image struct {
	fs      *memfs.FS
	opts    aof.Options
	recs    []rec
	batches []place // in order
	head    uint32  // segment of the last
}

// place is where a batch is, and how many records of the log end with it.
type place struct {
	file       string
	offset     int64
	end        int64 // up to the next batch, or to the end of what is used
	recs       int
	hasRecords bool
}

// segmentPath is where a segment is.
func segmentPath(number uint32) string { return filepath.Join(dir, fmt.Sprintf("%010d.aof", number)) }

// built is the log that fill makes, after a power loss: everything is durable
// and nothing was closed.
func built(t *testing.T, segment int64, fill func(*owner)) *image {
	t.Helper()
	w := newOwner(aof.Options{SegmentSize: segment}, rand.New(rand.NewPCG(seeded(t), 12)))
	w.on(memfs.New())
	require.NoError(t, w.open())
	fill(w)
	w.log.Abandon()
	i := &image{fs: w.fs.CrashNone(), opts: w.opts, recs: w.history.recs}
	require.Equal(t, len(i.recs), w.history.acked)
	report, err := aof.Scan(i.fs, dir, func(b *aof.Batch) error {
		before := 0
		if len(i.batches) > 0 {
			before = i.batches[len(i.batches)-1].recs
		}
		p := place{offset: b.Offset, file: segmentPath(b.Segment), recs: before}
		b.Records(func([]byte) bool { p.recs++; return true })
		p.hasRecords = p.recs > before
		i.batches, i.head = append(i.batches, p), b.Segment
		return nil
	})
	require.NoError(t, err)
	used := map[string]int64{}
	for _, s := range report.Segments {
		used[filepath.Join(dir, s.Name)] = s.Used
	}
	for n := range i.batches {
		b := &i.batches[n]
		if b.end = used[b.file]; n+1 < len(i.batches) && i.batches[n+1].file == b.file {
			b.end = i.batches[n+1].offset
		}
	}
	require.Equal(t, len(i.recs), i.batches[len(i.batches)-1].recs)
	return i
}

// committed returns how many records are in the batches that end at or before
// offset of the head.
func (i *image) committed(head string, offset int64) (recs int) {
	for _, b := range i.batches {
		if b.file == head && b.end > offset {
			return recs
		}
		recs = b.recs
	}
	return recs
}

// TestTornTail cuts, zeroes and spoils everything from each byte of the last two
// batches on: exactly the batches before are recovered.
func TestTornTail(t *testing.T) {
	t.Parallel()
	i := built(t, 256<<10, func(w *owner) {
		for range 6 {
			require.NoError(t, w.append(w.put(1), w.put(2)))
			require.NoError(t, w.commit(w.log.End()))
		}
		w.sizes = sizing{least: 1024 - recHeader - aof.RecordOverhead, most: 1024 - recHeader - aof.RecordOverhead}
		for range 2 {
			for key := range uint16(32) {
				require.NoError(t, w.append(w.put(key)))
			}
			require.NoError(t, w.commit(w.log.End()))
		}
	})
	last := i.batches[len(i.batches)-2:]
	start, end := last[0].offset, last[1].end
	require.Equal(t, last[0].file, last[1].file)
	require.GreaterOrEqual(t, end-start, int64(65_536))
	whole := i.fs.Bytes(last[0].file)
	noise := bytes.Clone(whole)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range noise[:end] {
		noise[n] ^= byte(1 + rng.IntN(255))
	}
	step := int64(scaled(1, 61))
	cases := 0
	for name, spoil := range map[string]func(at int64, data []byte) []byte{
		"truncate": func(at int64, data []byte) []byte { return data[:at] },
		"zeros":    func(at int64, data []byte) []byte { clear(data[at:]); return data },
		"garbage":  func(at int64, data []byte) []byte { copy(data[at:end], noise[at:end]); return data },
	} {
		fs := i.fs.CrashAll()
		data := make([]byte, len(whole))
		for at := start; at < end; at += step {
			copy(data, whole)
			fs.SetBytes(last[0].file, spoil(at, data))
			want := i.recs[:i.committed(last[0].file, at)]
			torn := name == "garbage" || at != start && at != last[1].offset
			i.requireTorn(t, fs, want, torn, fmt.Sprintf("%s at %d", name, at))
			if cases++; cases%64 == 0 {
				i.requireMended(t, fs.CrashAll(), want)
			}
		}
	}
	t.Logf("%d cases at %d offsets", cases, (end-start+step-1)/step)
}

// requireTorn scans a log and wants these records and a torn tail or none.
func (i *image) requireTorn(t *testing.T, fs *memfs.FS, want []rec, torn bool, what string) {
	t.Helper()
	var got records
	report, err := aof.Scan(fs, dir, got.visit)
	if err != nil || len(got.list) != len(want) || (report.Torn != nil) != torn {
		require.NoError(t, err, what)
		require.Len(t, got.list, len(want), what)
		require.Equal(t, torn, report.Torn != nil, what)
	}
	if len(want) > 0 {
		require.Equal(t, want[len(want)-1], got.list[len(want)-1], what)
	}
}

// requireMended opens a log and wants these records, from now on for good.
func (i *image) requireMended(t *testing.T, fs *memfs.FS, want []rec) {
	t.Helper()
	opts := i.opts
	for range 2 {
		opts.FS = fs
		var got records
		log, _, err := aof.Open(opts, got.visit)
		require.NoError(t, err)
		require.Equal(t, want, got.list)
		log.Abandon()
		fs = fs.CrashNone()
	}
}
