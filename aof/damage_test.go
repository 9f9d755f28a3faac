package aof_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
)

// kept writes a log of a few segments and returns its records, left as after a
// kill unless it is closed.
func kept(t testing.TB, o aof.Options, clean bool) []string {
	t.Helper()
	o.Manual = true
	l, _, _ := open(t, o)
	want := names("x", 50)
	commit(t, l, want...)
	if clean {
		require.NoError(t, l.Close())
	}
	l.Abandon()
	return want
}

// change rewrites a segment.
func change(t testing.TB, o aof.Options, name string, f func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(o.Dir, name)
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, f(raw), 0o600))
}

// last returns the log's head, of which the last batch is the n-th record from
// the end, and where that batch begins.
func last(t testing.TB, o aof.Options) (name string, offset int64) {
	t.Helper()
	_, err := aof.Scan(aof.OS(), o.Dir, func(b *aof.Batch) error {
		name, offset = "", b.Offset
		return nil
	})
	require.NoError(t, err)
	r, _ := scan(t, o.Dir)
	for _, s := range r.Segments {
		if !s.Spare {
			name = s.Name
		}
	}
	return name, offset
}

func TestTornEnd(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(b []byte, at int64) []byte{
		"flip":     func(b []byte, at int64) []byte { b[at+60] ^= 1; return b },
		"header":   func(b []byte, at int64) []byte { b[at+20] ^= 1; return b },
		"magic":    func(b []byte, at int64) []byte { b[at] ^= 1; return b },
		"cut":      func(b []byte, at int64) []byte { return b[:at+55] },
		"cut here": func(b []byte, at int64) []byte { return b[:at+7] },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			want := kept(t, o, false)
			name, at := last(t, o)
			change(t, o, name, func(b []byte) []byte { return spoil(b, at) })

			r, got := scan(t, o.Dir)
			require.Equal(t, want[:len(want)-1], got)
			require.NotNil(t, r.Torn)
			require.Equal(t, name, r.Torn.File)
			require.Equal(t, at, r.Torn.Offset)
			require.False(t, r.Clean)

			var torn *aof.TornError
			o.RefuseTorn = true
			_, _, err := aof.Open(o, func(*aof.Batch) error { return errors.New("visited") })
			require.ErrorAs(t, err, &torn)
			o.RefuseTorn = false
			l, r, got := open(t, o)
			require.Equal(t, want[:len(want)-1], got)
			require.NotNil(t, r.Torn)
			commit(t, l, "on")
			l.Abandon()
			r, got = scan(t, o.Dir)
			require.Nil(t, r.Torn)
			require.Equal(t, append(want[:len(want)-1:len(want)-1], "on"), got)
		})
	}
}

func TestCorruption(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(t *testing.T, o aof.Options){
		"sealed":         func(t *testing.T, o aof.Options) { flip(t, o, "0000000002.aof", 500) },
		"zeros":          func(t *testing.T, o aof.Options) { flip(t, o, "0000000002.aof", -1) },
		"segment header": func(t *testing.T, o aof.Options) { flip(t, o, "0000000002.aof", 20) },
		"first batch":    func(t *testing.T, o aof.Options) { flip(t, o, "0000000001.aof", 70) },
		"head's header": func(t *testing.T, o aof.Options) {
			name, _ := last(t, o)
			flip(t, o, name, 33)
		},
		"head, before what was synced": func(t *testing.T, o aof.Options) {
			name, _ := last(t, o)
			flip(t, o, name, 100)
		},
		"missing": func(t *testing.T, o aof.Options) {
			require.NoError(t, os.Remove(filepath.Join(o.Dir, "0000000002.aof")))
		},
		"missing first": func(t *testing.T, o aof.Options) {
			require.NoError(t, os.Remove(filepath.Join(o.Dir, "0000000001.aof")))
		},
		"missing head": func(t *testing.T, o aof.Options) {
			name, _ := last(t, o)
			require.NoError(t, os.Remove(filepath.Join(o.Dir, name)))
		},
		"swapped": func(t *testing.T, o aof.Options) {
			a, b := filepath.Join(o.Dir, "0000000001.aof"), filepath.Join(o.Dir, "0000000002.aof")
			require.NoError(t, os.Rename(a, a+"x"))
			require.NoError(t, os.Rename(b, a))
			require.NoError(t, os.Rename(a+"x", b))
		},
		"duplicate": func(t *testing.T, o aof.Options) {
			raw, err := os.ReadFile(filepath.Join(o.Dir, "0000000002.aof"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "0000000003.aof"), raw, 0o600))
		},
		"truncated": func(t *testing.T, o aof.Options) {
			change(t, o, "0000000001.aof", func(b []byte) []byte { return b[:2000] })
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			kept(t, o, false)
			spoil(t, o)
			before := files(t, o.Dir)
			var corrupt *aof.CorruptError
			_, err := aof.Scan(aof.OS(), o.Dir, nil)
			require.ErrorAs(t, err, &corrupt)
			require.NotEmpty(t, corrupt.File)
			require.NotEmpty(t, corrupt.Why)
			require.NotEmpty(t, corrupt.Lost)
			_, r, err := aof.Open(o, nil)
			require.ErrorAs(t, err, &corrupt)
			require.NotNil(t, r)
			require.Equal(t, before, files(t, o.Dir), "nothing is changed")
		})
	}
}

