package memfs

import (
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// states returns what every possible crash leaves, each described by show, in
// any order: it counts through all the choices.
func states(f *FS, show func(*FS) string) map[string]int {
	found := map[string]int{}
	var digits, bases []int
	for {
		i := 0
		c := f.Crash(func(u Unit) int {
			if i == len(digits) {
				digits, bases = append(digits, 0), append(bases, u.N)
			}
			i++
			return digits[i-1]
		})
		found[show(c)]++
		for i = 0; i < len(digits); i++ {
			if digits[i]++; digits[i] < bases[i] {
				break
			}
			digits[i] = 0
		}
		if i == len(digits) {
			return found
		}
	}
}

// names lists a directory.
func names(f *FS) string {
	list, err := f.List("d")
	if err != nil {
		return err.Error()
	}
	return strings.Join(list, " ")
}

func TestSyncedSurvives(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", "hello")
	require.Equal(t, "", names(f.CrashNone()), "no entry without SyncDir")
	require.NoError(t, file.Sync())
	require.Equal(t, "", names(f.CrashNone()), "a file's sync does not make its name durable")
	require.NoError(t, f.SyncDir("d"))
	require.Equal(t, "hello", string(f.CrashNone().Bytes("d/a")))
	write(t, file, "HELLO, and more", 0)
	require.Equal(t, "hello", string(f.CrashNone().Bytes("d/a")))
	require.Equal(t, "HELLO, and more", string(f.CrashAll().Bytes("d/a")))
	require.Equal(t, "HELLO, and more", string(f.Bytes("d/a")), "a crash is of the clone")
}

func TestEntryWithoutContents(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	create(t, f, "d/a", "hello")
	require.NoError(t, f.SyncDir("d"))
	require.Equal(t, "a", names(f.CrashNone()))
	require.Empty(t, f.CrashNone().Bytes("d/a"))
	require.Equal(t, map[string]int{"": 2, "hello": 1, "\x00\x00\x00\x00\x00": 1},
		states(f, func(c *FS) string { return string(c.Bytes("d/a")) }))
}

func TestRemovedReappears(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", "hello")
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	require.NoError(t, f.Remove("d/a"))
	require.Equal(t, "hello", string(f.CrashNone().Bytes("d/a")))
	require.Nil(t, f.CrashAll().Bytes("d/a"))
	require.NoError(t, f.SyncDir("d"))
	require.Nil(t, f.CrashNone().Bytes("d/a"))
}

func TestEntriesAreIndependent(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	create(t, f, "d/a", "")
	create(t, f, "d/b", "")
	require.NoError(t, f.SyncDir("d"))
	require.NoError(t, f.Remove("d/a"))
	require.NoError(t, f.Rename("d/b", "d/c"))
	create(t, f, "d/e", "")
	require.Equal(t, map[string]int{
		"a b": 1, "a b e": 1, "a c": 1, "a c e": 1, "b": 1, "b e": 1, "c": 1, "c e": 1,
	}, states(f, names))
}

func TestRenameAcrossDirectories(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	require.NoError(t, f.MkdirAll("e"))
	file := create(t, f, "d/a", "x")
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	require.NoError(t, f.Rename("d/a", "e/a"))
	both := func(c *FS) string { return string(c.Bytes("d/a")) + "|" + string(c.Bytes("e/a")) }
	require.Equal(t, map[string]int{"x|": 1, "x|x": 1, "|x": 1, "|": 1}, states(f, both))
	require.NoError(t, f.SyncDir("e"))
	require.Equal(t, map[string]int{"x|x": 1, "|x": 1}, states(f, both))
	twice := f.CrashNone()
	file, err := twice.Open("d/a", true)
	require.NoError(t, err)
	write(t, file, "y", 0)
	require.Equal(t, "y|y", both(twice), "two names, one file")
	require.Equal(t, "y|y", both(twice.Kill()))
}

func TestSectorsAreIndependent(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", strings.Repeat("0", 1024))
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	write(t, file, strings.Repeat("1", 1024), 0)
	write(t, file, strings.Repeat("2", 100), 0)
	got := states(f, func(c *FS) string {
		data := c.Bytes("d/a")
		return string([]byte{data[0], data[511], data[512], data[1023]})
	})
	require.Equal(t, map[string]int{"0000": 1, "0011": 1, "1100": 1, "1111": 1, "2100": 1, "2111": 1}, got)
}

func TestSizesAreIndependent(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", "0123456789")
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	require.NoError(t, file.Truncate(5))
	require.NoError(t, file.Allocate(7))
	require.Equal(t, map[string]int{
		"0123456789": 1, "01234": 2, "0123456": 1,
		"01234\x00\x00\x00\x00\x00": 1, "01234\x00\x00": 1,
	}, states(f, func(c *FS) string { return string(c.Bytes("d/a")) }))
	require.NoError(t, file.Sync())
	require.Equal(t, "01234\x00\x00", string(f.CrashNone().Bytes("d/a")))
}

func TestTruncatedSectorsReadZeros(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", strings.Repeat("x", 2000))
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	require.NoError(t, file.Truncate(0))
	require.NoError(t, file.Allocate(2000))
	require.Equal(t, string(make([]byte, 2000)), string(f.Bytes("d/a")))
	require.Equal(t, f.Bytes("d/a"), f.CrashAll().Bytes("d/a"))
	require.Equal(t, strings.Repeat("x", 2000), string(f.CrashNone().Bytes("d/a")))
}

func TestClonesAreIndependent(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	f.SetBytes("d/a", []byte(strings.Repeat("x", 2000)))
	c := f.CrashAll()
	for _, one := range []*FS{f, c} {
		file, err := one.Open("d/a", true)
		require.NoError(t, err)
		other := map[*FS]*FS{f: c, c: f}[one]
		before := other.Bytes("d/a")
		write(t, file, "changed", 600)
		require.NoError(t, file.Truncate(1000))
		require.NoError(t, file.Allocate(3000))
		require.Equal(t, before, other.Bytes("d/a"))
	}
}

func TestCrashRandomIsSeeded(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	file := create(t, f, "d/a", strings.Repeat("0", 20*sectorSize))
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	write(t, file, strings.Repeat("1", 20*sectorSize), 0)
	distinct := map[string]bool{}
	for seed := range uint64(50) {
		one := f.CrashRandom(rand.New(rand.NewPCG(seed, 1))).Bytes("d/a")
		require.Equal(t, one, f.CrashRandom(rand.New(rand.NewPCG(seed, 1))).Bytes("d/a"))
		distinct[string(one)] = true
	}
	require.Greater(t, len(distinct), 30)
}

// BenchmarkCrash is the clone that the crash tests make 40,000 times.
func BenchmarkCrash(b *testing.B) {
	f := New()
	if err := f.MkdirAll("d"); err != nil {
		b.Fatal(err)
	}
	for name := range 10 {
		f.SetBytes("d/"+string(rune('a'+name)), make([]byte, 64<<10))
	}
	file, err := f.Open("d/j", true)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := file.WriteAt(make([]byte, 5000), 100); err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for b.Loop() {
		f.CrashRandom(rng)
	}
}

// TestLink has two names for one file: each is durable by its own directory's
// sync, the contents by the file's, whatever it was called when it was written.
func TestLink(t *testing.T) {
	t.Parallel()
	f := newDir(t)
	require.NoError(t, f.MkdirAll("e"))
	file := create(t, f, "d/a", "x")
	require.NoError(t, file.Sync())
	require.NoError(t, f.SyncDir("d"))
	require.ErrorIs(t, f.Link("d/b", "e/a"), fs.ErrNotExist)
	require.ErrorIs(t, f.Link("d/a", "g/a"), fs.ErrNotExist)
	require.ErrorIs(t, f.Link("d/a", "d/a"), fs.ErrExist)
	require.NoError(t, f.Link("d/a", "e/a"))
	require.EqualValues(t, 512, f.Used(), "it takes its space once")
	both := func(c *FS) string { return string(c.Bytes("d/a")) + "|" + string(c.Bytes("e/a")) }
	require.Equal(t, map[string]int{"x|": 1, "x|x": 1}, states(f, both))
	require.NoError(t, f.SyncDir("e"))
	require.Equal(t, map[string]int{"x|x": 1}, states(f, both))

	write(t, file, "y", 0)
	require.Equal(t, "y|y", both(f))
	require.Equal(t, map[string]int{"x|x": 1, "y|y": 1}, states(f, both))
	again, err := f.Open("e/a", true)
	require.NoError(t, err)
	require.NoError(t, again.Sync())
	require.Equal(t, map[string]int{"y|y": 1}, states(f, both))

	require.NoError(t, f.Rename("d/a", "e/a"))
	require.Equal(t, "y|y", both(f), "two names of one file stay")
	require.NoError(t, f.Remove("d/a"))
	require.NoError(t, f.SyncDir("d"))
	require.Equal(t, map[string]int{"|y": 1}, states(f, both))
	require.EqualValues(t, 512, f.Used())
}
