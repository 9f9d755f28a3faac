package replication

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// someFrame is a frame with a payload of size bytes.
func someFrame(typ byte, size int) []byte {
	return AppendFrame(nil, typ, func(dst []byte) []byte {
		return append(dst, bytes.Repeat([]byte{typ}, size)...)
	})
}

// heal sets the checksums of the frames that a stream begins with.
func heal(b []byte) {
	for len(b) >= FrameOverhead {
		n := uint64(binary.LittleEndian.Uint32(b)) + frameSum
		if n < FrameOverhead || n > uint64(len(b)) {
			return
		}
		EndFrame(b[:n], 0)
		b = b[n:]
	}
}

// readAll takes a stream apart and returns copies of its frames.
func readAll(r io.Reader, most int) (all []frame, err error) {
	f := newFrameReader(r, most)
	for {
		fr, ok, err := f.next()
		if err != nil {
			return all, err
		}
		if ok {
			all = append(all, frame{fr.typ, bytes.Clone(fr.payload)})
			continue
		}
		if _, err := f.fill(); err != nil {
			return all, err
		}
	}
}

func TestFrameIsLaidOutAsDocumented(t *testing.T) {
	t.Parallel()
	b := AppendFrame([]byte("before"), 11, func(dst []byte) []byte { return append(dst, "ab"...) })
	require.Equal(t, "before\x04\x00\x00\x00\x14\xc8\xbc\x36\x02\x0bab", string(b))
	require.EqualValues(t, 3, countFrames(bytes.Repeat(b[6:], 3)))
	require.EqualValues(t, 1, countFrames(b[6:len(b)-1]))
}

func TestFrameReader(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 100, readBuffer - FrameOverhead, readBuffer - FrameOverhead + 1, 0, 70_000, 3, readKeep, readKeep + 1, 1 << 20, 5, 200_000, 200_000}
	var stream []byte
	for i, size := range sizes {
		stream = append(stream, someFrame(byte(10+i), size)...)
	}
	for name, r := range map[string]io.Reader{
		"whole":  bytes.NewReader(stream),
		"halves": iotest.HalfReader(bytes.NewReader(stream)),
		"bytes":  iotest.OneByteReader(bytes.NewReader(stream)),
		"error":  iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := readAll(r, 2<<20)
			require.Equal(t, io.EOF, err)
			require.Len(t, all, len(sizes))
			for i, f := range all {
				require.Equal(t, someFrame(byte(10+i), sizes[i])[FrameOverhead:], append([]byte{}, f.payload...))
				require.EqualValues(t, 10+i, f.typ)
			}
		})
	}
}

func TestFrameReaderSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := string(someFrame(10, 90))
	big := someFrame(10, 100_000)
	big[99_999] ^= 1
	version := []byte(good)
	version[8] = Version + 1
	EndFrame(version, 0)
	hello := someFrame(typeHello, 3)
	hello[8] = 9
	EndFrame(hello, 0)
	for name, c := range map[string]struct {
		in     string
		frames int
		err    string
	}{
		"nothing":               {"", 0, "EOF"},
		"cut":                   {good + good[:99], 1, "unexpected EOF"},
		"cut head":              {good + good[:3], 1, "unexpected EOF"},
		"too long":              {good + "\x00\x00\x04\x00" + good[4:], 1, "a frame's length is 262144, which is not in 2..200000"},
		"longest":               {"\xff\xff\xff\xff" + good[4:], 0, "a frame's length is 4294967295, which is not in 2..200000"},
		"too short":             {"\x01\x00\x00\x00" + good[4:], 0, "a frame's length is 1, which is not in 2..200000"},
		"checksum":              {good[:50] + "\x00" + good[51:], 0, "a frame of 100 bytes has checksum"},
		"checksum of a big one": {string(big), 0, "a frame of 100010 bytes has checksum"},
		"version":               {good + string(version), 1, "a frame has version 3, this node speaks 2"},
		"version of a hello":    {string(hello), 1, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := readAll(strings.NewReader(c.in), 200_000)
			require.ErrorContains(t, err, c.err)
			require.Len(t, all, c.frames)
		})
	}
}

// allocated returns the bytes that f allocates. Others may allocate meanwhile,
// so that the least of a few tries is taken.
func allocated(f func()) uint64 {
	least := uint64(1 << 62)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

func TestLyingLengthCostsNothing(t *testing.T) { // not parallel: it measures memory
	lie := []byte("\xff\xff\xff\x1f\x00\x00\x00\x00\x01\x0a")
	for _, more := range []int{0, 1, readBuffer, 100_000, 1_000_000} {
		in := append(bytes.Clone(lie), make([]byte, more)...)
		n := allocated(func() {
			f := newFrameReader(bytes.NewReader(in), 512<<20)
			for {
				if _, _, err := f.next(); err != nil {
					break
				}
				if _, err := f.fill(); err != nil {
					break
				}
			}
		})
		require.LessOrEqual(t, n, uint64(len(in)+64<<10), "%d bytes arrived", len(in))
	}
}

func TestAppendFrameAllocatesNothing(t *testing.T) {
	buf, payload := make([]byte, 0, 1000), make([]byte, 200)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		buf = AppendFrame(buf[:0], 10, func(dst []byte) []byte { return append(dst, payload...) })
	}))
}

// FuzzFrame reads any bytes as a stream of frames, whole and byte by byte: no
// panic, no memory beyond the input's and a little, and what was read is what
// AppendFrame would have written.
func FuzzFrame(f *testing.F) {
	f.Add(append(someFrame(10, 20), someFrame(200, 0)...), false)
	f.Add(someFrame(12, 50_000), true)
	later := someFrame(12, 50_000)
	later[frameSum] = Version + 1
	f.Add(later, true) // which costs no more than what arrived
	f.Add(appendHelloFrame(nil, &Hello{Cluster: "c", Host: "h", Versions: [2]uint8{Version, Version}}), true)
	f.Add(appendByeFrame(nil, "because"), false)
	f.Add([]byte("\xff\xff\xff\x1f\x00\x00\x00\x00\x01\x0a and more"), false)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, data []byte, healed bool) {
		if healed {
			heal(data) // so that what is behind the checksums is tried, too
		}
		big, n := 0, 0
		memory := allocated(func() {
			big, n = 0, 0
			r := newFrameReader(bytes.NewReader(data), 64<<20)
			for {
				fr, ok, err := r.next()
				if size := len(fr.payload) + FrameOverhead; ok && size > readBuffer {
					big += size // a right one costs its size once more
				}
				if ok {
					n++
					continue
				}
				if err == nil {
					_, err = r.fill()
				}
				if err != nil {
					return
				}
			}
		})
		require.LessOrEqual(t, memory, uint64(len(data)+big+64<<10))
		all, err := readAll(iotest.OneByteReader(bytes.NewReader(data)), 64<<20)
		require.Error(t, err)
		require.Len(t, all, n)
		rest := data
		for _, fr := range all {
			again := AppendFrame(nil, fr.typ, func(dst []byte) []byte { return append(dst, fr.payload...) })
			version := rest[frameSum]
			if version == Version {
				require.Equal(t, again, rest[:len(again)])
			}
			rest = rest[len(again):]
			if fr.typ == typeHello {
				fuzzHello(t, fr.payload)
			}
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			require.Empty(t, rest)
		}
	})
}

func fuzzHello(t *testing.T, payload []byte) {
	h, err := parseHello(payload)
	if err != nil {
		return
	}
	again, err := parseHello(appendHello(nil, &h))
	require.NoError(t, err)
	require.Equal(t, h, again)
}
