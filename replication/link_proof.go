package replication

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/disqo/disqo/store"
)

// With a key, nobody is believed to be a node of the cluster who does not have
// it: before the hello of the node that was dialled, both prove that they know it.
//
//	dialler   hello
//	accepter  challenge: nonce 32 | HMAC(key, "accepter" | session | nonce | both ids)
//	dialler   proof:                HMAC(key, "dialler"  | session | nonce | both ids)
//	accepter  hello
//
// The session is random and the dialler's, the nonce the accepter's, so that
// nothing that was heard once is of use again. What follows on the connection is
// neither encrypted nor signed.

const (
	linkInfo  = "disqo link v1"
	nonceSize = 32
)

var (
	errNoSecret    = errors.New("the other node has a cluster-secret, and this one has none")
	errWrongSecret = errors.New("the other node has no cluster-secret, or another one")
)

// LinkKey derives the key of the links from the secret of a cluster; nil without
// one.
func LinkKey(secret string) ([]byte, error) {
	if secret == "" {
		return nil, nil
	}
	return hkdf.Key(sha256.New, []byte(secret), nil, linkInfo, sha256.Size)
}

// openings are the frames with which a connection begins.
var openings = map[byte]string{typeHello: "a hello", typeChallenge: "a challenge", typeProof: "a proof"}

// proof is what only who has the key can know.
func (l *Links) proof(who string, session uint64, nonce []byte, dialler, accepter store.NodeID) []byte {
	h := hmac.New(sha256.New, l.o.Key)
	h.Write([]byte(who))
	h.Write(binary.LittleEndian.AppendUint64(nil, session))
	h.Write(nonce)
	h.Write(dialler[:])
	h.Write(accepter[:])
	return h.Sum(nil)
}

// appendProofFrame appends a frame of parts.
func appendProofFrame(dst []byte, typ byte, parts ...[]byte) []byte {
	return AppendFrame(dst, typ, func(dst []byte) []byte {
		for _, p := range parts {
			dst = append(dst, p...)
		}
		return dst
	})
}

// challenge lets whoever dialled prove that it has the key.
func (v *visit) challenge() error {
	l := v.links
	if l.o.Key == nil {
		return nil
	}
	self, session := l.o.Self().ID, v.hello.Session
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails
	if err := v.write(appendProofFrame(nil, typeChallenge, nonce, l.proof("accepter", session, nonce, v.hello.ID, self))); err != nil {
		return err
	}
	f, err := l.first(v.frames, typeProof)
	if err != nil {
		return err
	}
	if !hmac.Equal(f.payload, l.proof("dialler", session, nonce, v.hello.ID, self)) {
		return errWrongSecret
	}
	return nil
}

// prove answers a challenge, and checks that who was dialled has the key.
func (k *link) prove(w io.Writer) error {
	l := k.peer.links
	if l.o.Key == nil {
		return nil
	}
	f, err := l.first(k.frames, typeChallenge)
	if err != nil {
		return fmt.Errorf("%w: %w", errWrongSecret, err)
	}
	self := l.o.Self().ID
	if len(f.payload) < nonceSize || !hmac.Equal(f.payload[nonceSize:], l.proof("accepter", k.session, f.payload[:nonceSize], self, k.peer.id)) {
		return errWrongSecret
	}
	answer := appendProofFrame(nil, typeProof, l.proof("dialler", k.session, f.payload[:nonceSize], self, k.peer.id))
	if _, err := w.Write(answer); err != nil {
		return err
	}
	l.wrote(1, int64(len(answer)))
	return nil
}
