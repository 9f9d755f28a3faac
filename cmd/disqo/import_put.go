package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/server/disqueaof"
)

// Jobs are put by pipelines of so many, or of so many bytes. What was sent and not
// answered when a connection breaks may be put twice, so it should not be much more.
const (
	batchJobs  = 256
	batchBytes = 4 << 20
)

var errInterrupted = errors.New("interrupted")

// putInto puts the jobs of a plan where they are to be put. Without an outcome none was.
func (im *importer) putInto(ctx context.Context, p *plan) (*outcome, error) {
	if im.into == "" {
		return im.put(ctx, p)
	}
	b, err := startInner(im.into, im.resume, im.stderr)
	if err != nil {
		return nil, err
	}
	im.Options = client.Options{Addr: b.addr}
	o, err := im.put(ctx, p)
	return o, errors.Join(err, b.stop())
}

// put puts the jobs of a plan into the broker. Without an outcome none was put.
func (im *importer) put(ctx context.Context, p *plan) (*outcome, error) {
	b, err := dialBroker(ctx, &im.Options)
	if err != nil {
		return nil, err
	}
	defer b.close()
	l, err := openLedger(im.ledger, im.resume)
	if err != nil {
		return nil, err
	}
	o := &outcome{to: cmp.Or(im.into, im.Addr), ledger: im.ledger}
	jobs := o.skip(p.jobs, l)
	o.left = len(jobs)
	m := newMeter(im.stderr, im.now)
	for len(jobs) > 0 && err == nil {
		var batch []*disqueaof.Job
		batch, jobs = nextBatch(jobs)
		if err = errInterrupted; ctx.Err() == nil {
			err = im.putBatch(b, l, o, batch)
		}
		m.show(int64(o.put), int64(o.put+o.left), fmt.Sprintf("of the jobs put, %d", o.put))
	}
	m.end()
	return o, errors.Join(err, l.close())
}

// nextBatch returns the jobs that go into one pipeline, at least one, and the others.
func nextBatch(jobs []*disqueaof.Job) (batch, rest []*disqueaof.Job) {
	n, bytes := 0, 0
	for n < len(jobs) && n < batchJobs && bytes < batchBytes {
		bytes += len(jobs[n].Body)
		n++
	}
	return jobs[:n], jobs[n:]
}

// putBatch puts jobs by one pipeline. A refused job is an error, once the others
// are answered.
func (im *importer) putBatch(b *broker, l *ledger, o *outcome, batch []*disqueaof.Job) error {
	now := im.now().UnixMilli()
	sent := batch[:0:0]
	b.clear()
	for _, j := range batch {
		ttl, delay := remaining(j, now)
		if ttl == 0 {
			o.expired++
			o.left--
			continue
		}
		b.addJob(j, ttl, delay, im.copies(j))
		sent = append(sent, j)
	}
	if err := l.begin(sent); err != nil {
		return err
	}
	o.unknown = len(sent)
	if err := b.send(); err != nil {
		return err
	}
	var refused error
	for _, j := range sent {
		id, err := b.id()
		var no refusal
		switch {
		case errors.As(err, &no):
			o.unknown--
			l.note(j, "-")
			if refused == nil {
				refused = fmt.Errorf("%s is refused: %w", jobName(j), no)
			}
		case err != nil:
			return errors.Join(refused, err, l.flush())
		default:
			o.unknown--
			o.left--
			o.put++
			l.note(j, id)
		}
	}
	return errors.Join(refused, l.flush())
}

// copies returns REPLICATE of a job, as it is or as far as it is allowed.
func (im *importer) copies(j *disqueaof.Job) uint {
	if j.Retry == 0 {
		return 1 // nobody takes more
	}
	n := max(1, uint(j.Replicate))
	if im.replicate > 0 {
		n = min(n, im.replicate)
	}
	return n
}
