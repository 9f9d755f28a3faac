package aof

import (
	"fmt"
	"slices"
)

// wreck is a segment that may be damaged anywhere, and what is left in it.
type wreck struct {
	*file
	epoch    uint64 // by its header, or else by its neighbours
	whyBytes int64  // what the damage of the header takes

	// Of the valid batches, also of those behind damage.
	records int
	first   uint64      // sequence number of the first one, 0 if there is none
	last    batchHeader // the last one
	end     int64       // its end
	lost    uint64      // batches that are missing before it
	regions []Region    // damage
	claims  []claim     // of the oldest segment that is part of the log
	durable int64       // everything before that offset was durable

	// As Scan sees it.
	image       bool // one of the batches before all damage has the flag
	imageBehind bool // one behind damage has, and that was no torn end
}

// claim is what the batches from an offset on say is the log's first segment.
type claim struct {
	off   int64
	first uint32
}

// place is where a batch is looked for, behind one that is known.
type place struct {
	seq  uint64 // of that one; 0 if there is none
	off  int64  // its end, bytes
	open bool   // other segments may be missing between
}

// admits says whether a batch with that number can stand at an offset: so many
// have to fit between. What only looks like a batch, in the body of a job whose
// own batch is damaged, is no record.
func (p *place) admits(seq uint64, off int64) bool {
	return seq > p.seq && (p.open || seq-p.seq-1 <= uint64(off-p.off)/BatchHeader)
}

// examine finds out what is left in a wreck.
func (v *salvager) examine(w *wreck) error {
	if err := v.enter(w); err != nil {
		return err
	}
	x, err := v.extent(w.number, 0, nil)
	if err != nil {
		return err
	}
	w.image, w.imageBehind = x.image, x.behind.image && x.durable()
	if err := v.read(w, &place{off: SegmentHeader, open: true}, nil); err != nil {
		return err
	}
	w.durable = max(w.durable, x.used)
	return nil
}

// enter opens the file of a wreck.
func (v *salvager) enter(w *wreck) error {
	err := v.open(w.name)
	v.salt = w.header.salt
	return err
}

// read visits the valid batches of a wreck, of which p is the place before the
// first, and afterwards behind the last.
func (v *salvager) read(w *wreck, p *place, visit visitor) error {
	if err := v.enter(w); err != nil {
		return err
	}
	dirt, err := v.dirt(min(SegmentHeader, v.size))
	if err != nil {
		return err
	}
	w.records, w.first, w.last, w.end, w.lost, w.regions, w.claims = 0, 0, batchHeader{}, SegmentHeader, 0, nil, nil
	why := "" // of the damage from w.end on
	for off := w.end; off < dirt; {
		if w.last.flags&(FlagSeal|FlagOff) != 0 {
			why = "something follows the end of the segment"
			break
		}
		h, payload, size, wrong, err := v.try(w, p, off)
		if err != nil {
			return err
		}
		if wrong != "" {
			if off == w.end {
				why = wrong
			}
			off += size
			continue
		}
		w.damaged(off, why)
		w.take(&h, off, p, payload)
		if visit != nil {
			if err := visit(&h, off, payload); err != nil {
				return err
			}
		}
		off += size
	}
	w.damaged(dirt, why)
	return nil
}

// try reads what stands at off, if it is a batch that can stand behind p; wrong
// says why it is none. size is how far on the next one may stand.
func (v *salvager) try(w *wreck, p *place, off int64) (h batchHeader, payload []byte, size int64, wrong string, err error) {
	h, payload, wrong, err = v.batch(off, w.number)
	switch {
	case err != nil:
		return h, nil, 0, "", err
	case h.seq == 0:
		return h, nil, 8, wrong, nil // batches begin at multiples of 8
	case !p.admits(h.seq, off):
		return h, nil, 8, "no batch that can follow the one before", nil
	}
	if _, whole := countRecords(payload); wrong == "" && !whole {
		wrong = "a record is broken"
	}
	return h, payload, batchSize(int64(h.length)), wrong, nil
}

// damaged notes that between the last batch and an offset there is damage, if
// there is anything.
func (w *wreck) damaged(off int64, why string) {
	if off > w.end {
		w.regions = append(w.regions, Region{w.name, w.end, off - w.end, why})
	}
}

// take notes a batch.
func (w *wreck) take(h *batchHeader, off int64, p *place, payload []byte) {
	if p.seq > 0 || !p.open {
		w.lost += h.seq - p.seq - 1
	}
	if w.first == 0 {
		w.first = h.seq
	}
	if len(w.claims) == 0 || h.first != w.last.first {
		w.claims = append(w.claims, claim{off, h.first})
	}
	w.durable = max(w.durable, int64(h.synced))
	if h.flags&FlagClose != 0 {
		w.durable = off
	}
	n, _ := countRecords(payload)
	w.records += n
	w.last, w.end = *h, off+batchSize(int64(h.length))
	*p = place{seq: h.seq, off: w.end}
}

// firstOf returns the oldest segment that is part of the log, as far as this
// one says so, 0 if it does not. What the head says without being durable may
// not be so: what it was to free is still there then.
func (w *wreck) firstOf(head bool) (first uint32) {
	for _, c := range w.claims {
		if !head || c.off < w.durable {
			first = max(first, c.first)
		}
	}
	return first
}

// wrecks looks at all segments, by number.
func (v *salvager) wrecks() ([]*wreck, error) {
	var err error
	if v.report.Files, err = segmentNames(v.fs, v.dir); err != nil {
		return nil, err
	}
	var all []*wreck
	for _, name := range v.report.Files {
		w, err := v.wreck(name)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	for i, w := range all {
		err := v.examine(w)
		if err == nil && w.header.number == 0 && w.first == 0 { // perhaps the salt is what is damaged
			w.header.salt = saltNear(all, i)
			err = v.examine(w)
		}
		if err != nil {
			return nil, err
		}
	}
	return adopted(ordered(all)), nil
}

// saltNear returns the salt of the next segment with a header, or of the one
// before: segments of an epoch have the same.
func saltNear(all []*wreck, i int) uint32 {
	for _, w := range slices.Concat(all[i:], all[:i]) {
		if w.header.number != 0 {
			return w.header.salt
		}
	}
	return 0
}

// wreck reads the header of a segment. One that has the name of another is
// taken for what its header says, as its batches say the same.
func (v *salvager) wreck(name string) (*wreck, error) {
	w := &wreck{file: &file{name: name}}
	w.number, _ = parseName(name)
	if err := v.open(name); err != nil {
		return nil, err
	}
	w.size = v.size
	b, err := v.bytes(0, min(SegmentHeader, v.size))
	if err != nil {
		return nil, err
	}
	h, version, why := decodeSegment(b)
	switch {
	case version != 0:
		return nil, &VersionError{name, version, formatVersion}
	case why != "":
		w.why, w.whyBytes = why, SegmentHeader
	case h.number != w.number:
		w.why = fmt.Sprintf("by its header it is %s", segmentName(h.number))
		w.number = h.number
	}
	w.header, w.epoch = h, h.epoch
	w.header.salt = v.salt
	w.used, err = v.used(SegmentHeader)
	return w, err
}
