package replication

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/disqo/disqo/store"
)

// Hello is how nodes introduce themselves when a link begins.
type Hello struct {
	ID       store.NodeID
	Cluster  string // name of the cluster, the same on both sides
	Host     string // where others reach the node; "" if it does not know
	Port     uint16 // for clients
	BusPort  uint16 // for nodes
	Versions [2]uint8
	Session  uint64 // of the connection: chosen by who dials, repeated by who answers
	Leaving  bool   // the node is about to leave the cluster
	Terms    bool   // the node knows what messages say of the terms of jobs
	Boot     uint64 // of the process: another one each time it starts; 0 if it does not say
}

// maxHello bounds the length of a frame from somebody who is not known yet, and
// of the frames that come back on an outbound link.
const maxHello = 4 << 10

// Flags of a hello.
const (
	helloLeaving = 1 << iota
	helloTerms
)

// The part of a hello of fixed size: id, session, versions, flags, ports.
const helloFixed = 20 + 8 + 2 + 1 + 2 + 2

var errHello = errors.New("a hello that is cut short")

// appendHello appends a hello's payload: the fixed part, the cluster's name and
// the host, each after its length, the number of the process. What a later version
// adds comes behind.
func appendHello(dst []byte, h *Hello) []byte {
	var flags byte
	if h.Leaving {
		flags |= helloLeaving
	}
	if h.Terms {
		flags |= helloTerms
	}
	dst = append(dst, h.ID[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.Session)
	dst = append(dst, h.Versions[0], h.Versions[1], flags)
	dst = binary.LittleEndian.AppendUint16(dst, h.Port)
	dst = binary.LittleEndian.AppendUint16(dst, h.BusPort)
	for _, s := range [...]string{h.Cluster, h.Host} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return binary.LittleEndian.AppendUint64(dst, h.Boot)
}

// parseHello reads a hello's payload; bytes and flags it does not know are
// ignored.
func parseHello(b []byte) (h Hello, err error) {
	if len(b) < helloFixed {
		return h, errHello
	}
	b = b[copy(h.ID[:], b):]
	h.Session = binary.LittleEndian.Uint64(b)
	h.Versions = [2]uint8{b[8], b[9]}
	h.Leaving, h.Terms = b[10]&helloLeaving != 0, b[10]&helloTerms != 0
	h.Port = binary.LittleEndian.Uint16(b[11:])
	h.BusPort = binary.LittleEndian.Uint16(b[13:])
	b = b[15:]
	for _, s := range [...]*string{&h.Cluster, &h.Host} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return h, errHello
		}
		*s = string(b[n : n+int(size)])
		b = b[n+int(size):]
	}
	if len(b) >= 8 {
		h.Boot = binary.LittleEndian.Uint64(b)
	}
	return h, nil
}

// appendHelloFrame appends a whole frame.
func appendHelloFrame(dst []byte, h *Hello) []byte {
	return AppendFrame(dst, typeHello, func(dst []byte) []byte { return appendHello(dst, h) })
}

// appendByeFrame appends a farewell whose text fits into maxHello.
func appendByeFrame(dst []byte, reason string) []byte {
	reason = reason[:min(len(reason), maxHello/2)]
	return AppendFrame(dst, typeBye, func(dst []byte) []byte { return append(dst, reason...) })
}

// meets returns why a node cannot talk to the one that introduces itself so,
// nil if it can.
func (h *Hello) meets(other *Hello) error {
	switch {
	case other.ID == store.NodeID{}:
		return errors.New("a hello without an id")
	case other.ID == h.ID:
		return errors.New("this node met itself")
	case other.Cluster != h.Cluster:
		return fmt.Errorf("node %x is of the cluster %q, not %q", other.ID, other.Cluster, h.Cluster)
	case max(h.Versions[0], other.Versions[0]) > min(h.Versions[1], other.Versions[1]):
		return fmt.Errorf("node %x speaks the versions %d to %d, not %d to %d",
			other.ID, other.Versions[0], other.Versions[1], h.Versions[0], h.Versions[1])
	}
	return nil
}