// flip changes a bit of a segment; -1 is its last byte.
func flip(t testing.TB, o aof.Options, name string, at int) {
	t.Helper()
	change(t, o, name, func(b []byte) []byte {
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 0x10
		return b
	})
}

func TestDamageAfterClose(t *testing.T) {
	t.Parallel()
	o := options(t)
	want := kept(t, o, true)
	name, at := last(t, o)
	raw, err := os.ReadFile(filepath.Join(o.Dir, name))
	require.NoError(t, err)
	var corrupt *aof.CorruptError
	for _, off := range []int64{at + 200, at - 10, 100} {
		change(t, o, name, func([]byte) []byte { b := bytes.Clone(raw); b[off] ^= 1; return b })
		_, err = aof.Scan(aof.OS(), o.Dir, nil)
		require.ErrorAs(t, err, &corrupt, "offset %d", off)
	}
	// A seal that was torn when the log was opened again.
	change(t, o, name, func([]byte) []byte { b := bytes.Clone(raw); b[at+aof.BatchHeader] = 1; return b })
	r, got := scan(t, o.Dir)
	require.Equal(t, want, got)
	require.NotNil(t, r.Torn)
}

func TestDamagedSpare(t *testing.T) {
	t.Parallel()
	o := options(t)
	l, _, _ := open(t, o)
	want := []string{"x"}
	commit(t, l, "x")
	require.Eventually(t, func() bool { return l.Sizes().Files == 3 }, waiting, tick)
	l.Abandon()
	for _, spoil := range []func([]byte) []byte{
		func(b []byte) []byte { b[9] ^= 1; return b },
		func([]byte) []byte { return nil },
		func(b []byte) []byte { return b[:70] },
	} {
		names := files(t, o.Dir)
		spare := names[len(names)-1]
		change(t, o, spare, spoil)
		l, _, got := open(t, o)
		require.Equal(t, want, got)
		require.Eventually(t, func() bool { return l.Sizes().Files == len(names) }, waiting, tick)
		commit(t, l, "more")
		want = append(want, "more")
		l.Abandon()
	}
}

func TestNewerVersion(t *testing.T) {
	t.Parallel()
	o := options(t)
	kept(t, o, false)
	change(t, o, "0000000002.aof", func(b []byte) []byte { return aof.WithVersion(b, 7) })
	_, err := aof.Scan(aof.OS(), o.Dir, nil)
	require.Equal(t, &aof.VersionError{File: "0000000002.aof", Found: 7, Known: 1}, err)
	require.ErrorContains(t, err, "newer")
	_, err = aof.Begin(o)
	require.ErrorContains(t, err, "newer")
}

func TestVisitorsError(t *testing.T) {
	t.Parallel()
	o := options(t)
	kept(t, o, false)
	stop := errors.New("stop")
	_, _, err := aof.Open(o, func(*aof.Batch) error { return stop })
	require.ErrorIs(t, err, stop)
	var done, total int64
	_, err = aof.Scan(aof.OS(), o.Dir, func(b *aof.Batch) error {
		require.Greater(t, b.Done, done)
		done, total = b.Done, b.Total
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, total, done)
}
