package aof

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Backup says what a backup consists of.
type Backup struct {
	Segments int   // files
	Bytes    int64 // of all of them; those of the log share them as long as they are there
}

// Backup makes a log of everything appended so far in another directory, which
// is made if need be and must be empty. It seals the head and gives the sealed
// segments a second name there, so both must be on one file system. Afterwards
// the directory opens, or can be copied to where it shall be opened, whatever
// happens to this log; its files and names are durable. Whoever opens it is not
// told that nothing is missing: what happened later is.
//
// While it works no segment is removed, and appenders go on. Until it is
// done, the directory does not open, or holds no record; after an error its files
// are removed, as far as that goes, and it stays. It ends early when ctx does, between
// two calls of the file system, or when the log ends. Errors: ErrBackup,
// ErrNotEmpty, ErrUnfinished, *FullError if there is no room for a new head, that
// of ctx, that which ended the log, and those of the file system, EXDEV among
// them.
func (l *Log) Backup(ctx context.Context, dir string) (*Backup, error) {
	if !l.backing.CompareAndSwap(false, true) {
		return nil, ErrBackup
	}
	defer l.backing.Store(false)
	if err := l.vacant(dir); err != nil {
		return nil, err
	}
	l.dropMu.Lock()
	defer l.dropMu.Unlock()
	c, err := l.freeze()
	if err != nil {
		return nil, err
	}
	c.dir = dir
	if err := c.fill(ctx); err != nil {
		return nil, errors.Join(err, removeFiles(l.o.FS, dir, c.made))
	}
	return &c.report, nil
}

// vacant makes a directory that is to be empty, durably, also if it is there.
func (l *Log) vacant(dir string) error {
	if err := l.o.FS.MkdirAll(dir); err != nil {
		return fmt.Errorf("aof: making %s: %w", dir, err)
	}
	if err := syncDir(l.o.FS, filepath.Dir(dir)); err != nil {
		return err
	}
	names, err := l.o.FS.List(dir)
	if err != nil {
		return fmt.Errorf("aof: reading %s: %w", dir, err)
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: %s", ErrNotEmpty, dir)
	}
	return nil
}

// copier makes a backup.
type copier struct {
	l      *Log
	dir    string
	sealed []SealedSegment
	head   segmentHeader // of the backup's own head,
	mark   batchHeader   // and its only batch
	made   []string      // names in dir
	report Backup
}

// freeze seals what was appended so far, and notes what a log of that ends
// with: a segment that has the place of the new head. dropMu is held.
func (l *Log) freeze() (*copier, error) {
	now := l.o.Now()
	if err := l.acquire(); err != nil {
		return nil, err
	}
	defer l.release()
	if !l.image {
		return nil, ErrUnfinished
	}
	if l.full != nil {
		return nil, l.full // what is left of the head is needed
	}
	if l.off > SegmentHeader || len(l.open) > BatchHeader {
		if err := l.flushMarked(mark{}); err != nil {
			return nil, err
		}
		if err := l.rotate(0, false); err != nil {
			return nil, err
		}
	}
	number := l.head.number
	return &copier{
		l: l, sealed: slices.Clone(l.sealed),
		head: segmentHeader{number: number, previous: number - 1, epoch: l.epoch, created: now, salt: l.salt},
		mark: batchHeader{
			seq: l.seq + 1, segment: number, first: l.first, synced: SegmentHeader, flags: FlagImage, time: now,
			sum: checksum(nil),
		},
	}, nil
}

// fill makes the files, whose names are durable at the end. While any is missing
// the directory does not open: the head says which segments are before it, and
// without it the last one has a seal and no successor. So that it cannot be
// there and say nothing, it comes first.
func (c *copier) fill(ctx context.Context) error {
	if err := c.makeHead(); err != nil {
		return err
	}
	for _, s := range c.sealed {
		if err := c.goingOn(ctx); err != nil {
			return err
		}
		if err := c.link(s); err != nil {
			return err
		}
	}
	return syncDir(c.l.o.FS, c.dir)
}

// goingOn says why a backup is to be given up, nil if it is not.
func (c *copier) goingOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("aof: the backup was given up: %w", err)
	}
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.closing {
		return ErrClosed
	}
	return c.l.err
}

// makeHead makes the head of the backup; what it holds is durable. It is no file
// of the log, and the only one that whoever opens the backup writes to.
func (c *copier) makeHead() error {
	b := append(c.head.encode(), make([]byte, BatchHeader)...)
	c.mark.put(b[SegmentHeader:], c.head.salt)
	name := segmentName(c.head.number)
	path := join(c.dir, name)
	f, err := c.l.o.FS.Create(path)
	if err != nil {
		return fmt.Errorf("aof: making %s: %w", path, err)
	}
	c.made = append(c.made, name)
	if err = writeFull(f, b, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("aof: writing %s: %w", path, err)
	}
	c.add(int64(len(b)))
	return nil
}

// link gives a sealed segment its second name.
func (c *copier) link(s SealedSegment) error {
	name := segmentName(s.Number)
	if err := c.l.o.FS.Link(c.l.path(name), join(c.dir, name)); err != nil {
		return fmt.Errorf("aof: linking %s into %s: %w", c.l.path(name), c.dir, err)
	}
	c.made = append(c.made, name)
	c.add(s.Bytes)
	return nil
}

func (c *copier) add(bytes int64) {
	c.report.Segments++
	c.report.Bytes += bytes
}
