package aof

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Salvage says what a repair keeps of a log, and what it loses.
type Salvage struct {
	Dir     string
	Why     string // why the log does not open as it is; "" if it is whole: there is nothing to repair
	Torn    bool   // Why is a torn end alone, which Open cuts by itself
	Epoch   uint64 // the one that is kept; 0 if its headers are all damaged
	Partial bool   // no image is complete: this is what is left of one
	Off     bool   // the log was switched off: nothing in it counts

	Batches int // kept
	Records int
	Bytes   int64 // of those records, with their frames

	Damaged []Region
	Missing []string // segments of which there is no file: a name, or two with "to" between
	Lost    uint64   // batches that are missing between those that are kept; how many were at the end nobody knows

	Files []string // every segment that is there: the repair sets them aside
	Aside string   // the subdirectory they go to
}

// Region is a damaged part of a segment: what was in it is lost.
type Region struct {
	File   string // name in the directory
	Offset int64  // bytes
	Length int64  // bytes; 0 if nothing is lost by it
	Why    string
}

// salvager reads what is left of a log.
type salvager struct {
	reader
	report *Salvage
	chain  []*wreck // what is read, in order
}

// explain asks Scan what is wrong, and returns any error that no repair mends.
func (v *salvager) explain() error {
	found, err := Scan(v.fs, v.dir, nil)
	s := v.report
	var corrupt *CorruptError
	switch {
	case errors.As(err, &corrupt):
		s.Why = corrupt.Error()
	case err != nil:
		return err
	case found.Torn != nil:
		s.Why, s.Torn = found.Torn.Error(), true
	default:
		s.Epoch, s.Batches, s.Records, s.Off = found.Epoch, found.Batches, found.Records, found.Off
	}
	return nil
}

// assess finds out what can be read; nothing is visited yet.
func assess(fs FS, dir string, now int64) (*salvager, error) {
	v := &salvager{reader: reader{fs: fs, dir: dir}, report: &Salvage{Dir: dir}}
	if err := v.explain(); err != nil || v.report.Why == "" {
		return v, err
	}
	if err := v.name(now); err != nil {
		return v, err
	}
	wrecks, err := v.wrecks()
	if err != nil {
		return v, err
	}
	v.choose(wrecks)
	return v, nil
}

// name finds a free name for the subdirectory.
func (v *salvager) name(now int64) error {
	names, err := v.fs.List(v.dir)
	if err != nil {
		return fmt.Errorf("aof: reading %s: %w", v.dir, err)
	}
	for second := now / 1000; ; second++ {
		v.report.Aside = fmt.Sprintf("damaged-%d", second)
		if !slices.Contains(names, v.report.Aside) {
			return nil
		}
	}
}

// choose makes the newest epoch whose image is complete the one that is kept;
// without any, the one of which most is left, the oldest of equals: a younger
// one may be the beginning of a repair.
func (v *salvager) choose(wrecks []*wreck) {
	epochs := map[uint64][]*wreck{}
	for _, w := range wrecks {
		epochs[w.epoch] = append(epochs[w.epoch], w)
	}
	var best []*wreck
	complete, most := false, -1
	for _, epoch := range sortedKeys(epochs) {
		group := epochs[epoch]
		whole, records := v.weigh(group)
		if whole || !complete && records > most {
			best, complete, most = group, whole, records
		}
	}
	v.report.Partial = !complete
	if len(best) > 0 {
		v.report.Epoch = best[0].epoch
		v.link(best)
	}
}

// weigh says whether the image of an epoch is complete, as Scan does, and how
// many records are left.
func (v *salvager) weigh(group []*wreck) (complete bool, records int) {
	for _, w := range group {
		complete = complete || w.image || w.imageBehind
		records += w.records
	}
	return complete, records
}

// link makes the chain of the segments that are part of the log, and lists
// those that are missing.
func (v *salvager) link(group []*wreck) {
	last := lastUsed(group)
	if last == nil {
		return
	}
	first := uint32(0)
	for _, w := range group {
		first = max(first, w.firstOf(w == last))
	}
	want := first
	for _, w := range group {
		if w.number < first || w.number > last.number {
			continue
		}
		if want == 0 {
			want = cmp.Or(w.header.previous, w.number)
		}
		v.gap(want, w.number)
		v.chain = append(v.chain, w)
		want = w.number + 1
	}
	v.report.Off = last.last.flags&FlagOff != 0
	if last.last.flags&FlagSeal != 0 && group[len(group)-1] == last {
		v.gap(want, want+1)
	}
}

// gap notes that the segments from one number up to another are missing.
func (v *salvager) gap(from, to uint32) {
	if from >= to {
		return
	}
	name := segmentName(from)
	if to-from > 1 {
		name += " to " + segmentName(to-1)
	}
	v.report.Missing = append(v.report.Missing, name)
}

// lastUsed returns the last one that holds something, nil if none does.
func lastUsed(group []*wreck) *wreck {
	for _, w := range slices.Backward(group) {
		if w.file.used {
			return w
		}
	}
	return nil
}

func sortedKeys(m map[uint64][]*wreck) []uint64 {
	keys := make([]uint64, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// visit reads the chain and completes the report.
func (v *salvager) visit(visit func(payload []byte) error) error {
	s := v.report
	p := place{off: SegmentHeader, open: true}
	for i, w := range v.chain {
		if w.why != "" {
			s.Damaged = append(s.Damaged, Region{w.name, 0, w.whyBytes, w.why})
		}
		if i == 0 && w.header.number != 0 && w.header.previous == 0 {
			p.open = false
		}
		err := v.read(w, &p, func(h *batchHeader, _ int64, payload []byte) error {
			if s.Off {
				return nil
			}
			n, _ := countRecords(payload)
			s.Batches++
			s.Records += n
			s.Bytes += int64(len(payload))
			return visit(payload)
		})
		if err != nil {
			return err
		}
		sealed := w.last.flags&FlagSeal != 0
		if i < len(v.chain)-1 && !sealed && (len(w.regions) == 0 || w.regions[len(w.regions)-1].Offset < w.end) {
			w.regions = append(w.regions, Region{w.name, w.end, max(0, w.size-w.end), "the segment ends without a seal"})
		}
		s.Damaged = append(s.Damaged, w.regions...)
		s.Lost += w.lost
		next := i + 1
		p = place{seq: p.seq, off: SegmentHeader, open: !sealed || next < len(v.chain) && v.chain[next].number != w.number+1}
	}
	return nil
}
