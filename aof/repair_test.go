package aof_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// span is where a batch of one record stands.
type span struct {
	file     string
	from, to int64
	rec      string
}

// spans returns the batches of a log that hold a record.
func spans(t testing.TB, fs aof.FS, dir string) (all []span) {
	t.Helper()
	_, err := aof.Scan(fs, dir, func(b *aof.Batch) error {
		for rec := range b.Records {
			s := span{fmt.Sprintf("%010d.aof", b.Segment), b.Offset, b.Offset + aof.BatchHeader + (b.Bytes+7)&^7, string(rec)}
			all = append(all, s)
		}
		return nil
	})
	require.NoError(t, err)
	return all
}

// without returns the records but those of batches that hold one of the bytes.
func without(all []span, file string, offsets ...int64) (kept []string) {
	for _, s := range all {
		hit := slices.ContainsFunc(offsets, func(off int64) bool { return s.file == file && s.from <= off && off < s.to })
		if !hit {
			kept = append(kept, s.rec)
		}
	}
	return kept
}

// contents returns the segments in a directory.
func contents(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	m := map[string][]byte{}
	for _, name := range files(t, dir) {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		m[name] = raw
	}
	return m
}

// repaired repairs a log, checks what every repair must do, and returns what
// the new log holds.
func repaired(t testing.TB, o aof.Options) (*aof.Salvage, []string) {
	t.Helper()
	before := contents(t, o.Dir)
	plan, err := aof.Assess(o)
	require.NoError(t, err)
	require.NotEmpty(t, plan.Why)
	require.Equal(t, before, contents(t, o.Dir))

	s, err := aof.Repair(o)
	require.NoError(t, err)
	require.Regexp(t, `^damaged-[0-9]+$`, s.Aside)
	plan.Aside = s.Aside // by the second, which may be the next
	require.Equal(t, plan, s)
	require.Equal(t, before, contents(t, filepath.Join(o.Dir, s.Aside)))
	r, _ := scan(t, o.Dir)
	require.Empty(t, r.Stale)
	require.False(t, r.Clean)
	require.False(t, r.Always)
	require.Equal(t, s.Records, r.Records)
	l, _, got := open(t, o)
	commit(t, l, "on")
	require.NoError(t, l.Close())
	_, again := scan(t, o.Dir)
	require.Equal(t, append(slices.Clone(got), "on"), again)
	return s, got
}

// Whatever bytes are wrong, only the batches that they stand in are lost.
func TestRepairLosesDamagedBatchesOnly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 7))
			o := options(t)
			o.Now = func() int64 { return 5000 }
			kept(t, o, seed%3 == 0)
			all := spans(t, aof.OS(), o.Dir)
			file := all[rnd.IntN(len(all))].file
			var at []int64
			size := int64(len(contents(t, o.Dir)[file]))
			for range 1 + rnd.IntN(3) {
				at = append(at, rnd.Int64N(size))
			}
			change(t, o, file, func(b []byte) []byte {
				for _, off := range at {
					b[off] ^= byte(1 + rnd.IntN(255))
				}
				return b
			})
			s, got := repaired(t, o)
			require.Equal(t, without(all, file, at...), got)
			require.Equal(t, "damaged-5", s.Aside)
			require.NotEmpty(t, s.Damaged)
			for _, d := range s.Damaged {
				require.Equal(t, file, d.File)
				require.NotEmpty(t, d.Why)
				hit := slices.ContainsFunc(at, func(off int64) bool { return d.Offset <= off && off < d.Offset+d.Length })
				require.True(t, hit || d.Why == "the segment ends without a seal", "%+v", d)
			}
			require.False(t, s.Partial)
		})
	}
}

