package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/disqo/disqo/server/disqueaof"
)

// fate is what becomes of a job that is live in a file.
type fate int

const (
	toPut          fate = iota
	ttlOver             // Disque would not load it either
	wasDelivered        // at most once, and delivered
	mayBeDelivered      // at most once, and nobody knows whether it was delivered
	fateCount
)

// plan is what the files have, and what is to become of it.
type plan struct {
	files      []fileSums
	jobs       []*disqueaof.Job // those that are to be put, in the order of their creation
	rest       []*disqueaof.Job // the others
	counts     [fateCount]int
	duplicates int // jobs that were in an earlier file, too
}

// fileSums is what a file was found to have.
type fileSums struct {
	path                        string
	loaded, removed, size, live int64
}

// read reads the files and judges their jobs. Errors name the file, and say what to
// do if that is not plain.
func (im *importer) read() (*plan, error) {
	p := &plan{}
	all := map[disqueaof.ID]*disqueaof.Job{}
	for _, path := range im.files {
		l, err := im.readFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if im.rewritten && l.Removed > 0 {
			return nil, fmt.Errorf("%s was not written by SHUTDOWN REWRITE-AOF alone, as it has DELJOB: do without --rewritten", path)
		}
		p.files = append(p.files, fileSums{path, l.Loaded, l.Removed, l.Size, int64(len(l.Jobs))})
		for id, j := range l.Jobs {
			if all[id] != nil {
				p.duplicates++
				continue
			}
			all[id] = j
		}
	}
	now := im.now().UnixMilli()
	for _, j := range all {
		f := judge(j, now, im.rewritten)
		p.counts[f]++
		if f == toPut {
			p.jobs = append(p.jobs, j)
		} else {
			p.rest = append(p.rest, j)
		}
	}
	slices.SortFunc(p.jobs, func(a, b *disqueaof.Job) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return p, nil
}

// readFile reads a file, and warns if it ends within a command.
func (im *importer) readFile(path string) (*disqueaof.Log, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := newMeter(im.stderr, im.now)
	l, err := disqueaof.Read(f, func(done int64, live int) {
		m.show(done, info.Size(), fmt.Sprintf("of %s read, %d jobs live", path, live))
	})
	m.end()
	var corrupt *disqueaof.CorruptError
	switch {
	case errors.As(err, &corrupt) && corrupt.Offset == 0:
		return nil, fmt.Errorf("%w\nThis is no append-only file of Disque. One of disque-module begins with a snapshot of Redis, which is not understood", err)
	case errors.As(err, &corrupt):
		return nil, fmt.Errorf("%w\nTo import what stands before that: head -c %d %s > before.aof", err, corrupt.Offset, path)
	case err != nil:
		return nil, err
	}
	if l.Cut > 0 {
		fmt.Fprintf(im.stderr, "disqo: import-disque: %s: warning: the last command, at offset %d, is cut after %d bytes, as when a node is killed: it is left out\n",
			path, l.Size, l.Cut)
	}
	return l, nil
}

// judge says what becomes of a job at now, Unix milliseconds. A node that was killed and
// started again knows no deliveries from before: its at-most-once jobs are active ever
// after, so only those that are queued, or delayed, are known not to be delivered.
func judge(j *disqueaof.Job, now int64, rewritten bool) fate {
	ttl, delay := remaining(j, now)
	switch {
	case ttl == 0:
		return ttlOver
	case j.Retry > 0:
		return toPut
	case j.Delivered:
		return wasDelivered
	case rewritten && (j.State == disqueaof.Queued || delay > 0):
		return toPut
	}
	return mayBeDelivered
}

// remaining returns the seconds that are left of a job's TTL and DELAY at now, Unix
// milliseconds; begun ones count whole. ttl is 0 if it is over, and above delay otherwise.
func remaining(j *disqueaof.Job, now int64) (ttl, delay int64) {
	ttl = min(max(0, (j.Expires*1000-now+999)/1000), math.MaxUint32)
	if ttl == 0 || j.State == disqueaof.Queued || j.Delivered {
		return ttl, 0
	}
	queued := int64(j.Created/1e6) + int64(j.Delay)*1000
	delay = max(0, (queued-now+999)/1000)
	return ttl, min(delay, int64(j.Delay), ttl-1)
}
