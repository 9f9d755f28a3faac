package aof

import "slices"

// Scan reads the log in a directory and visits its batches in order. It changes
// nothing and takes no lock. The report is as full as could be if there is an
// error: *CorruptError, *VersionError, one of the file system, or that of
// visit, which ends the scan. A torn end is no error; the report has it. It
// uses memory for 1 MiB or the largest batch.
func Scan(fs FS, dir string, visit func(*Batch) error) (*Report, error) {
	v, err := look(fs, dir)
	defer v.close()
	if err == nil {
		err = v.visit(visit)
	}
	return v.report, err
}

// look surveys a directory; nothing is visited yet.
func look(fs FS, dir string) (*survey, error) {
	v := &survey{reader: reader{fs: fs, dir: dir}, report: &Report{Dir: dir}}
	if err := v.take(); err != nil {
		return v, err
	}
	err := v.find()
	v.stale()
	return v, err
}

// stale lists the files that are no part of the log.
func (v *survey) stale() {
	for _, f := range append(slices.Clone(v.files), v.damaged...) {
		if v.report.Empty || !slices.Contains(v.spares, f) && !slices.Contains(v.log, f) {
			v.report.Stale = append(v.report.Stale, f.name)
		}
	}
	slices.Sort(v.report.Stale)
}

// visit reads the log from its first segment to its head.
func (v *survey) visit(visit func(*Batch) error) error {
	r := v.report
	if r.Empty || r.Off {
		return nil
	}
	last := v.head.last
	r.Clean = v.head.why == "" && (last.flags&FlagClose != 0 || last.flags&FlagSeal != 0 && v.head.prev.flags&FlagClose != 0)
	b := &Batch{Total: v.head.used}
	for _, f := range v.log[:len(v.log)-1] {
		b.Total += f.size
	}
	seq := uint64(0)
	if v.log[0].header.previous == 0 {
		seq = 1
	}
	for i, f := range v.log {
		x, err := v.visitSegment(f, i, seq, b, visit)
		if err != nil {
			return err
		}
		if x.batches > 0 {
			seq = x.last.seq + 1
			r.Always = x.last.flags&FlagAlways != 0
		}
		v.head.last.seq = max(v.head.last.seq, x.last.seq)
		b.Done += f.size
	}
	for _, s := range v.spares {
		r.Segments = append(r.Segments, SegmentInfo{
			Number: s.number, Name: s.name, Epoch: r.Epoch, Created: s.header.created, Size: s.size, Used: min(SegmentHeader, s.size), Spare: true,
		})
		r.Bytes += min(SegmentHeader, s.size)
	}
	return nil
}

// visitSegment reads the i-th segment of the log; b is reused for each batch,
// b.Done is what the earlier segments had.
func (v *survey) visitSegment(f *file, i int, seq uint64, b *Batch, visit func(*Batch) error) (extent, error) {
	before := b.Done
	x, err := v.scan(f, seq, func(h *batchHeader, off int64, payload []byte) error {
		b.Segment, b.Offset, b.Seq, b.Time, b.Flags = f.number, off, h.seq, h.time, h.flags
		b.First, b.Synced, b.Bytes, b.payload = h.first, int64(h.synced), int64(h.length), payload
		b.Done = before + off + batchSize(int64(h.length))
		if visit == nil {
			return nil
		}
		return visit(b)
	})
	b.Done = before
	if err != nil {
		return x, err
	}
	r := v.report
	r.Segments = append(r.Segments, SegmentInfo{
		Number: f.number, Name: f.name, Epoch: f.header.epoch, Created: f.header.created, Size: f.size, Used: x.used,
		Batches: x.batches, Records: x.records,
	})
	r.Batches += x.batches
	r.Records += x.records
	r.Bytes += x.used
	later := len(v.log) - 1 - i
	switch {
	case later > 0 && (x.why != "" || x.last.flags&FlagSeal == 0):
		if x.why == "" {
			x.why = "the segment ends without a seal"
		}
		return x, v.corrupt(f, &x, later)
	case later == 0 && x.used != v.head.used:
		return x, v.corrupt(f, &x, 0) // a sequence number does not follow the segment before
	}
	return x, nil
}
