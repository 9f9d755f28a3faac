package cluster

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
)

// The versions of the protocol between nodes that this program speaks. Two
// nodes work together if their ranges overlap.
const (
	versionLow  = 1
	versionHigh = 1
)

const (
	flagLeaving = 1 << iota
	flagAlone   // RESET made it forget everybody; nobody's member until a MEET
)

// meta is what a node says of itself to all others, through gossip. Layout,
// big-endian; bytes that follow are of a later version and are skipped:
//
//	low u8 | high u8 | flags u8 | client port u16 | bus port u16 | epoch u64 | address length u8 (0, 4, 16) | address
//
// The address is empty while the node does not know it.
type meta struct {
	low, high      int // versions spoken
	leaving, alone bool
	port, bus      int
	epoch          int64 // start of this life of the node, Unix milliseconds; grows with every start, RESET and MEET after one
	ip             netip.Addr
}

const metaBytesMin = 16

var errMeta = errors.New("what it says of itself cannot be read")

// append adds the encoding, of at most 32 bytes.
func (m meta) append(b []byte) []byte {
	var flags byte
	if m.leaving {
		flags |= flagLeaving
	}
	if m.alone {
		flags |= flagAlone
	}
	b = append(b, byte(m.low), byte(m.high), flags)
	b = binary.BigEndian.AppendUint16(b, uint16(m.port))
	b = binary.BigEndian.AppendUint16(b, uint16(m.bus))
	b = binary.BigEndian.AppendUint64(b, uint64(m.epoch))
	ip := m.ip.AsSlice()
	return append(append(b, byte(len(ip))), ip...)
}

// decodeMeta reads what append wrote. It checks the version first, since only
// the first two bytes are the same in all versions.
func decodeMeta(b []byte) (meta, error) {
	if len(b) < 2 {
		return meta{}, errMeta
	}
	m := meta{low: int(b[0]), high: int(b[1])}
	if m.low > versionHigh || m.high < versionLow {
		return meta{}, fmt.Errorf("it speaks versions %d..%d of the cluster protocol, this node %d..%d", m.low, m.high, versionLow, versionHigh)
	}
	if len(b) < metaBytesMin {
		return meta{}, errMeta
	}
	m.leaving, m.alone = b[2]&flagLeaving != 0, b[2]&flagAlone != 0
	m.port, m.bus = int(binary.BigEndian.Uint16(b[3:])), int(binary.BigEndian.Uint16(b[5:]))
	m.epoch = int64(binary.BigEndian.Uint64(b[7:]))
	size := int(b[15])
	if size > len(b)-metaBytesMin {
		return meta{}, errMeta
	}
	if size != 0 {
		ip, ok := netip.AddrFromSlice(b[metaBytesMin : metaBytesMin+size])
		if !ok {
			return meta{}, errMeta
		}
		m.ip = ip.Unmap()
	}
	return m, nil
}

// member returns what the meta says as a member.
func (m meta) member(id string) Member {
	out := Member{ID: id, Port: m.port, BusPort: m.bus, Version: min(m.high, versionHigh), Leaving: m.leaving}
	if m.ip.IsValid() {
		out.Host = m.ip.String()
	}
	return out
}

// Kinds of messages that nodes send each other directly through memberlist.
const (
	msgMeet = 1 // let us be one cluster; answered with met
	msgMet  = 2 // with the nonce of the meet
	msgBye  = 3 // the sender forgets everybody; forget it
)

// message is one of them: kind u8 | nonce u64 | id 20 bytes | meta.
type message struct {
	kind  byte
	nonce uint64
	id    string
	meta  meta
}

const messageHead = 1 + 8 + IDLen/2

func (m message) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{m.kind}, m.nonce)
	return m.meta.append(append(b, rawID(m.id)...))
}

// rawID returns the bytes of an id.
func rawID(id string) []byte {
	raw, _ := hex.DecodeString(id) // ids are hexadecimal
	return raw
}

func decodeMessage(b []byte) (m message, err error) {
	if len(b) < messageHead {
		return m, errMeta
	}
	m.kind, m.nonce = b[0], binary.BigEndian.Uint64(b[1:])
	m.id = hex.EncodeToString(b[9:messageHead])
	m.meta, err = decodeMeta(b[messageHead:])
	return m, err
}
