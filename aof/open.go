package aof

import (
	"errors"
	"fmt"
	"math"
)

// Open opens the log in a directory for writing: it takes the lock, visits
// every batch, mends a torn end, removes files that are no part of the log, and
// goes on in the head, or in the next segment if the log was closed. In an empty
// directory a new log begins, whose image is complete; so does one in place of
// a log that was switched off, of which no batch is visited. The report is
// there also with an error, if the scan had begun. Errors are those of Scan,
// ErrLocked, *TornError if torn ends are refused, and *FullError.
//
// After a log that was neither closed nor written under Always, no batch has
// FlagAlways before Trust was called.
func Open(o Options, visit func(*Batch) error) (*Log, *Report, error) {
	l, err := prepared(o)
	if err != nil {
		return nil, nil, err
	}
	v, err := look(l.o.FS, l.o.Dir)
	if err == nil && v.report.Torn != nil && o.RefuseTorn {
		err = v.report.Torn
	}
	if err == nil {
		err = v.visit(visit)
	}
	v.close()
	r := v.report
	l.doubt.Store(!r.Clean && !r.Always && !r.Empty && !r.Off)
	if err == nil {
		err = l.enter(v)
	}
	return l.started(o, r, err)
}

// Begin starts a new epoch beside whatever is in the directory, of which names
// and headers are read only, to number on. Until Image it is not the log.
func Begin(o Options) (*Log, error) {
	l, err := prepared(o)
	if err != nil {
		return nil, err
	}
	number, epoch, err := l.survivors()
	if err == nil {
		err = l.begin(max(number, o.Above), epoch)
	}
	l, _, err = l.started(o, nil, err)
	return l, err
}

// prepared returns a log without a segment that holds the lock.
func prepared(o Options) (*Log, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("aof: making %s: %w", o.Dir, err)
	}
	lock, err := o.FS.Lock(join(o.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("aof: locking %s: %w", o.Dir, err)
	}
	o.OnFail = nil // errors of opening are returned
	return newLog(o, lock), nil
}

// started runs the log, or gives up on it.
func (l *Log) started(o Options, r *Report, err error) (*Log, *Report, error) {
	if err != nil {
		if l.head != nil {
			_ = l.head.file.Close()
		}
		for _, s := range l.spares {
			_ = s.file.Close()
		}
		_ = l.lock.Close()
		return nil, r, err
	}
	l.o.OnFail = o.OnFail
	l.start = l.first
	l.headNum.Store(l.head.number)
	l.run()
	return l, r, nil
}

// survivors returns the number and the epoch that come after all that are in
// the directory, and remembers the files, for Image to remove.
func (l *Log) survivors() (number uint32, epoch uint64, err error) {
	if l.old, err = segmentNames(l.o.FS, l.o.Dir); err != nil {
		return 0, 0, err
	}
	r := reader{fs: l.o.FS, dir: l.o.Dir}
	defer r.close()
	for _, name := range l.old {
		n, _ := parseName(name)
		number = max(number, n)
		if err := r.open(name); err != nil {
			return 0, 0, err
		}
		b, err := r.bytes(0, min(SegmentHeader, r.size))
		if err != nil {
			return 0, 0, err
		}
		h, version, _ := decodeSegment(b)
		if version != 0 {
			return 0, 0, &VersionError{name, version, formatVersion}
		}
		epoch = max(epoch, h.epoch)
	}
	return number, epoch, nil
}

// begin makes the first segment of the epoch after epoch, numbered on.
func (l *Log) begin(number uint32, epoch uint64) (err error) {
	if number == math.MaxUint32 || epoch == math.MaxUint64 {
		return errNumbers
	}
	l.epoch, l.salt = epoch+1, l.o.Salt()
	h := segmentHeader{number: number + 1, epoch: l.epoch}
	if l.head, err = l.make(h, l.o.SegmentSize, 0); err != nil {
		return l.unmade(h.number, l.o.SegmentSize, err)
	}
	l.seq, l.first, l.off, l.syncedTo = 0, l.head.number, SegmentHeader, SegmentHeader
	return nil
}

// unmade explains that a segment could not be made.
func (l *Log) unmade(number uint32, size int64, err error) error {
	path := l.path(segmentName(number))
	if isFull(err) {
		return &FullError{path, size, err}
	}
	return fmt.Errorf("aof: making %s: %w", path, err)
}

// enter goes on behind what a survey found.
func (l *Log) enter(v *survey) error {
	if v.report.Empty || v.report.Off {
		return l.restart(v)
	}
	return l.resume(v)
}

// restart removes a log that is empty and begins another, the image of which
// is complete.
func (l *Log) restart(v *survey) error {
	if len(v.log) > 0 {
		if err := l.bury(v); err != nil {
			return err
		}
	}
	number, epoch, err := l.survivors()
	l.old = nil
	if err == nil {
		err = removeAll(l.o.FS, l.o.Dir, v.last)
	}
	if err == nil {
		err = l.begin(number, epoch)
	}
	if err != nil {
		return err
	}
	l.image = true
	return l.mark(FlagImage)
}

// bury makes it durable that a log is empty, before any of it is removed: no
// crash meanwhile shall make the rest look like a log that lost something. An
// off that was read may not be durable yet. An image that was not completed is
// switched off, in its next segment if the last one is sealed.
func (l *Log) bury(v *survey) error {
	err := l.last(v)
	if err == nil && v.report.Empty {
		if v.head.last.flags&FlagSeal != 0 {
			err = l.leaveHead(v)
			v.last = segmentName(l.head.number)
		}
		if err == nil {
			err = l.mark(FlagOff | FlagImage)
		}
	}
	if err != nil {
		return err
	}
	head := l.head
	l.head, l.sealed, l.stats = nil, nil, Sizes{} // the next log has nothing of this one
	if err := head.file.Close(); err != nil {
		return fmt.Errorf("aof: closing %s: %w", head.path, err)
	}
	return nil
}

