package disqueaof

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unpacked returns a file of testdata.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".gz")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(text)
}

// What Disque 1.0-rc1 wrote is read as it showed it itself. testdata/README.md says
// how that was made.
func TestReference(t *testing.T) {
	t.Parallel()
	for name, unlisted := range map[string]int{"killed": 100, "killed-b": 0, "stopped": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := read(unpacked(t, name+".aof"))
			require.NoError(t, err)
			require.Zero(t, l.Cut)
			listed := 0
			for line := range strings.Lines(unpacked(t, name+".manifest")) {
				if line[0] == '#' {
					continue
				}
				listed++
				f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
				j := l.Jobs[ID([]byte(f[0]))]
				require.NotNil(t, j, f[0])
				sum := sha256.Sum256(j.Body)
				require.Equal(t, []string{
					f[0], f[1], num(j.Replicate), num(j.Created), num(j.Delay), num(j.Retry), num(len(j.Body)), hex.EncodeToString(sum[:4]),
				}, []string{j.ID.String(), quoted(j.Queue), f[3], f[5], f[6], f[7], f[10], f[11]})
				expires, err := strconv.ParseInt(f[4], 10, 64)
				require.NoError(t, err)
				require.InDelta(t, expires, j.Expires, 2)
			}
			require.Len(t, l.Jobs, listed+unlisted)
		})
	}
}

func num[N int | uint16 | uint32 | uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

// quoted returns a queue's name as the manifests have it.
func quoted(name []byte) string {
	var b strings.Builder
	for _, c := range name {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			b.WriteString(`\x` + hex.EncodeToString([]byte{c}))
		} else {
			b.WriteByte(c)
		}
	}
	return `"` + b.String() + `"`
}
