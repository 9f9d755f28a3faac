package cluster

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
)

// memberlist allocates what a message says that it brings before it came, up to
// 112 MiB, and unpacks what is compressed, up to 40 MiB. Without a cluster-secret
// anybody can say so. So what no node says is refused before memberlist sees it.

// Types of memberlist's messages.
const (
	typeState      = 6 // all that a node knows; a head goes before
	typeCompound   = 7 // several messages; packets only
	typeUser       = 8 // a message of ours; a head goes before
	typeCompressed = 9
	typeSummed     = 12 // a checksum goes before the message; packets only
)

const (
	userBytesMax = 4 << 10 // of a message of ours; those of this version have 61
	headBytesMax = 512     // of a label and what a message announces, 330 at most
)

var (
	errPacked = errors.New("it is compressed, which no node does")
	errHead   = errors.New("what it announces cannot be read")
)

// look reads what a stream announces, which is still to be read by memberlist,
// and returns why that cannot be.
func look(r *bufio.Reader) error {
	h := &header{r: r}
	typ := h.next(1)[0]
	if typ == byteLabelled {
		h.next(int(h.next(1)[0]))
		typ = h.next(1)[0]
	}
	switch typ {
	case typeCompressed:
		return errPacked
	case typeState:
		h.bounded(map[string]uint64{"Nodes": membersMax + 1, "UserStateLen": 0, "Join": 1})
	case typeUser:
		h.bounded(map[string]uint64{"UserMsgLen": userBytesMax})
	}
	return h.err
}

// header reads the beginning of a stream and leaves it there.
type header struct {
	r   *bufio.Reader
	at  int // bytes that were looked at
	err error
}

// next returns the next n bytes, or zeros after an error.
func (h *header) next(n int) []byte {
	if h.err == nil {
		var b []byte
		if b, h.err = h.r.Peek(h.at + n); h.err == nil {
			h.at += n
			return b[h.at-n:]
		}
	}
	return make([]byte, n)
}

// bounded reads a map of MessagePack, of numbers or booleans, none of which
// exceeds what most says about it.
func (h *header) bounded(most map[string]uint64) {
	fields := h.next(1)[0]
	if fields&0xf0 != 0x80 {
		h.fail(errHead)
	}
	for range fields & 0x0f {
		key := h.next(1)[0]
		if key&0xe0 != 0xa0 {
			h.fail(errHead)
		}
		name := string(h.next(int(key & 0x1f)))
		value := h.number()
		if limit, ok := most[name]; !ok {
			h.fail(errHead)
		} else if value > limit {
			h.fail(fmt.Errorf("it announces %s %d", name, value))
		}
	}
}

// number reads a number or boolean of MessagePack. What is negative memberlist
// refuses itself.
func (h *header) number() uint64 {
	switch b := h.next(1)[0]; {
	case b < 0x80:
		return uint64(b)
	case b == 0xc2, b == 0xc3:
		return uint64(b - 0xc2)
	case b >= 0xcc && b <= 0xcf, b >= 0xd0 && b <= 0xd3: // of 1, 2, 4 or 8 bytes
		var whole [8]byte
		size := 1 << (b & 3)
		copy(whole[8-size:], h.next(size))
		return binary.BigEndian.Uint64(whole[:])
	}
	h.fail(errHead)
	return 0
}

func (h *header) fail(err error) {
	if h.err == nil {
		h.err = err
	}
}

// packed reports whether a packet brings something compressed, or messages
// within messages, which could bring that: no node packs so.
func packed(b []byte) bool {
	if len(b) > 1 && b[0] == byteLabelled {
		b = b[min(len(b), 2+int(b[1])):]
	}
	if len(b) > 5 && b[0] == typeSummed {
		b = b[5:]
	}
	if len(b) < 2 || b[0] != typeCompound {
		return len(b) > 0 && b[0] == typeCompressed
	}
	lengths := b[2:]
	parts := lengths[min(len(lengths), 2*int(b[1])):]
	for i := 0; i < int(b[1]) && len(parts) > 0; i++ {
		n := int(binary.BigEndian.Uint16(lengths[2*i:]))
		if n > 0 && (parts[0] == typeCompressed || parts[0] == typeCompound) {
			return true
		}
		parts = parts[min(len(parts), n):]
	}
	return false
}
