package aof

import (
	"fmt"

	"github.com/disqo/disqo/store/planted"
)

// choose makes an epoch the log: finds its head, its first segment and what is
// stale, and checks that none is missing. Nothing of it is visited yet.
func (v *survey) choose(epoch []*file) error {
	at := -1
	for i, f := range epoch {
		if f.used {
			at = i
		}
	}
	if at < 0 {
		return v.nothing(epoch)
	}
	head := epoch[at]
	v.report.Epoch, v.last = head.header.epoch, head.name
	var err error
	if v.head, err = v.scan(head, 0, nil); err != nil {
		return err
	}
	if v.head.last.flags&FlagOff != 0 {
		v.report.Off = true
		v.log = epoch[at : at+1]
		return v.tear(head, false)
	}
	if v.first, err = v.firstOf(epoch[:at+1]); err != nil {
		return err
	}
	if planted.Is(planted.StaleReplayStart) && v.first < head.number {
		v.first++
	}
	behind := len(epoch) - at - 1
	if err := v.tear(head, behind > mostSpares); err != nil {
		return err
	}
	for i, f := range epoch[:at+1] {
		if f.number >= v.first {
			v.log = epoch[i : at+1]
			break
		}
	}
	for i := range uint32(mostSpares) {
		spare := v.numbered(head.number + 1 + i)
		if spare == nil {
			break
		}
		v.spares = append(v.spares, spare)
	}
	return v.whole()
}

// nothing is an epoch without a batch: one that was just begun. Its first
// segment must be there, or it was not.
func (v *survey) nothing(epoch []*file) error {
	v.report.Empty = true
	if len(epoch) > 0 {
		v.last = epoch[0].name
		if p := epoch[0].header.previous; p != 0 {
			return v.missing(p, len(epoch))
		}
	}
	for _, f := range v.damaged {
		if f.used {
			return v.broken(f, 0)
		}
	}
	return nil
}

// firstOf returns the oldest segment that is part of the log, as its last batch
// says; without any batch, the first of the epoch is.
func (v *survey) firstOf(epoch []*file) (uint32, error) {
	if v.head.batches > 0 {
		return v.head.last.first, nil
	}
	for i := len(epoch) - 2; i >= 0; i-- {
		x, err := v.scan(epoch[i], 0, nil)
		if err != nil {
			return 0, err
		}
		if x.batches > 0 {
			return x.last.first, nil
		}
	}
	return epoch[0].number, nil
}

// tear judges damage in the head: corruption, or a torn end. sealed says that
// the head was durable when it was left.
func (v *survey) tear(head *file, sealed bool) error {
	x := &v.head
	if x.why == "" {
		return nil
	}
	if sealed || x.durable() {
		return v.corrupt(head, x, 0)
	}
	v.report.Torn = &TornError{head.name, x.used, x.dirt - x.used, x.behind.batches, x.behind.records, x.why}
	return nil
}

// numbered returns the file of that number, nil if there is none in the epoch
// of the log that could be a spare.
func (v *survey) numbered(number uint32) *file {
	for _, f := range v.files {
		if f.number == number && f.header.epoch == v.report.Epoch {
			return f
		}
	}
	for _, f := range v.damaged {
		if f.number == number && !f.used {
			return f
		}
	}
	return nil
}

// whole checks that the segments of the log follow each other.
func (v *survey) whole() error {
	head := v.log[len(v.log)-1]
	for _, f := range v.damaged {
		if f.number >= v.first && (f.used || f.number <= head.number) {
			return v.broken(f, len(v.log))
		}
	}
	want := v.first
	for i, f := range v.log {
		if f.number != want {
			return v.missing(want, len(v.log)-i)
		}
		if p := f.header.previous; i > 0 && p != want-1 || i == 0 && p != 0 && p != want-1 {
			return &CorruptError{f.name, 0, "by its header it does not follow " + segmentName(want-1), "unknown"}
		}
		want++
	}
	oldest := v.log[0]
	if v.report.Empty && oldest.header.previous != 0 {
		return v.missing(oldest.header.previous, len(v.log))
	}
	if v.head.last.flags&FlagSeal != 0 && len(v.spares) == 0 {
		return v.missing(want, 0)
	}
	return nil
}

func (v *survey) missing(number uint32, later int) error {
	return &CorruptError{segmentName(number), 0, "the segment is missing", fmt.Sprintf("what was in it, and %d later segments", later)}
}

func (v *survey) broken(f *file, later int) error {
	return &CorruptError{f.name, 0, f.why, fmt.Sprintf("this segment (%s bytes), and up to %d others", grouped(f.size), later)}
}
