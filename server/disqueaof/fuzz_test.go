package disqueaof

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever the input, it is read or refused with a place up to which it is fine, and
// what is said of the end is true.
func FuzzRead(f *testing.F) {
	f.Add([]byte(load(1) + load(2) + command("DELJOB", jobID(1))))
	f.Add([]byte(command("SELECT", "0") + command("LOADJOB", serialized(1, Acked, "", ""))))
	f.Add([]byte("*2\r\n$7\r\nLOADJOB\r\n$1000000000\r\n\x00"))
	f.Add([]byte("*1\r\n$-1\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		l, err := read(string(in))
		size := int64(len(in))
		if err == nil {
			require.Equal(t, size, l.Size+l.Cut)
			size = l.Size
		} else {
			var corrupt *CorruptError
			require.True(t, errors.As(err, &corrupt), "%v", err)
			size = corrupt.Offset
		}
		again, err := read(string(in[:size]))
		require.NoError(t, err)
		require.Zero(t, again.Cut)
		if l != nil {
			require.Equal(t, l.Jobs, again.Jobs)
		}
	})
}
