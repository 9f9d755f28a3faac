package aof

import (
	"cmp"
	"slices"
)

// ordered sorts wrecks by number. Of several with one number, the one that is
// called so is the segment.
func ordered(all []*wreck) []*wreck {
	named := func(w *wreck) int {
		if w.name == segmentName(w.number) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b *wreck) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(named(a), named(b)))
	})
	return slices.CompactFunc(all, func(a, b *wreck) bool { return a.number == b.number })
}

// adopted gives wrecks without a header the epoch that they must be of: epochs
// are runs of numbers, in each of which the sequence numbers of batches grow.
func adopted(all []*wreck) []*wreck {
	for i, w := range all {
		if w.header.number != 0 {
			continue
		}
		var before, behind *wreck
		for j := i - 1; j >= 0 && (before == nil || before.first == 0 && all[j].epoch == before.epoch); j-- {
			before = all[j]
		}
		at := slices.IndexFunc(all[i:], func(o *wreck) bool { return o.header.number != 0 })
		if at > 0 {
			behind = all[i+at]
		}
		w.epoch = epochBetween(w, before, behind, at)
	}
	return all
}

// epochBetween returns the epoch of a wreck without a header that stands behind
// another, the last with batches of its epoch, and that many places before the
// next one that has a header; both may be missing.
func epochBetween(w, before, behind *wreck, places int) uint64 {
	switch {
	case behind != nil && behind.header.previous != 0 && behind.number-w.number == uint32(places) &&
		(w.first == 0 || behind.first == 0 || w.last.seq < behind.first):
		return behind.epoch
	case before == nil:
		return 0
	case w.first == 0 || w.first > before.last.seq || behind != nil:
		return before.epoch
	}
	return before.epoch + 1
}
