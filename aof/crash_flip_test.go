package aof_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// segments is a log of more than 64 KiB: four sealed segments, a head and a
// spare or two. It returns the files up to the head, and the spares.
func segments(t *testing.T) (i *image, used, spares []string) {
	t.Helper()
	i = built(t, 16<<10, func(w *owner) {
		for w.log.Head() < w.log.Start()+4 || w.log.Sizes().Used < 70<<10 {
			require.NoError(t, w.append(w.put(uint16(w.last%7)), w.put(9)))
			require.NoError(t, w.commit(w.log.End()))
		}
		w.log.Tick() // makes the spares
	})
	names, err := i.fs.List(dir)
	require.NoError(t, err)
	for _, name := range names {
		switch path := filepath.Join(dir, name); {
		case !strings.HasSuffix(name, ".aof"):
		case path <= segmentPath(i.head):
			used = append(used, path)
		default:
			spares = append(spares, path)
		}
	}
	require.Len(t, used, 5)
	require.NotEmpty(t, spares)
	return i, used, spares
}

// lastCommit returns the last batch with records.
func (i *image) lastCommit() (last place) {
	for _, b := range i.batches {
		if b.hasRecords {
			last = b
		}
	}
	return last
}

// judgeDamage says what is wrong with the way a damaged log is read. refuse says
// that the damage is before the last commit. at is the byte that was changed, if
// file is set.
func (i *image) judgeDamage(fs *memfs.FS, refuse bool, file string, at int64) error {
	var got records
	report, err := aof.Scan(fs, dir, got.visit)
	var corrupt *aof.CorruptError
	var version *aof.VersionError
	switch {
	case errors.As(err, &version):
		return nil
	case errors.As(err, &corrupt):
		if corrupt.File == "" || file != "" && (filepath.Base(corrupt.File) != filepath.Base(file) || corrupt.Offset > at) {
			return fmt.Errorf("it names the wrong place: %w", err)
		}
		return nil
	case err != nil:
		return err
	case refuse:
		return errors.New("it was not refused")
	case report.Torn == nil:
		return errors.New("it was silent")
	}
	before := i.batches[len(i.batches)-2].recs
	if len(got.list) < before || len(got.list) > len(i.recs) {
		return fmt.Errorf("%d records, not %d", len(got.list), before)
	}
	for n, r := range got.list {
		if r != i.recs[n] {
			return fmt.Errorf("record %d is another", n)
		}
	}
	return nil
}

// TestFlippedBits flips every bit of a log, one at a time: none goes unnoticed,
// and what comes before the last commit is refused.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	i, files, _ := segments(t)
	last := i.lastCommit()
	require.Equal(t, files[4], last.file)
	var cases, refused atomic.Int64
	t.Cleanup(func() { t.Logf("%d cases, %d of them before the last commit", cases.Load(), refused.Load()) })
	for n, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			fs := i.fs.CrashAll()
			data := fs.Bytes(file)
			step := scaled(1, 131)
			for bit := n; bit < len(data)*8; bit += step {
				at := int64(bit / 8)
				data[at] ^= 1 << (bit % 8)
				fs.SetBytes(file, data)
				refuse := n < 4 || at < last.offset
				if err := i.judgeDamage(fs, refuse, file, at); err != nil {
					require.NoError(t, err, "bit %d of byte %d of %s", bit%8, at, file)
				}
				data[at] ^= 1 << (bit % 8)
				if cases.Add(1); refuse {
					refused.Add(1)
				}
			}
		})
	}
}

// TestFlippedBitsOfSpares flips every bit of the segments that are not used yet:
// nothing is lost by that, or the log is refused.
func TestFlippedBitsOfSpares(t *testing.T) {
	t.Parallel()
	i, _, spares := segments(t)
	for _, file := range spares {
		fs := i.fs.CrashAll()
		data := fs.Bytes(file)
		for bit := 0; bit < len(data)*8; bit += scaled(1, 131) {
			data[bit/8] ^= 1 << (bit % 8)
			fs.SetBytes(file, data)
			var got records
			if _, err := aof.Scan(fs, dir, got.visit); err != nil {
				require.NoError(t, i.judgeDamage(fs, true, "", 0), "bit %d of byte %d", bit%8, bit/8)
			} else if !slices.Equal(i.recs, got.list) {
				require.Equal(t, i.recs, got.list, "bit %d of byte %d", bit%8, bit/8)
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// TestMisplacedSegments drops, swaps and duplicates each segment: each is
// refused, with the name of a file.
func TestMisplacedSegments(t *testing.T) {
	t.Parallel()
	i, files, spares := segments(t)
	all := append(slices.Clone(files), spares...)
	for n, file := range files {
		fs := i.fs.CrashAll()
		require.NoError(t, fs.Remove(file))
		require.NoError(t, i.judgeDamage(fs, true, "", 0), "without segment %d", n)
		for m := range all {
			if m == n {
				continue
			}
			fs := i.fs.CrashAll()
			fs.SetBytes(all[m], i.fs.Bytes(file))
			require.NoError(t, i.judgeDamage(fs, true, "", 0), "segment %d over %d", n, m)
			fs.SetBytes(file, i.fs.Bytes(all[m]))
			require.NoError(t, i.judgeDamage(fs, true, "", 0), "segments %d and %d swapped", n, m)
		}
		fs = i.fs.CrashAll()
		fs.SetBytes(segmentPath(i.head+uint32(len(spares))+1), i.fs.Bytes(file))
		require.NoError(t, i.judgeDamage(fs, true, "", 0), "segment %d twice", n)
	}
	fs := i.fs.CrashAll()
	for _, file := range append(spares, files[4]) {
		require.NoError(t, fs.Remove(file))
	}
	require.NoError(t, i.judgeDamage(fs, true, "", 0), "without the head and the spares")
}
