package aof

import (
	"errors"
	"fmt"
	"slices"
)

// mostPacked bounds the batches that a repair writes, bytes.
const mostPacked = 1 << 20

// Assess says what Repair would do, and changes nothing. Errors: ErrLocked,
// *VersionError, and those of the file system.
func Assess(o Options) (*Salvage, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("aof: reading %s: %w", o.Dir, err)
	}
	if slices.Contains(names, lockName) { // else nobody holds it, and it is not made
		lock, err := o.FS.Lock(join(o.Dir, lockName))
		if err != nil {
			return nil, fmt.Errorf("aof: locking %s: %w", o.Dir, err)
		}
		defer func() { _ = lock.Close() }() // nothing was written
	}
	v, err := assess(o.FS, o.Dir, o.Now())
	defer v.close()
	if err == nil {
		err = v.visit(func([]byte) error { return nil })
	}
	return v.report, err
}

// Repair makes a log that opens of one that does not: it writes the records of
// every valid batch, also of those behind damage, into a new epoch, and moves
// the old segments into a subdirectory. The new log is not marked as clean, so
// that nothing is concluded from what it lacks. A log that is whole is left
// alone; a torn end is mended by Open too, which drops what stands behind it.
//
// Until the new log is complete and durable the old one is the log, whatever
// happens; there must be space for both. Errors are those of Assess and of
// writing, *FullError among them. With an error behind that point the report's
// Aside says where the old segments were to go; what is still in the directory
// is removed by the next Open.
func Repair(o Options) (*Salvage, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if _, err := segmentNames(o.FS, o.Dir); err != nil { // before the directory is made
		return nil, err
	}
	o.Policy = No
	l, err := prepared(o)
	if err != nil {
		return nil, err
	}
	v, err := assess(o.FS, o.Dir, o.Now())
	defer v.close()
	if err != nil || v.report.Why == "" {
		return v.report, errors.Join(err, l.lock.Close())
	}
	number, epoch, err := l.survivors()
	if err == nil {
		err = l.begin(number, epoch)
	}
	l.old = nil // which Image would remove
	if l, _, err = l.started(o, nil, err); err != nil {
		return v.report, err
	}
	return v.report, v.replace(l)
}

// replace fills a log that was just begun, and puts it in the place of the old
// one. It is left as by a kill: that is what a clean stop would hide.
func (v *salvager) replace(l *Log) error {
	err := v.refill(l)
	if err == nil {
		err = l.o.FS.MkdirAll(l.path(v.report.Aside))
	}
	if err != nil {
		return errors.Join(err, l.discard())
	}
	if err = l.Image(); err == nil {
		err = v.setAside(l)
	} else if full := (*FullError)(nil); errors.As(err, &full) {
		err = errors.Join(err, l.discard())
	}
	l.Abandon()
	return err
}

// refill appends what was salvaged.
func (v *salvager) refill(l *Log) error {
	var buf []byte
	var ends []int
	flush := func() error {
		n := len(buf) + len(ends)*RecordOverhead
		if n == 0 {
			return nil
		}
		if err := l.Reserve(n, Ordinary, 0); err != nil {
			return err
		}
		pos := l.Append(buf, ends, n)
		buf, ends = buf[:0], ends[:0]
		return l.Commit(pos)
	}
	most := min(mostPacked, l.limit)
	err := v.visit(func(payload []byte) error {
		for len(payload) > 0 {
			var rec []byte
			rec, payload, _ = cutRecord(payload)
			if int64(len(buf)+len(rec)+(len(ends)+1)*RecordOverhead) > most {
				if err := flush(); err != nil {
					return err
				}
			}
			buf = append(buf, rec...)
			ends = append(ends, len(buf))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// setAside moves the old segments into the subdirectory, durably.
func (v *salvager) setAside(l *Log) error {
	aside := l.path(v.report.Aside)
	for _, name := range v.report.Files {
		if err := l.o.FS.Rename(l.path(name), join(aside, name)); err != nil {
			return fmt.Errorf("aof: moving %s to %s: %w", l.path(name), aside, err)
		}
	}
	for _, dir := range []string{aside, l.o.Dir} {
		if err := l.o.FS.SyncDir(dir); err != nil {
			return fmt.Errorf("aof: syncing %s: %w", dir, err)
		}
	}
	return nil
}

// discard ends a log that is not complete and removes its segments, so that
// another try has their space.
func (l *Log) discard() error {
	l.Abandon()
	lock, err := l.o.FS.Lock(join(l.o.Dir, lockName))
	if err != nil {
		return fmt.Errorf("aof: locking %s: %w", l.o.Dir, err)
	}
	names, err := segmentNames(l.o.FS, l.o.Dir)
	if err == nil {
		names = slices.DeleteFunc(names, func(name string) bool {
			n, _ := parseName(name)
			return n < l.start
		})
		slices.Reverse(names)
		err = removeFiles(l.o.FS, l.o.Dir, names)
	}
	return errors.Join(err, lock.Close())
}
