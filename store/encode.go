package store

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt says that bytes are not the encoding of a job.
var ErrCorrupt = errors.New("store: corrupt job encoding")

// The encoding of a job, self-contained, little-endian:
//
//	version 1 | state 1 | id 24 | created 8 | expires 8 | next queue 8 |
//	delay 4 | retry 4 | repl 2 | nacks 2 | extra 2 |
//	queue length 4 | body length 4 | queue | body
//
// Times are as in Job. Everything after the two lengths is bytes, so that a
// reader knows at once whether what it was given is whole.
const (
	encodingVersion = 1
	encodingHeader  = 1 + 1 + 24 + 3*8 + 2*4 + 3*2 + 2*4
)

// AppendJob appends the encoding of j to dst.
func AppendJob(dst []byte, j *Job) []byte {
	le := binary.LittleEndian
	dst = append(dst, encodingVersion, byte(j.State))
	dst = append(dst, j.ID[:]...)
	for _, t := range [...]int64{j.Created, j.Expires, j.NextQueue} {
		dst = le.AppendUint64(dst, uint64(t))
	}
	dst = le.AppendUint32(dst, j.Delay)
	dst = le.AppendUint32(dst, j.Retry)
	for _, n := range [...]uint16{j.Repl, j.Nacks, j.Extra} {
		dst = le.AppendUint16(dst, n)
	}
	dst = le.AppendUint32(dst, uint32(len(j.Queue)))
	dst = le.AppendUint32(dst, uint32(len(j.Body)))
	dst = append(dst, j.Queue...)
	return append(dst, j.Body...)
}

// DecodeJob reads an encoding that fills src exactly. The body aliases src.
// Errors wrap ErrCorrupt and say which field is impossible.
func DecodeJob(src []byte) (*Job, error) {
	if len(src) < encodingHeader {
		return nil, corrupt("%d bytes are fewer than a header's %d", len(src), encodingHeader)
	}
	if src[0] != encodingVersion {
		return nil, corrupt("version %d, this program reads %d", src[0], encodingVersion)
	}
	le := binary.LittleEndian
	j := &Job{State: State(src[1]), ID: ID(src[2:26])}
	for i, t := range [...]*int64{&j.Created, &j.Expires, &j.NextQueue} {
		*t = int64(le.Uint64(src[26+8*i:]))
	}
	j.Delay, j.Retry = le.Uint32(src[50:]), le.Uint32(src[54:])
	for i, n := range [...]*uint16{&j.Repl, &j.Nacks, &j.Extra} {
		*n = le.Uint16(src[58+2*i:])
	}
	queue, body := uint64(le.Uint32(src[64:])), uint64(le.Uint32(src[68:]))
	if rest := uint64(len(src) - encodingHeader); queue+body != rest {
		return nil, corrupt("queue of %d and body of %d bytes in %d", queue, body, rest)
	}
	name := src[encodingHeader : encodingHeader+queue]
	j.Queue, j.Body = string(name), src[encodingHeader+queue:]
	return j, j.validate(name)
}

// validate refuses what no node could have written.
func (j *Job) validate(queue []byte) error {
	switch {
	case j.State >= NumStates:
		return corrupt("state %d", j.State)
	case j.Created < 0 || !possible(j.Expires) || !possible(j.NextQueue):
		return corrupt("impossible time")
	case j.Repl == 0:
		return corrupt("replicated to no node")
	case j.ID == ID{}:
		return corrupt("an id of zeros")
	case j.ID.AtMostOnce() != (j.Retry == 0):
		return corrupt("retry %d contradicts the id %s", j.Retry, j.ID)
	case j.ID.Hash() != Hash16(queue):
		return corrupt("id %s is of another queue", j.ID)
	}
	return nil
}

// mostTime is later than any time of a job: milliseconds, in 2200 years.
const mostTime = 1 << 46

// possible says that a time in milliseconds can be one of a job.
func possible(ms int64) bool { return 0 <= ms && ms < mostTime }
