package aof_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// entry is a live key of the owner.
type entry struct {
	rec     rec    // that put it last
	segment uint32 // a lower bound of where that is
}

// owner is what appends to a log in the crash tests: a map whose changes are
// records, which knows the segment of each live one, as the broker does. It
// keeps the oracle informed.
type owner struct {
	fs     *memfs.FS
	opts   aof.Options
	log    *aof.Log             // nil if none is open
	hook   func(memfs.Op) error // of fs, also after restarts
	oracle *oracle
	rng    *rand.Rand

	history *history // of log
	live    map[uint16]entry
	last    uint64    // id of the newest record
	marks   []mark    // appended, not known to be durable; positions ascend
	class   aof.Class // of what is reserved
	sizes   sizing    // of the records
	keys    uint16    // how many there are
	acks    uint64    // Commits and Syncs that said yes
}

// sizing is the range of the padding of records, in bytes, and one in how many
// is as large as huge says.
type sizing struct{ least, most, huge, oneIn int }

// mark says how many records of the history end before a position.
type mark struct {
	pos   aof.Pos
	count int
}

// dir is where the logs of the crash tests are.
const dir = "data/appendonlydir"

// newOwner returns one without a log.
func newOwner(opts aof.Options, rng *rand.Rand) *owner {
	opts.Dir, opts.Manual = dir, true
	now := int64(1_700_000_000_000)
	opts.Now = func() int64 { now++; return now }
	return &owner{
		opts: opts, rng: rng, live: map[uint16]entry{}, keys: 40, sizes: sizing{20, 250, 0, 0},
		oracle: &oracle{allowed: []*history{reopened(nil)}},
	}
}

// on says which file system the next log is on.
func (w *owner) on(fs *memfs.FS) { w.fs, w.opts.FS = fs, fs }

// open opens the log that is there and takes over what it holds.
func (w *owner) open() error {
	var got records
	log, _, err := aof.Open(w.opts, got.visit)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	if err := w.oracle.judge(got.list, false); err != nil {
		log.Abandon()
		return fmt.Errorf("opening: %w", err)
	}
	w.log, w.history, w.marks = log, reopened(got.list), nil
	w.oracle.allowed, w.oracle.off = []*history{w.history}, false
	clear(w.live)
	for i, r := range got.list {
		w.note(r, got.segments[i])
	}
	return nil
}

// note keeps the liveness of a record that is in this segment or a later one.
func (w *owner) note(r rec, segment uint32) {
	if r.value == 0 {
		delete(w.live, r.key)
	} else {
		w.live[r.key] = entry{r, segment}
	}
}

// next returns a new record of the key, one that deletes it if value is 0.
func (w *owner) next(key uint16, value uint64) rec {
	pad := w.sizes.least + w.rng.IntN(w.sizes.most-w.sizes.least+1)
	if w.sizes.oneIn > 0 && w.rng.IntN(w.sizes.oneIn) == 0 {
		pad = w.sizes.huge
	}
	return rec{value: value, key: key, pad: pad}
}

// put returns a new record that sets a key to what it never was.
func (w *owner) put(key uint16) rec { return w.next(key, w.last+1) }

// append appends records as one, and numbers them.
func (w *owner) append(list ...rec) error {
	var buf []byte
	var ends []int
	for i := range list {
		list[i].id = w.last + 1 + uint64(i)
		buf = list[i].append(buf)
		ends = append(ends, len(buf))
	}
	size := len(buf) + len(list)*aof.RecordOverhead
	if err := w.reserve(size); err != nil {
		return err
	}
	segment := w.log.Head()
	w.last += uint64(len(list))
	w.history.recs = append(w.history.recs, list...)
	w.marks = append(w.marks, mark{w.log.Append(buf, ends, size), len(w.history.recs)})
	for _, r := range list {
		w.note(r, segment)
	}
	return nil
}

// reserve reserves, and makes room if there is none.
func (w *owner) reserve(size int) error {
	err := w.log.Reserve(size, w.class, 0)
	if errors.Is(err, aof.ErrBusy) {
		if err := w.commit(w.log.End()); err != nil {
			return err
		}
		err = w.log.Reserve(size, w.class, 0)
	}
	if err != nil {
		return fmt.Errorf("reserving %d: %w", size, err)
	}
	return nil
}

// commit makes everything before pos as durable as the policy says.
func (w *owner) commit(pos aof.Pos) error {
	if err := w.log.Commit(pos); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.done(pos, w.opts.Policy == aof.Always)
	return nil
}

// sync makes everything before pos durable.
func (w *owner) sync(pos aof.Pos) error {
	if err := w.log.Sync(pos); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	w.done(pos, true)
	return nil
}

// done tells the oracle that everything before pos was acknowledged. While an
// image is made nothing is: until it is there, the log is the older epoch.
func (w *owner) done(pos aof.Pos, durable bool) {
	w.acks++
	for i, m := range slices.Backward(w.marks) {
		if m.pos > pos {
			continue
		}
		w.history.wrote(m.count)
		if durable {
			w.history.ack(m.count)
			w.marks = slices.Delete(w.marks, 0, i+1)
		}
		break
	}
}

// reclaim appends again what is live in the oldest n segments, and drops them.
func (w *owner) reclaim(n int) error {
	sealed := w.log.Sealed()
	if n = min(n, len(sealed)); n == 0 {
		return nil
	}
	below := sealed[n-1].Number + 1
	class := w.class
	w.class = aof.Reclaim
	defer func() { w.class = class }()
	for key := range w.keys {
		if e, ok := w.live[key]; ok && e.segment < below {
			again := e.rec
			if err := w.append(again); err != nil {
				return err
			}
		}
	}
	end := w.log.End()
	if err := w.log.Drop(below); err != nil {
		return fmt.Errorf("drop below %d: %w", below, err)
	}
	w.done(end, true)
	return nil
}

// recover opens the log and returns what it holds. It closes nothing.
func (w *owner) recover(fs *memfs.FS) ([]rec, error) {
	opts := w.opts
	opts.FS = fs
	var got records
	log, _, err := aof.Open(opts, got.visit)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRecovery, err)
	}
	log.Abandon()
	return got.list, nil
}
