package aof

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// Sizes of what frames the records, bytes.
const (
	RecordOverhead = 8  // length and checksum of a record
	BatchHeader    = 48 // before the records of a batch
	SegmentHeader  = 64 // at the beginning of a segment
)

const (
	formatVersion = 1
	segmentMagic  = "DISQOAOF"
	batchMagic    = 0xB17C4A0F // its bytes are no text and no zeros
	saltAt        = 40         // offset of the salt in the header of a segment
	suffix        = ".aof"
	lockName      = "lock"
)

// Flags say what a batch stands for.
type Flags uint16

const (
	FlagImage  Flags = 1 << iota // everything live was appended, up to this batch
	FlagAlways                   // the policy was always, and nothing is missing before
	FlagSeal                     // the last of its segment: the next one exists
	FlagClose                    // a clean stop
	FlagOff                      // the log was switched off: it is empty
	knownFlags = 1<<iota - 1
)

// String returns the names of the flags that are set, separated by spaces.
func (f Flags) String() string {
	var set []string
	for i, name := range [...]string{"image", "always", "seal", "close", "off"} {
		if f&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, " ")
}

var (
	le         = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(b []byte) uint32 { return crc32.Update(0, castagnoli, b) }

// segmentName is the file name of a segment.
func segmentName(number uint32) string { return fmt.Sprintf("%010d"+suffix, number) }

// parseName is the inverse of segmentName; other names are not ours.
func parseName(name string) (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimSuffix(name, suffix), 10, 32)
	return uint32(n), err == nil && n > 0 && segmentName(uint32(n)) == name
}

// segmentHeader is the decoded header of a segment.
type segmentHeader struct {
	number   uint32
	previous uint32 // 0 for the first of an epoch
	epoch    uint64
	created  int64  // ms
	salt     uint32 // of the epoch: the checksums of its batches begin with it
}

func (h *segmentHeader) encode() []byte {
	b := make([]byte, SegmentHeader)
	copy(b, segmentMagic)
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[16:], h.number)
	le.PutUint32(b[20:], h.previous)
	le.PutUint64(b[24:], h.epoch)
	le.PutUint64(b[32:], uint64(h.created))
	le.PutUint32(b[saltAt:], h.salt)
	le.PutUint32(b[12:], checksum(b))
	return b
}

// decodeSegment reads a header. version is set, and h is not, when the format
// is another one; why says what is wrong, "" if nothing is.
func decodeSegment(b []byte) (h segmentHeader, version uint32, why string) {
	if len(b) < SegmentHeader || !bytes.HasPrefix(b, []byte(segmentMagic)) {
		return h, 0, "no segment header"
	}
	raw := [SegmentHeader]byte(b)
	sum := le.Uint32(raw[12:])
	clear(raw[12:16])
	if checksum(raw[:]) != sum {
		return h, 0, "the checksum of the segment header is wrong"
	}
	if v := le.Uint32(raw[8:]); v != formatVersion {
		return h, v, ""
	}
	h = segmentHeader{le.Uint32(raw[16:]), le.Uint32(raw[20:]), le.Uint64(raw[24:]), int64(le.Uint64(raw[32:])), le.Uint32(raw[saltAt:])}
	if h.epoch == 0 || h.number == 0 || h.previous >= h.number || !isZero(raw[saltAt+4:]) {
		return h, 0, "impossible segment header"
	}
	return h, 0, ""
}

// batchHeader is the decoded header of a batch.
type batchHeader struct {
	sum     uint32 // of the payload
	length  uint32 // of the payload
	seq     uint64
	segment uint32
	first   uint32 // oldest segment that is part of the log
	synced  uint32 // offset before which the segment was known to be durable
	flags   Flags
	time    int64 // ms
}

func (h *batchHeader) put(b []byte, salt uint32) {
	_ = b[BatchHeader-1]
	le.PutUint32(b, batchMagic)
	le.PutUint32(b[8:], h.sum)
	le.PutUint32(b[12:], h.length)
	le.PutUint64(b[16:], h.seq)
	le.PutUint32(b[24:], h.segment)
	le.PutUint32(b[28:], h.first)
	le.PutUint32(b[32:], h.synced)
	le.PutUint32(b[36:], uint32(h.flags))
	le.PutUint64(b[40:], uint64(h.time))
	le.PutUint32(b[4:], headerSum(b, salt))
}

// headerSum is the checksum of a batch's header, begun with the salt of its
// epoch: what a client puts into a record cannot pass for a batch.
func headerSum(b []byte, salt uint32) uint32 {
	return crc32.Update(salt, castagnoli, b[8:BatchHeader])
}

// decodeBatch reads the header of a batch at an offset of a segment; ok is
// false if it cannot be one.
func decodeBatch(b []byte, segment, salt uint32, offset int64) (h batchHeader, ok bool) {
	if le.Uint32(b) != batchMagic || le.Uint32(b[4:]) != headerSum(b, salt) {
		return h, false
	}
	h = batchHeader{
		le.Uint32(b[8:]), le.Uint32(b[12:]), le.Uint64(b[16:]), le.Uint32(b[24:]), le.Uint32(b[28:]),
		le.Uint32(b[32:]), Flags(le.Uint16(b[36:])), int64(le.Uint64(b[40:])),
	}
	ok = h.segment == segment && h.first > 0 && h.first <= segment && int64(h.synced) <= offset && h.seq > 0 &&
		h.flags&^knownFlags == 0 && le.Uint16(b[38:]) == 0
	return h, ok
}

// batchSize is what a batch with that much payload takes in a segment.
func batchSize(payload int64) int64 { return BatchHeader + (payload+7)&^7 }

// appendRecord frames a record.
func appendRecord(dst, rec []byte) []byte {
	at := len(dst)
	dst = le.AppendUint32(dst, uint32(len(rec)))
	sum := crc32.Update(checksum(dst[at:]), castagnoli, rec)
	dst = le.AppendUint32(dst, sum)
	return append(dst, rec...)
}

// cutRecord returns the first record of a payload and what follows it; ok is
// false if it is not whole. Both alias payload.
func cutRecord(payload []byte) (rec, rest []byte, ok bool) {
	if len(payload) < RecordOverhead {
		return nil, nil, false
	}
	n := uint64(le.Uint32(payload))
	if n > uint64(len(payload)-RecordOverhead) {
		return nil, nil, false
	}
	rec, rest = payload[RecordOverhead:RecordOverhead+n:RecordOverhead+n], payload[RecordOverhead+n:]
	return rec, rest, crc32.Update(checksum(payload[:4]), castagnoli, rec) == le.Uint32(payload[4:])
}

// countRecords returns how many records a payload holds; ok is false if they
// do not fill it.
func countRecords(payload []byte) (n int, ok bool) {
	for len(payload) > 0 {
		if _, payload, ok = cutRecord(payload); !ok {
			return n, false
		}
		n++
	}
	return n, true
}

var zeros [64 << 10]byte

func isZero(b []byte) bool {
	for len(b) > len(zeros) {
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
		b = b[len(zeros):]
	}
	return bytes.Equal(b, zeros[:len(b)])
}
