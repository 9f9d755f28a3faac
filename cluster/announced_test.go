package cluster

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// words makes a map of MessagePack.
func words(typ byte, pairs ...any) []byte {
	b := []byte{typ, 0x80 | byte(len(pairs)/2)}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			b = append(append(b, 0xa0|byte(len(p))), p...)
		case bool:
			b = append(b, 0xc3)
		case int:
			b = binary.BigEndian.AppendUint64(append(b, 0xcf), uint64(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func TestAnnouncedIsBounded(t *testing.T) {
	t.Parallel()
	label := append([]byte{byteLabelled, 255}, strings.Repeat("x", 255)...)
	nodes := func(n, user int) []byte { return words(typeState, "Nodes", n, "UserStateLen", user, "Join", true) }
	for name, c := range map[string]struct {
		head []byte
		want string // part of the error
	}{
		"a ping":             {words(0, "SeqNo", 7), ""},
		"encrypted":          {[]byte{10, 255, 255, 255, 255}, ""},
		"a message":          {words(typeUser, "UserMsgLen", 61), ""},
		"in one byte":        {words(typeUser, "UserMsgLen", []byte{61}), ""},
		"in two":             {words(typeUser, "UserMsgLen", []byte{0xcc, 61}), ""},
		"signed":             {words(typeUser, "UserMsgLen", []byte{0xd1, 0, 61}), ""},
		"states":             {nodes(membersMax+1, 0), ""},
		"a long message":     {words(typeUser, "UserMsgLen", userBytesMax+1), "announces UserMsgLen 4097"},
		"in five bytes":      {words(typeUser, "UserMsgLen", []byte{0xce, 1, 0, 0, 0}), "announces UserMsgLen 16777216"},
		"many states":        {nodes(membersMax+2, 0), "announces Nodes 4098"},
		"state of the user":  {nodes(1, 1), "announces UserStateLen 1"},
		"compressed":         {[]byte{typeCompressed}, "compressed"},
		"a longer head":      {words(typeUser, "UserMsgLen", 1, "More", 1), "cannot be read"},
		"twice":              {words(typeUser, "UserMsgLen", 1, "UserMsgLen", 1<<20), "announces UserMsgLen"},
		"no map":             {[]byte{typeUser, 0x91, 61}, "cannot be read"},
		"a large map":        {[]byte{typeUser, 0xde, 0, 1}, "cannot be read"},
		"a key of no text":   {[]byte{typeUser, 0x81, 1, 1}, "cannot be read"},
		"a number of text":   {words(typeUser, "UserMsgLen", "61"), "cannot be read"},
		"nothing":            {nil, "EOF"},
		"half":               {words(typeUser, "UserMsgLen", 1)[:5], "EOF"},
		"a number cut short": {words(typeUser, "UserMsgLen", []byte{0xcf, 1}), "EOF"},
	} {
		for _, head := range [][]byte{c.head, append(bytes.Clone(label), c.head...)} {
			r := bufio.NewReaderSize(bytes.NewReader(head), headBytesMax)
			if err := look(r); c.want == "" {
				require.NoError(t, err, name)
			} else {
				require.ErrorContains(t, err, c.want, name)
			}
			all, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(head, all), "it is still to be read")
		}
	}
}

func TestPackedPackets(t *testing.T) {
	t.Parallel()
	parts := func(all ...string) string {
		b := []byte{typeCompound, byte(len(all))}
		for _, p := range all {
			b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		}
		return string(b) + strings.Join(all, "")
	}
	for packet, want := range map[string]bool{
		"":                              false,
		"\x04alive":                     false,
		"\x09":                          true,
		"\x09bomb":                      true,
		parts("\x04one", "", "\x09"):    true,
		parts("\x04one", "\x03two"):     false,
		parts("\x04one", "\x09bomb"):    true,
		parts("\x04one", parts("\x04")): true,
		parts("", "\x04"):               false,
		"\x07":                          false,
		"\x07\xff":                      false,
		"\x07\xff\x00":                  false,
		"\x07\x02\x00\x00\x00\x09\x09":  true,
		"\x07\x01\xff\xff\x09":          true,
	} {
		for _, head := range []string{"", "\xf4\x03abc", "\x0c1234", "\xf4\x01a\x0c1234"} {
			require.Equal(t, want, packed([]byte(head+packet)), "%q%q", head, packet)
		}
	}
	require.False(t, packed([]byte{byteLabelled}))
	require.False(t, packed([]byte{byteLabelled, 200, 9}))
}
