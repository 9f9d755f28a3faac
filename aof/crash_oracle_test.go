package aof_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/disqo/disqo/aof"
)

// rec is a record of the owner that the crash tests model: it sets a key to a
// value or deletes it. Its id is its place in the order of appends of a whole
// run, so no two are alike, also if they put the same.
type rec struct {
	id    uint64
	value uint64 // 0: deletes the key
	key   uint16
	pad   int // bytes that follow, none of them zero
}

// recHeader is the size of a record without padding, in bytes.
const recHeader = 8 + 8 + 2

// append appends the encoding of the record.
func (r rec) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, r.id)
	dst = binary.LittleEndian.AppendUint64(dst, r.value)
	dst = binary.LittleEndian.AppendUint16(dst, r.key)
	for i := range r.pad {
		dst = append(dst, r.padding(i))
	}
	return dst
}

// padding returns byte i of the padding.
func (r rec) padding(i int) byte { return byte(uint64(i)*7+r.id) | 1 }

// decode is the opposite of append.
func decode(b []byte) (rec, error) {
	if len(b) < recHeader {
		return rec{}, fmt.Errorf("a record of %d bytes", len(b))
	}
	r := rec{
		id: binary.LittleEndian.Uint64(b), value: binary.LittleEndian.Uint64(b[8:]),
		key: binary.LittleEndian.Uint16(b[16:]), pad: len(b) - recHeader,
	}
	for i, c := range b[recHeader:] {
		if c != r.padding(i) {
			return rec{}, fmt.Errorf("record %d is not what was appended", r.id)
		}
	}
	return r, nil
}

// records is a visit that collects what a log holds.
type records struct {
	list     []rec
	segments []uint32 // of each
}

// visit is the callback of Open and Scan.
func (l *records) visit(b *aof.Batch) (err error) {
	b.Records(func(raw []byte) bool {
		var r rec
		r, err = decode(raw)
		l.list, l.segments = append(l.list, r), append(l.segments, b.Segment)
		return err == nil
	})
	return err
}

// apply makes the record's change.
func apply(m map[uint16]uint64, list []rec) map[uint16]uint64 {
	for _, r := range list {
		if r.value == 0 {
			delete(m, r.key)
		} else {
			m[r.key] = r.value
		}
	}
	return m
}

// history is what was appended to one epoch of a log since it was last opened,
// with what it held then.
type history struct {
	recs    []rec             // ids ascend
	acked   int               // recs[:acked] must survive any crash
	written int               // recs[:written] must survive a kill
	base    map[uint16]uint64 // what recs[:acked] amount to
}

// reopened is the history of a log that was opened and gave list: whoever read
// it may have told others.
func reopened(list []rec) *history {
	h := &history{recs: slices.Clip(list), base: map[uint16]uint64{}}
	h.ack(len(list))
	return h
}

// ack says that the first n records are durable.
func (h *history) ack(n int) {
	if n > h.acked {
		apply(h.base, h.recs[h.acked:n])
		h.acked = n
	}
	h.wrote(n)
}

// wrote says that the first n records were given to the kernel.
func (h *history) wrote(n int) { h.written = max(h.written, n) }

var (
	errLost    = errors.New("lost")
	errPhantom = errors.New("phantom")
	// errRecovery says that a log could not be opened after a crash.
	errRecovery = errors.New("recovery failed")
)

// judge says what is wrong with a log that gave list, if the first floor records
// had to survive. It may lack the oldest records, if they are not needed, and
// the newest, from one on.
func (h *history) judge(list []rec, floor int) error {
	if len(list) == 0 {
		return h.judgeNothing(floor)
	}
	from := sort.Search(len(h.recs), func(i int) bool { return h.recs[i].id >= list[0].id })
	to := from + len(list)
	for i, r := range list {
		if from+i >= len(h.recs) || h.recs[from+i] != r {
			return fmt.Errorf("%w: record %d (%+v) does not follow in what was appended", errPhantom, i, r)
		}
	}
	if to < floor {
		return fmt.Errorf("%w: it ends %d records before the last that was acknowledged", errLost, floor-to)
	}
	want := apply(maps.Clone(h.base), h.recs[h.acked:to])
	if got := apply(map[uint16]uint64{}, list); !maps.Equal(want, got) {
		return fmt.Errorf("%w: it amounts to %v, not %v", errLost, got, want)
	}
	return nil
}

// judgeNothing is judge for a log without records: nothing may be needed at some
// point after floor.
func (h *history) judgeNothing(floor int) error {
	state := apply(maps.Clone(h.base), h.recs[h.acked:floor])
	for i := floor; len(state) > 0; i++ {
		if i == len(h.recs) {
			return fmt.Errorf("%w: everything", errLost)
		}
		apply(state, h.recs[i:i+1])
	}
	return nil
}

// oracle knows what a log may hold after a crash at any point of a run.
type oracle struct {
	allowed []*history // one, but two while an image is made durable
	off     bool       // the log is being switched off: it may be empty
}

// judge says what is wrong with a log that gave list, after a power loss or, if
// kill is set, a kill.
func (o *oracle) judge(list []rec, kill bool) error {
	if o.off && len(list) == 0 {
		return nil
	}
	var errs []error
	for _, h := range o.allowed {
		floor := h.acked
		if kill {
			floor = h.written
		}
		err := h.judge(list, floor)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
