package replication

import (
	"encoding/binary"
	"hash/crc32"
)

// Version is the version of the frames that this node sends, and the only one
// it understands.
const Version = 2

// FrameOverhead is what a frame adds to its payload, in bytes:
//
//	length u32  of what follows the checksum
//	crc32c u32  of what follows
//	version u8
//	type u8
//
// Numbers are little-endian.
const FrameOverhead = frameSum + 2

// frameSum is the size of what the checksum does not cover.
const frameSum = 8

// FirstType is the lowest type of a frame that is handed to the receiver; those
// below belong to the links.
const FirstType = 10

// What links say to each other. The payloads of hello and bye stay readable in
// every version.
const (
	typeHello byte = 1 + iota // who I am: the first frame in each direction
	typePing                  // number u64, and from who tells it: bytes of memory used u64, their bound u64; the pong repeats all
	typePong
	typeBye   // why I close: text
	typeRenew // to who dialled: go on over another connection
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BeginFrame appends the head of a frame. The payload is appended next, and
// EndFrame, told len(dst) from before the head, completes the frame.
func BeginFrame(dst []byte, typ byte) []byte {
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, Version, typ)
}

// EndFrame fills in length and checksum of the frame that begins at start and
// ends with frames.
func EndFrame(frames []byte, start int) {
	body := frames[start+frameSum:]
	binary.LittleEndian.PutUint32(frames[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(frames[start+4:], crc32.Checksum(body, castagnoli))
}

// AppendFrame appends a frame whose payload is what the function appends. It
// allocates only where dst has to grow.
func AppendFrame(dst []byte, typ byte, payload func(dst []byte) []byte) []byte {
	start := len(dst)
	dst = payload(BeginFrame(dst, typ))
	EndFrame(dst, start)
	return dst
}

// countFrames returns how many frames are in b, which holds whole frames.
func countFrames(b []byte) (n int64) {
	for len(b) >= FrameOverhead {
		size := frameSum + int64(binary.LittleEndian.Uint32(b))
		n++
		b = b[min(size, int64(len(b))):]
	}
	return n
}
