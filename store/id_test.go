package store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHash16Vectors(t *testing.T) {
	t.Parallel()
	// Part of the protocol: a node that computes others cannot join.
	for name, want := range map[string]uint16{
		"": 0x0000, "a": 0x82e0, "mail": 0xf6c6, "123456789": 0x7185, "bin\x00q": 0x92ae,
	} {
		require.Equal(t, want, Hash16([]byte(name)), "%q", name)
	}
}

func TestIDText(t *testing.T) {
	t.Parallel()
	node := [4]byte{0xde, 0xad, 0xbe, 0xef}
	for _, c := range []struct {
		ttl  uint32
		once bool
		tag  string
	}{
		{86400, false, "05a1"}, {86400, true, "05a0"}, {1, false, "0001"}, {1, true, "0000"},
		{3600, false, "003d"}, {65535, false, "0445"}, {2e9, false, "ffff"}, {2e9, true, "fffe"},
	} {
		id := NewID(Hash16([]byte("mail")), [2]uint64{0x0123456789abcdef, 42}, node, c.ttl, c.once)
		text := id.String()
		require.Len(t, text, IDLen)
		require.Equal(t, "D-deadbeef-", text[:11])
		require.Equal(t, "-"+c.tag, text[35:])
		require.Equal(t, c.once, id.AtMostOnce())
		require.Equal(t, Hash16([]byte("mail")), id.Hash())
		back, ok, err := ParseID([]byte(text))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, id, back)
	}
}

func TestParseIDShapes(t *testing.T) {
	t.Parallel()
	good := "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"
	for _, bad := range []string{"", "bad", good[:39], good + "x", "d" + good[1:], strings.Replace(good, "A-05", "A_05", 1), "D_" + good[2:]} {
		_, ok, err := ParseID([]byte(bad))
		require.ErrorIs(t, err, ErrBadID, bad)
		require.False(t, ok)
	}
	// The right shape, but nobody's: unknown rather than wrong.
	for _, odd := range []string{
		good[:36] + "zzzz", good[:36] + "05A1", "D-0000000G" + good[10:], "D-ABCDEF00" + good[10:],
		good[:11] + "\n" + good[12:], good[:11] + "=" + good[12:],
	} {
		_, ok, err := ParseID([]byte(odd))
		require.NoError(t, err, odd)
		require.False(t, ok, odd)
	}
}

func FuzzID(f *testing.F) {
	f.Add([]byte("D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"))
	f.Add([]byte("D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-zzzz"))
	f.Add([]byte("bad"))
	f.Fuzz(func(t *testing.T, text []byte) {
		id, ok, err := ParseID(text)
		if ok {
			require.NoError(t, err)
			require.Equal(t, string(text), id.String())
		}
	})
}
