package aof

import (
	"fmt"
	"slices"
)

// survey finds out what the files in a directory are, before any is read as a
// part of the log.
type survey struct {
	reader
	files   []*file // valid headers, by number
	damaged []*file // others, by number
	report  *Report

	log    []*file // the log from its first segment to its head; empty if there is none
	first  uint32  // number of its first segment
	head   extent
	spares []*file // those behind the head; the headers may be damaged
	last   string  // an empty log is removed with this one last; "" if that does not matter
}

// file is a segment in the directory.
type file struct {
	name   string
	number uint32
	size   int64
	header segmentHeader
	why    string // what is wrong with the header
	used   bool   // something stands behind the header
}

// take lists the files and reads their headers.
func (v *survey) take() error {
	names, err := segmentNames(v.fs, v.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		f := &file{name: name}
		f.number, _ = parseName(name)
		if err := v.open(name); err != nil {
			return err
		}
		if err := v.header(f); err != nil {
			return err
		}
		if f.why == "" {
			v.files = append(v.files, f)
		} else {
			v.damaged = append(v.damaged, f)
		}
	}
	return nil
}

// header reads the header of the open file.
func (v *survey) header(f *file) error {
	f.size = v.size
	b, err := v.bytes(0, min(SegmentHeader, v.size))
	if err != nil {
		return err
	}
	h, version, why := decodeSegment(b)
	if version != 0 {
		return &VersionError{f.name, version, formatVersion}
	}
	f.header, f.why = h, why
	if why == "" && h.number != f.number {
		return &CorruptError{f.name, 0, fmt.Sprintf("by its header it is %s", segmentName(h.number)), "unknown"}
	}
	f.used, err = v.reader.used(SegmentHeader)
	return err
}

// find chooses the epoch that counts, the newest one whose image is complete,
// and checks that it is whole. If there is none, the newest is checked all the
// same: damage must not make a log pass for one that never was.
func (v *survey) find() error {
	rest := v.files
	var newest []*file
	for len(rest) > 0 {
		epoch, others := newestEpoch(rest)
		complete, err := v.weigh(epoch)
		if err != nil {
			return err
		}
		if complete {
			return v.choose(epoch)
		}
		if newest == nil {
			newest = epoch
		}
		rest = others
	}
	for _, f := range v.damaged {
		if f.used {
			return v.broken(f, 0)
		}
	}
	v.report.Empty = true
	return v.choose(newest)
}

// newestEpoch splits off the files of the greatest epoch.
func newestEpoch(files []*file) (epoch, others []*file) {
	var most uint64
	for _, f := range files {
		most = max(most, f.header.epoch)
	}
	for _, f := range files {
		if f.header.epoch == most {
			epoch = append(epoch, f)
		} else {
			others = append(others, f)
		}
	}
	return epoch, others
}

// weigh says whether the image of an epoch is complete. Usually its first batch
// says so. One that is said to be complete only behind damage that is no torn
// end is corrupt.
func (v *survey) weigh(epoch []*file) (complete bool, err error) {
	if err := v.open(epoch[0].name); err != nil {
		return false, err
	}
	h, _, why, err := v.batch(SegmentHeader, epoch[0].number)
	if err != nil || why == "" && h.flags&FlagImage != 0 {
		return err == nil, err
	}
	last := true
	for _, f := range slices.Backward(epoch) {
		if !f.used {
			continue
		}
		x, err := v.scan(f, 0, nil)
		if err != nil || x.image {
			return err == nil, err
		}
		if x.behind.image && (!last || x.durable()) {
			return false, v.corrupt(f, &x, 0)
		}
		last = false
	}
	return false, nil
}

// scan reads one segment.
func (v *survey) scan(f *file, seq uint64, visit visitor) (extent, error) {
	if err := v.open(f.name); err != nil {
		return extent{}, err
	}
	return v.extent(f.number, seq, visit)
}

// corrupt says what is lost by damage in f, with that many segments behind it.
func (v *survey) corrupt(f *file, x *extent, later int) error {
	lost := fmt.Sprintf("%s bytes, in which %d batches, %d records (%s bytes) are still whole",
		grouped(x.dirt-x.used), x.behind.batches, x.behind.records, grouped(x.behind.bytes))
	if later > 0 {
		lost += fmt.Sprintf(", and %d later segments", later)
	}
	return &CorruptError{f.name, x.used, x.why, lost}
}