func TestRepairOfSegments(t *testing.T) {
	t.Parallel()
	path := func(o aof.Options, n int) string { return filepath.Join(o.Dir, fmt.Sprintf("%010d.aof", n)) }
	for what, c := range map[string]struct {
		spoil   func(t *testing.T, o aof.Options)
		lost    int // number of the segment that is lost
		missing []string
		torn    bool
	}{
		"missing": {func(t *testing.T, o aof.Options) { require.NoError(t, os.Remove(path(o, 3))) }, 3, []string{"0000000003.aof"}, false},
		"first missing": {
			func(t *testing.T, o aof.Options) { require.NoError(t, os.Remove(path(o, 1))) }, 1, []string{"0000000001.aof"}, false,
		},
		"emptied": {func(t *testing.T, o aof.Options) { require.NoError(t, os.Truncate(path(o, 3), 0)) }, 3, nil, false},
		"renamed": {func(t *testing.T, o aof.Options) { require.NoError(t, os.Rename(path(o, 3), path(o, 99))) }, 0, nil, false},
		"copied": {func(t *testing.T, o aof.Options) {
			raw, err := os.ReadFile(path(o, 2))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path(o, 99), raw, 0o600))
		}, 0, nil, false},
		"headers": {func(t *testing.T, o aof.Options) {
			for _, name := range files(t, o.Dir) {
				change(t, o, name, func(b []byte) []byte { b[9] ^= 1; return b })
			}
		}, 0, nil, false},
		"header": {func(t *testing.T, o aof.Options) { // with what the checksums of batches begin with
			change(t, o, filepath.Base(path(o, 3)), func(b []byte) []byte { clear(b[:aof.SegmentHeader]); return b })
		}, 0, nil, false},
		"zeros": {func(t *testing.T, o aof.Options) {
			change(t, o, filepath.Base(path(o, 2)), func(b []byte) []byte { clear(b); return b })
		}, 2, nil, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			kept(t, o, false)
			all := spans(t, aof.OS(), o.Dir)
			c.spoil(t, o)
			s, got := repaired(t, o)
			var want []string
			for _, b := range all {
				if b.file != filepath.Base(path(o, c.lost)) {
					want = append(want, b.rec)
				}
			}
			require.Equal(t, want, got)
			require.Equal(t, c.missing, s.Missing)
			require.Equal(t, c.torn, s.Torn)
			if c.lost == 2 || c.lost == 3 {
				require.Positive(t, s.Lost)
			}
		})
	}
}

// The header of a segment shares its sector with the first batches: those are
// lost with it, and no others.
func TestRepairOfALostSector(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 3; n++ {
		o := options(t)
		kept(t, o, false)
		all := spans(t, aof.OS(), o.Dir)
		name := fmt.Sprintf("%010d.aof", n)
		change(t, o, name, func(b []byte) []byte { clear(b[:512]); return b })
		_, got := repaired(t, o)
		var want []string
		for _, s := range all {
			if s.file != name || s.from >= 512 {
				want = append(want, s.rec)
			}
		}
		require.Less(t, len(want), len(all))
		require.Equal(t, want, got)
	}
}

// A torn end is mended by Open; Repair keeps what stands behind it.
func TestRepairOfTornEnd(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.SegmentSize, o.Policy = 64<<10, aof.No
	want := kept(t, o, false)
	all := spans(t, aof.OS(), o.Dir)
	third := all[len(all)-3]
	change(t, o, third.file, func(b []byte) []byte { b[third.from+50] ^= 1; return b })
	s, got := repaired(t, o)
	require.True(t, s.Torn)
	require.Equal(t, slices.Delete(slices.Clone(want), len(want)-3, len(want)-2), got)
	require.EqualValues(t, 1, s.Lost)
	require.Equal(t, []aof.Region{{
		File: third.file, Offset: third.from, Length: third.to - third.from, Why: "the checksum of the batch's records is wrong",
	}}, s.Damaged)
}

