package aof

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Policy says when what was written is synced.
type Policy uint8

const (
	// Always syncs before Commit returns.
	Always Policy = iota
	// EverySec syncs once a second; Commit returns when the kernel has it.
	EverySec
	// No leaves it to the kernel, but for the seal of a segment.
	No
)

var policies = [...]string{"always", "everysec", "no"}

// ParsePolicy returns the policy of that name: always, everysec or no.
func ParsePolicy(name string) (Policy, bool) {
	for i, n := range policies {
		if n == name {
			return Policy(i), true
		}
	}
	return 0, false
}

// String returns the name of the policy.
func (p Policy) String() string {
	if int(p) < len(policies) {
		return policies[p]
	}
	return fmt.Sprintf("policy %d", uint8(p))
}

// Options configure a log. The zero value of each field but Dir means its
// default.
type Options struct {
	// FS is the file system, default OS().
	FS FS
	// Dir is the log's directory, made if need be. Nobody else writes to it.
	Dir string
	// SegmentSize is the size of a segment, 4 KiB to 1 GiB, default 32 MiB.
	SegmentSize int64
	// Policy is the one to begin with; see SetPolicy.
	Policy Policy
	// Above makes Begin number its segments above this one, and above those
	// that are there: numbers that a caller remembers are not used again.
	Above uint32
	// OnSpace is called when it is worth to look for segments that can be
	// dropped: one was sealed, a quarter of the head is used, so that the reserve
	// will be needed, or a full disk keeps somebody waiting. It must neither
	// block nor call the log.
	OnSpace func()
	// Now is the wall time, milliseconds since the epoch, for the headers of
	// batches and segments. Default: the system's.
	Now func() int64
	// Salt returns a number that nobody can guess, for each epoch;
	// default math/rand/v2, which the system seeds.
	Salt func() uint32
	// Manual starts no goroutine, for simulators and crash tests: segments are
	// made inside the calls that need them, and nothing is written or synced
	// but by Commit, Sync, Tick, Drop, Rotate, Image, Off and Close. Reserve
	// does not wait: where it would, it returns ErrBusy.
	Manual bool
	// RefuseTorn lets Open fail with a *TornError instead of cutting a torn
	// end.
	RefuseTorn bool
	// OnFail is called once when the log has failed for good, under no lock and
	// in its own goroutine; in the failing call if Manual, where it must not
	// call the log.
	OnFail func(error)
}

const (
	defaultSegment = 32 << 20
	minSegment     = 4 << 10
	maxSegment     = 1 << 30
)

func (o *Options) fill() error {
	if o.Dir == "" {
		return errors.New("aof: Dir is missing")
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = defaultSegment
	}
	if o.SegmentSize < minSegment || o.SegmentSize > maxSegment {
		return fmt.Errorf("aof: SegmentSize %d is not between %d and %d bytes", o.SegmentSize, minSegment, maxSegment)
	}
	if int(o.Policy) >= len(policies) {
		return fmt.Errorf("aof: Policy: unknown %v", o.Policy)
	}
	if o.FS == nil {
		o.FS = OS()
	}
	if o.Salt == nil {
		o.Salt = rand.Uint32
	}
	if o.Now == nil {
		o.Now = func() int64 { return time.Now().UnixMilli() }
	}
	return nil
}
