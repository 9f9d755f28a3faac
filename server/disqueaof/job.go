package disqueaof

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// IDLen is the length in bytes of a job id.
const IDLen = 40

// ID is a job id as text: D-ffffffff-AAAAAAAAAAAAAAAAAAAAAAAA-05a1.
type ID [IDLen]byte

// String returns the text.
func (id ID) String() string { return string(id[:]) }

// State is what Disque wrote as a job's state.
type State uint8

// The states, as numbered by Disque.
const (
	WaitRepl State = iota // not yet copied to as many nodes as it should be
	Active                // delayed, or delivered and not acknowledged
	Queued
	Acked
)

// String returns the name that SHOW has for it.
func (s State) String() string { return [...]string{"wait-repl", "active", "queued", "acked"}[s] }

// Job is a job as the log has it. What happened since it was written is not known.
type Job struct {
	ID         ID
	State      State
	Delivered  bool   // at least once, by the node whose log this is
	Replicate  uint16 // how many nodes should hold it
	Expires    int64  // Unix seconds
	Created    uint64 // Unix milliseconds * 1,000,000 and a sequence number: the order in its queue
	Delay      uint32 // seconds, from its creation
	Retry      uint32 // seconds; 0: it is delivered at most once
	Nacks      uint16
	Deliveries uint16 // additional ones, as far as they were noticed
	Queue      []byte // any bytes, also none
	Body       []byte
}

// The layout of a serialized job, little-endian: what has a fixed place, then queue,
// body and the ids of nodes, each with a length or number of 4 bytes before it.
const (
	atLength  = 0 // of the rest
	atID      = 4
	atState   = 44 // low nibble; the high one counts attempts at collecting it
	atFlags   = 45
	atRepl    = 46
	atExpires = 48
	atCreated = 52
	atDelay   = 60
	atRetry   = 64
	atNacks   = 68
	atDeliver = 70
	atQueue   = 72

	nodeIDLen     = 40
	flagDelivered = 4
)

var (
	errShort   = errors.New("the job is shorter than its fields say")
	errLength  = errors.New("the job has another length than it says")
	errID      = errors.New("the job's id is none")
	errNoState = errors.New("the job has no state that Disque knows")
)

// ParseJob reads a serialized job in its form on disk. The job aliases b.
func ParseJob(b []byte) (*Job, error) {
	if len(b) < atQueue {
		return nil, fmt.Errorf("%w: %d bytes", errShort, len(b))
	}
	le := binary.LittleEndian
	if n := int64(le.Uint32(b[atLength:])); n != int64(len(b)-atID) {
		return nil, fmt.Errorf("%w: %d bytes follow, not %d", errLength, len(b)-atID, n)
	}
	j := &Job{
		State:      State(b[atState] & 0xf),
		Delivered:  b[atFlags]&flagDelivered != 0,
		Replicate:  le.Uint16(b[atRepl:]),
		Expires:    int64(le.Uint32(b[atExpires:])),
		Created:    le.Uint64(b[atCreated:]),
		Delay:      le.Uint32(b[atDelay:]),
		Retry:      le.Uint32(b[atRetry:]),
		Nacks:      le.Uint16(b[atNacks:]),
		Deliveries: le.Uint16(b[atDeliver:]),
	}
	var err error
	if j.ID, err = parseID(b[atID:atState]); err != nil {
		return nil, err
	}
	if j.State > Acked {
		return nil, fmt.Errorf("%w: %d", errNoState, j.State)
	}
	rest := b[atQueue:]
	if j.Queue, rest, err = field(rest, 1); err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	if j.Body, rest, err = field(rest, 1); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if _, rest, err = field(rest, nodeIDLen); err != nil {
		return nil, fmt.Errorf("ids of nodes: %w", err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errLength, len(rest))
	}
	return j, nil
}

// field takes n items of size bytes from b, which begins with n, and returns what follows.
func field(b []byte, size int64) (items, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errShort
	}
	n := int64(binary.LittleEndian.Uint32(b)) * size
	if b = b[4:]; n > int64(len(b)) {
		return nil, nil, fmt.Errorf("%w: %d bytes of %d", errShort, len(b), n)
	}
	return b[:n:n], b[n:], nil
}

// parseID checks an id as Disque does: its length, and where the dashes are.
func parseID(b []byte) (id ID, err error) {
	if len(b) != IDLen || b[0] != 'D' || b[1] != '-' || b[10] != '-' || b[35] != '-' {
		return id, fmt.Errorf("%w: %.60q", errID, b)
	}
	return ID(b), nil
}