func TestRepairLeavesWholeLogsAlone(t *testing.T) {
	t.Parallel()
	for _, clean := range []bool{true, false} {
		o := options(t)
		want := kept(t, o, clean)
		before := contents(t, o.Dir)
		s, err := aof.Repair(o)
		require.NoError(t, err)
		require.Empty(t, s.Why)
		require.Equal(t, before, contents(t, o.Dir))
		require.Equal(t, len(want), s.Records)
	}
	o := options(t)
	kept(t, o, false)
	lock := filepath.Join(o.Dir, "lock")
	require.NoError(t, os.Remove(lock))
	_, err := aof.Assess(o)
	require.NoError(t, err)
	require.NoFileExists(t, lock)

	o = options(t)
	_, err = aof.Repair(o)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = aof.Assess(o)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoDirExists(t, o.Dir)
}

func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	commit(t, l, "one")
	_, err := aof.Assess(o)
	require.ErrorIs(t, err, aof.ErrLocked)
	_, err = aof.Repair(o)
	require.ErrorIs(t, err, aof.ErrLocked)
	require.NoError(t, l.Close())

	change(t, o, "0000000001.aof", func(b []byte) []byte { return aof.WithVersion(b, 9) })
	before := contents(t, o.Dir)
	var newer *aof.VersionError
	_, err = aof.Repair(o)
	require.ErrorAs(t, err, &newer)
	require.Equal(t, before, contents(t, o.Dir))
}

// What looks like a batch in the body of a job is none, also where the header
// of its own batch is damaged.
func TestRepairIsNotFooledByBodies(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.SegmentSize, o.Manual = 64<<10, true
	l, _, _ := open(t, o)
	commit(t, l, "first")
	first := spans(t, aof.OS(), o.Dir)[0]
	raw, err := os.ReadFile(filepath.Join(o.Dir, first.file))
	require.NoError(t, err)
	commit(t, l, string(raw[first.from:first.to]), "last")
	require.NoError(t, l.Close())
	body := spans(t, aof.OS(), o.Dir)[1]
	change(t, o, body.file, func(b []byte) []byte { b[body.from+4] ^= 1; return b })
	_, got := repaired(t, o)
	require.Equal(t, []string{"first", "last"}, got)
}

// spoilt returns a file system with a log of which a sealed segment is damaged,
// and the records that are left.
func spoilt(t testing.TB) (*memfs.FS, aof.Options, []string) {
	t.Helper()
	fs := memfs.New()
	o := aof.Options{FS: fs, Dir: "log", SegmentSize: 4096, Manual: true, Now: func() int64 { return 5000 }}
	l, _, err := aof.Open(o, nil)
	require.NoError(t, err)
	commit(t, l, names("x", 40)...)
	l.Abandon()
	all := spans(t, fs, o.Dir)
	hit := all[len(all)/2]
	raw := fs.Bytes(filepath.Join(o.Dir, hit.file))
	raw[hit.from+60] ^= 1
	fs.SetBytes(filepath.Join(o.Dir, hit.file), raw)
	return fs, o, without(all, hit.file, hit.from)
}

// Whenever the power fails, there is either the old log or the new one.
func TestRepairCrashHeader(t *testing.T) {
	crashing(t, true)
}

func TestRepairCrash(t *testing.T) {
	crashing(t, false)
}

