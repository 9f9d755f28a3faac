package aof_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// oneFile is a directory with one segment in memory, to be read only.
type oneFile struct {
	aof.FS
	name string
	data []byte
}

func (f *oneFile) List(string) ([]string, error)       { return []string{f.name}, nil }
func (f *oneFile) Open(string, bool) (aof.File, error) { return &memFile{data: f.data}, nil }
func (f *oneFile) Create(string) (aof.File, error)     { return nil, fs.ErrPermission }
func (f *memFile) Size() (int64, error)                { return int64(len(f.data)), nil }
func (f *memFile) Close() error                        { return nil }
func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	n := copy(b, f.data[min(off, int64(len(f.data))):])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

type memFile struct {
	aof.File
	data []byte
}

// FuzzScan reads any bytes as a segment: no panic, no memory beyond that of
// the input and a little, and an error is one of those that Scan documents.
func FuzzScan(f *testing.F) {
	o := aof.Options{Dir: f.TempDir(), SegmentSize: 4096, Manual: true, Now: func() int64 { return 1 }}
	l, _, err := aof.Open(o, nil)
	require.NoError(f, err)
	commit(f, l, "one", "two", names("x", 1)[0])
	f.Add(segment(f, o.Dir), true)
	require.NoError(f, l.Close())
	f.Add(segment(f, o.Dir), true)
	f.Add([]byte{}, false)
	f.Add(segment(f, o.Dir)[:100], false)
	f.Fuzz(func(t *testing.T, data []byte, heal bool) {
		if heal && len(data) >= aof.SegmentHeader {
			aof.Heal(data) // so that what is behind the checksums is tried, too
		}
		var before, after runtime.MemStats
		records, size := 0, 0
		runtime.ReadMemStats(&before)
		r, err := aof.Scan(&oneFile{name: "0000000001.aof", data: data}, "dir", func(b *aof.Batch) error {
			for rec := range b.Records {
				records++
				size += len(rec)
			}
			return nil
		})
		runtime.ReadMemStats(&after)
		if most := uint64(len(data) + 64<<10); after.TotalAlloc-before.TotalAlloc > most {
			t.Fatalf("allocated %d bytes for %d", after.TotalAlloc-before.TotalAlloc, len(data))
		}
		require.LessOrEqual(t, size, len(data))
		var corrupt *aof.CorruptError
		var version *aof.VersionError
		if err != nil {
			require.True(t, errors.As(err, &corrupt) || errors.As(err, &version), "%v", err)
			return
		}
		require.Equal(t, records, r.Records)
	})
}

// segment returns the first segment in a directory, without the zeros at its
// end.
func segment(t testing.TB, dir string) []byte {
	raw, err := os.ReadFile(filepath.Join(dir, "0000000001.aof"))
	require.NoError(t, err)
	return bytes.TrimRight(raw, "\x00")
}

// FuzzRecord reads any bytes as records: what is accepted is what would be
// written.
func FuzzRecord(f *testing.F) {
	f.Add(aof.AppendRecord(aof.AppendRecord(nil, []byte("one")), nil))
	f.Add([]byte{0, 0, 0, 0, 1, 2, 3, 4})
	f.Add([]byte{255, 255, 255, 255, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		again, ok := aof.CutRecord(aof.AppendRecord(nil, data))
		require.True(t, ok)
		require.Equal(t, string(data), string(again))
		for rest := data; len(rest) > 0; {
			rec, ok := aof.CutRecord(rest)
			if !ok {
				return
			}
			n := len(rec) + aof.RecordOverhead
			require.Equal(t, rest[:n], aof.AppendRecord(nil, rec))
			rest = rest[n:]
		}
	})
}
