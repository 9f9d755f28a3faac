package resp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzLimits are within reach of a fuzzer.
func fuzzLimits(stranger bool) Limits {
	return Limits{
		MaxArgs: 8, MaxBulk: 64, MaxInline: 128, MaxCommand: 200,
		Unauthenticated: stranger, UnauthArgs: 3, UnauthBulk: 16,
	}
}

// FuzzFrame: whatever comes in and however it is cut, the decoder says what the reference says.
func FuzzFrame(f *testing.F) {
	for _, attack := range attacks {
		if len(attack.in) < 1000 {
			f.Add([]byte("PING\n"+attack.in), uint64(1), false)
		}
	}
	f.Add([]byte(mixed()), uint64(2), false)
	f.Add([]byte(multibulk("AUTH", "u", "p")+"a b c d\n"), uint64(3), true)
	f.Add([]byte(multibulk("A", "0123456789012345678901234567890123456789012345678901234567890123456789", "")+"B\n"), uint64(4), false)
	f.Fuzz(func(t *testing.T, in []byte, seed uint64, stranger bool) {
		lim := fuzzLimits(stranger)
		want, partial := reference(in, &lim)
		fed := newFeeder(t, lim)
		feedPieces(fed, string(in), seed)
		require.Equal(t, want, fed.events)
		require.Equal(t, partial, fed.d.Partial())
		require.LessOrEqual(t, fed.peak, lim.bufferMost())
		if !partial {
			require.Zero(t, fed.d.Buffered())
		}
	})
}

// FuzzInline: the splitter agrees with the reference, keeps its words within the line and what it was told to keep.
func FuzzInline(f *testing.F) {
	for _, line := range []string{"", "PING", `"a\x41\"" 'b\'c' d`, `"a"b`, `pre"fix" `, `"" ''`, "\v\f\x00", `'\\' \`, `"\x4"`} {
		f.Add([]byte(line), 3)
	}
	f.Fuzz(func(t *testing.T, line []byte, most int) {
		most = max(0, min(most, 10))
		want, balanced := refWords(string(line))
		words, n, ok := split(nil, line, most)
		require.Equal(t, balanced, ok)
		if !ok {
			return
		}
		require.Len(t, want, n)
		require.Equal(t, want[:min(n, most)], append(want[:0:0], toStrings(words)...))
		total := 0
		for _, word := range words {
			require.NotEmpty(t, word)
			total += len(word)
		}
		require.LessOrEqual(t, total, len(line))
	})
}