// resume goes on with a log. What it ends in is durable before anything is
// removed on account of it.
func (l *Log) resume(v *survey) error {
	l.image = true
	if err := l.last(v); err != nil {
		return err
	}
	if err := removeFiles(l.o.FS, l.o.Dir, v.report.Stale); err != nil {
		return err
	}
	l.before(v)
	used := 0
	if v.head.shut || v.head.last.flags&FlagSeal != 0 || l.off+BatchHeader+tail > l.head.size ||
		len(v.spares) > 0 && l.head.free(l.off) < 0 {
		if err := l.leaveHead(v); err != nil {
			return err
		}
		used = min(1, len(v.spares))
	}
	l.stats = Sizes{}
	for i := used; i < len(v.spares); i++ {
		spare, err := l.adopt(v, i, l.head.number+uint32(i-used))
		if errors.As(err, &l.full) {
			break // there is space, or there is not: the keeper will see
		}
		if err != nil {
			return err
		}
		l.spares = append(l.spares, spare)
	}
	return l.mark(0) // from here on it is no log that was closed, whatever may be lost of it
}

// leaveHead goes on in the next segment, as the log was closed in the head or
// has filled it. The next one is there before the head is sealed.
func (l *Log) leaveHead(v *survey) error {
	old := l.head
	if len(v.spares) == 0 { // which takes space that this one does not need
		if err := old.file.Truncate(l.off + BatchHeader); err != nil {
			return fmt.Errorf("aof: cutting %s: %w", old.path, err)
		}
	}
	next, err := l.adopt(v, 0, old.number)
	if err != nil {
		return err
	}
	if v.head.last.flags&FlagSeal == 0 {
		if err := l.mark(FlagSeal); err != nil {
			return errors.Join(err, next.file.Close())
		}
	}
	if err := old.file.Truncate(l.off); err != nil {
		return errors.Join(fmt.Errorf("aof: cutting %s: %w", old.path, err), next.file.Close())
	}
	l.sealed = append(l.sealed, SealedSegment{old.number, l.off, l.off})
	l.head, l.off, l.syncedTo = next, SegmentHeader, SegmentHeader
	if err := old.file.Close(); err != nil {
		return fmt.Errorf("aof: closing %s: %w", old.path, err)
	}
	return nil
}

// before lists the segments before the one that the log ends in as sealed.
func (l *Log) before(v *survey) {
	for i, f := range v.log[:len(v.log)-1] {
		l.sealed = append(l.sealed, SealedSegment{f.number, f.size, v.report.Segments[i].Used})
	}
}

// last opens the segment that the log ends in as the head, wipes a torn end and
// makes it durable. What may not have been so before is written anew: if a sync
// failed, the system has it in memory, takes it for written, and would lose it.
func (l *Log) last(v *survey) error {
	f, x := v.log[len(v.log)-1], &v.head
	l.epoch, l.salt = f.header.epoch, f.header.salt
	path := l.path(f.name)
	file, err := l.o.FS.Open(path, true)
	if err != nil {
		return fmt.Errorf("aof: opening %s: %w", path, err)
	}
	l.head = &segment{number: f.number, path: path, file: file, size: f.size}
	l.seq, l.first, l.off, l.syncedTo = x.last.seq, v.first, x.used, x.used
	err = writeAgain(file, int64(x.last.synced), x.used)
	if err == nil && x.why != "" {
		err = writeZeros(file, x.used, x.dirt)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return fmt.Errorf("aof: mending %s: %w", path, err)
	}
	return nil
}

// mark writes an empty batch durably, while nobody else has the log.
func (l *Log) mark(flags Flags) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.empty(flags); err != nil {
		return err
	}
	return l.syncHead()
}

// adopt makes the segment after number, of the i-th spare that is there if
// there is one, whatever its header and size, and otherwise as large as the
// space allows: a full disk does not keep us from starting.
func (l *Log) adopt(v *survey, i int, number uint32) (*segment, error) {
	if number == math.MaxUint32 {
		return nil, errNumbers
	}
	h := segmentHeader{number: number + 1, previous: number, epoch: l.epoch}
	if i < len(v.spares) {
		s, err := l.reuse(v.spares[i], h)
		if !isFull(err) {
			return s, err
		}
		if err := removeFiles(l.o.FS, l.o.Dir, []string{v.spares[i].name}); err != nil { // it holds nothing
			return nil, err
		}
	}
	for size := l.o.SegmentSize; ; size /= 2 {
		s, err := l.make(h, size, 0)
		if err == nil {
			return s, nil
		}
		if !isFull(err) || size/2 < minSegment {
			return nil, l.unmade(h.number, size, err)
		}
	}
}

// reuse makes a segment of a spare.
func (l *Log) reuse(spare *file, h segmentHeader) (*segment, error) {
	size := spare.size
	if size < minSegment {
		size = l.o.SegmentSize
	}
	path := l.path(spare.name)
	f, err := l.o.FS.Open(path, true)
	if err != nil {
		return nil, fmt.Errorf("aof: opening %s: %w", path, err)
	}
	h.created, h.salt = l.o.Now(), l.salt
	err = f.Allocate(size)
	if err == nil {
		err = l.prepare(f, h, size)
	}
	if err != nil {
		return nil, errors.Join(l.unmade(h.number, size, err), f.Close())
	}
	return &segment{number: h.number, path: path, file: f, size: size}, nil
}
