package store

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
)

// IDLen is the length in bytes of a job id in its text form.
const IDLen = 40

// ErrBadID says that a text does not have the shape of a job id.
var ErrBadID = errors.New("store: invalid job id format")

// ID is a job id in its packed form. As text it is 40 characters:
//
//	D-ffffffff-AAAAAAAAAAAAAAAAAAAAAAAA-05a1
//	  |        |                        |
//	  |        |                        TTL in minutes, hex; odd: at least once,
//	  |        |                        even: at most once
//	  |        18 bytes, base64: hash16 of the queue, then 16 random bytes
//	  first 8 hex digits of the creating node's id
//
// so that whoever knows an id knows the job's shard without asking anybody.
type ID [24]byte

// The packed layout: 18 bytes of the middle part, 4 of the node, 2 of the TTL.
const (
	idHash = 0  // hash16(queue), big-endian
	idRand = 2  // 16 random bytes
	idNode = 18 // first 4 bytes of the node id
	idTTL  = 22 // TTL tag, big-endian

	idRandLen = idNode - idRand
)

// maxTTLMinutes is what the TTL tag can hold; longer lives saturate.
const maxTTLMinutes = 65535

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Hash16 places a queue: the CRC-32C of its name, both halves folded together.
// It is part of the id format and must never change; the test vectors hold it.
func Hash16(queue []byte) uint16 {
	c := crc32.Checksum(queue, castagnoli)
	return uint16(c>>16) ^ uint16(c)
}

// NewID makes the id of a job of a queue with the given hash, from 128 random
// bits and the first four bytes of the creating node's id. ttl is in seconds.
func NewID(hash uint16, rnd [2]uint64, node [4]byte, ttl uint32, atMostOnce bool) ID {
	var id ID
	binary.BigEndian.PutUint16(id[idHash:], hash)
	binary.BigEndian.PutUint64(id[idRand:], rnd[0])
	binary.BigEndian.PutUint64(id[idRand+8:], rnd[1])
	copy(id[idNode:], node[:])
	tag := uint16(min(ttl/60, maxTTLMinutes)) | 1
	if atMostOnce {
		tag &^= 1
	}
	binary.BigEndian.PutUint16(id[idTTL:], tag)
	return id
}

// ParseID reads the text form. It returns ErrBadID when the text has not the
// shape of an id at all; ok is false when it has the shape but is no id that
// any node could have made (a letter outside the alphabet, a TTL tag that is
// not hexadecimal), so that nobody can know it. Both are told apart because
// the protocol refuses the first and counts the second as unknown.
func ParseID(text []byte) (id ID, ok bool, err error) {
	if len(text) != IDLen || text[0] != 'D' || text[1] != '-' || text[10] != '-' || text[35] != '-' {
		return ID{}, false, ErrBadID
	}
	if !lowerHex(id[idNode:idTTL], text[2:10]) || !lowerHex(id[idTTL:], text[36:40]) {
		return ID{}, false, nil
	}
	if !decode64(id[:idNode], text[11:35]) {
		return ID{}, false, nil
	}
	return id, true, nil
}

// lowerHex decodes src into dst; upper-case digits are not ours and fail.
func lowerHex(dst, src []byte) bool {
	for _, c := range src {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}

// decode64 decodes 24 characters into 18 bytes. The library decoder ignores
// line breaks inside its input; an id has none.
func decode64(dst, src []byte) bool {
	for _, c := range src {
		if c == '\r' || c == '\n' {
			return false
		}
	}
	n, err := base64.RawStdEncoding.Decode(dst, src)
	return err == nil && n == len(dst)
}

// AppendText appends the 40 characters of the id to dst.
func (id *ID) AppendText(dst []byte) []byte {
	dst = append(dst, 'D', '-')
	dst = hex.AppendEncode(dst, id[idNode:idTTL])
	dst = append(dst, '-')
	dst = base64.RawStdEncoding.AppendEncode(dst, id[:idNode])
	dst = append(dst, '-')
	return hex.AppendEncode(dst, id[idTTL:])
}

// String returns the text form.
func (id ID) String() string { return string(id.AppendText(make([]byte, 0, IDLen))) }

// Hash returns the hash16 of the job's queue that the id carries.
func (id *ID) Hash() uint16 { return binary.BigEndian.Uint16(id[idHash:]) }

// AtMostOnce reports whether the id belongs to a job with RETRY 0.
func (id *ID) AtMostOnce() bool { return id[idTTL+1]&1 == 0 }

// ttlMinutes returns the job's TTL as the id has it: minutes, rounded.
func (id *ID) ttlMinutes() uint16 { return binary.BigEndian.Uint16(id[idTTL:]) }

// sum is the index hash: the id is random already.
func (id *ID) sum() uint32 { return binary.LittleEndian.Uint32(id[idRand+4:]) }