func crashing(t *testing.T, header bool) {
	fs, o, want := spoilt(t)
	if header {
		fs = memfs.New()
		o.FS, o.SegmentSize = fs, 64<<10
		l, _, err := aof.Open(o, nil)
		require.NoError(t, err)
		want = names("x", 200)
		commit(t, l, want[:100]...)
		commit(t, l, want[100:]...)
		l.Abandon()
		spoil(fs, 20, 1)
		o.SegmentSize = 4096
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	var crashes []*memfs.FS
	var ops []string
	snap := func(what string) {
		for _, c := range []*memfs.FS{fs.CrashNone(), fs.CrashAll(), fs.CrashRandom(rnd), fs.CrashRandom(rnd), fs.CrashRandom(rnd)} {
			crashes, ops = append(crashes, c), append(ops, what)
		}
	}
	fs.OnOp(func(op memfs.Op) error { snap(op.String()); return nil })
	_, err := aof.Repair(o)
	require.NoError(t, err)
	fs.OnOp(nil)
	snap("the end")
	old, fresh := 0, 0
	for i, c := range crashes {
		o := o
		o.FS = c
		var got []string
		if _, err := aof.Scan(c, o.Dir, collect(&got)); err != nil {
			var corrupt *aof.CorruptError
			require.ErrorAs(t, err, &corrupt, ops[i])
			old++
			_, err := aof.Repair(o)
			require.NoError(t, err, ops[i])
		} else {
			fresh++
		}
		got = nil
		l, _, err := aof.Open(o, collect(&got))
		require.NoError(t, err, ops[i])
		l.Abandon()
		require.Equal(t, want, got, ops[i])
	}
	require.Greater(t, old, 20)
	require.Greater(t, fresh, 20)
}

// epochs returns a log of records old, beside which an epoch of records fresh
// was begun; if it was completed too, the old files were not removed yet.
func epochs(t testing.TB, complete bool) (fs *memfs.FS, o aof.Options, old, fresh []string) {
	t.Helper()
	fs = memfs.New()
	o = aof.Options{FS: fs, Dir: "log", SegmentSize: 4096, Manual: true}
	old, fresh = names("old", 30), names("fresh", 30)
	l, _, err := aof.Open(o, nil)
	require.NoError(t, err)
	commit(t, l, old...)
	require.NoError(t, l.Close())
	l, err = aof.Begin(o)
	require.NoError(t, err)
	commit(t, l, fresh...)
	if complete {
		left := fs
		fs.OnOp(func(op memfs.Op) error {
			if op.Kind == memfs.Remove && left == fs {
				left = fs.Clone()
			}
			return nil
		})
		require.NoError(t, l.Image())
		require.NotSame(t, left, fs)
		fs.OnOp(nil)
		fs, o.FS = left, left
	}
	l.Abandon()
	return fs, o, old, fresh
}

// spoil changes bytes of segments in memory.
func spoil(fs *memfs.FS, off int64, numbers ...int) {
	for _, n := range numbers {
		path := fmt.Sprintf("log/%010d.aof", n)
		raw := fs.Bytes(path)
		raw[off] ^= 1
		fs.SetBytes(path, raw)
	}
}

// mended repairs a log in memory and returns what it holds then.
func mended(t testing.TB, o aof.Options) (s *aof.Salvage, got []string) {
	t.Helper()
	s, err := aof.Repair(o)
	require.NoError(t, err)
	r, err := aof.Scan(o.FS, o.Dir, collect(&got))
	require.NoError(t, err)
	require.False(t, r.Empty)
	return s, got
}

// The newest epoch that is complete is the one that is kept, also where headers
// do not say which is which.
func TestRepairChoosesTheEpoch(t *testing.T) {
	t.Parallel()
	fs, o, old, _ := epochs(t, false)
	spoil(fs, 20, 2)
	s, got := mended(t, o)
	require.Equal(t, old, got)
	require.False(t, s.Partial)

	fs, o, _, fresh := epochs(t, true)
	r, err := aof.Scan(fs, o.Dir, nil)
	require.NoError(t, err)
	for _, seg := range r.Segments[:len(r.Segments)-1] { // one header is left to say what all say
		spoil(fs, 20, int(seg.Number))
	}
	s, got = mended(t, o)
	require.Equal(t, fresh, got)
	require.Equal(t, r.Epoch, s.Epoch)

	fs, o, _, fresh = epochs(t, true)
	spoil(fs, 20, int(r.Segments[1].Number))
	_, got = mended(t, o)
	require.Equal(t, fresh, got)

	fs, o, _, fresh = epochs(t, false)
	for n := 1; n < int(r.Segments[0].Number); n++ {
		require.NoError(t, fs.Remove(fmt.Sprintf("log/%010d.aof", n)))
	}
	spoil(fs, 20, int(r.Segments[1].Number))
	s, got = mended(t, o)
	require.True(t, s.Partial)
	require.Equal(t, fresh, got)
}

// What was switched off stays so.
func TestRepairOfALogThatIsOff(t *testing.T) {
	t.Parallel()
	fs := memfs.New()
	o := aof.Options{FS: fs, Dir: "log", SegmentSize: 64 << 10, Manual: true}
	l, _, err := aof.Open(o, nil)
	require.NoError(t, err)
	commit(t, l, "old")
	left := fs
	fs.OnOp(func(op memfs.Op) error {
		if op.Kind == memfs.Remove && left == fs {
			left = fs.Clone()
		}
		return nil
	})
	require.NoError(t, l.Off())
	fs.OnOp(nil)
	require.NotSame(t, left, fs)
	o.FS = left
	spoil(left, 4000, 1)
	s, err := aof.Repair(o)
	require.NoError(t, err)
	require.True(t, s.Off)
	require.Zero(t, s.Records)
	r, err := aof.Scan(left, o.Dir, nil)
	require.NoError(t, err)
	require.Zero(t, r.Records)
}

// Without space for both logs the old one stays, and nothing beside it.
func TestRepairOnFullDisk(t *testing.T) {
	t.Parallel()
	for extra := int64(0); extra < 14; extra += 3 {
		fs, o, want := spoilt(t)
		before, err := fs.List(o.Dir)
		require.NoError(t, err)
		fs.SetCapacity(fs.Used() + extra*1024)
		var full *aof.FullError
		_, err = aof.Repair(o)
		require.ErrorAs(t, err, &full)
		after, err := fs.List(o.Dir)
		require.NoError(t, err)
		require.Equal(t, before, slices.DeleteFunc(after, func(n string) bool { return n == "damaged-5" }))

		fs.SetCapacity(0)
		s, err := aof.Repair(o)
		require.NoError(t, err)
		var got []string
		_, err = aof.Scan(fs, o.Dir, collect(&got))
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Contains(t, s.Aside, "damaged-")
	}
}

func TestHeaderDamageBesideABegunEpoch(t *testing.T) {
	fs := memfs.New()
	o := aof.Options{FS: fs, Dir: "log", SegmentSize: 64 << 10, Manual: true}
	l, _, err := aof.Open(o, nil)
	require.NoError(t, err)
	commit(t, l, names("old", 30)...)
	l.Abandon()
	spoil(fs, 20, 1)
	_, err = aof.Scan(fs, o.Dir, nil)
	require.Error(t, err, "without a begun epoch")
	l, err = aof.Begin(o)
	require.NoError(t, err)
	commit(t, l, "a part of an image")
	l.Abandon()
	r, err := aof.Scan(fs, o.Dir, nil)
	t.Logf("%+v", r)
	require.Error(t, err, "with one")
}

func TestAlwaysAfterAWeakerPolicy(t *testing.T) {
	fs := memfs.New()
	o := aof.Options{FS: fs, Dir: "log", SegmentSize: 64 << 10, Manual: true, Policy: aof.No}
	l, _, err := aof.Open(o, nil)
	require.NoError(t, err)
	commit(t, l, names("old", 30)...)
	l.Abandon()
	r, err := aof.Scan(fs, o.Dir, nil)
	require.NoError(t, err)
	require.False(t, r.Always)
	o.Policy = aof.Always
	l, _, err = aof.Open(o, nil)
	require.NoError(t, err)
	l.Abandon()
	r, err = aof.Scan(fs.CrashNone(), o.Dir, nil)
	require.NoError(t, err)
	require.False(t, r.Always, "nothing was appended under Always")
}
