package main

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// The states of a log, as users read them.
const (
	stateClean     = "clean"
	stateNotClosed = "not closed"
	stateTorn      = "torn end"
	stateOff       = "off"
	stateEmpty     = "empty"
	stateCorrupt   = "corrupt"
	stateNewer     = "newer version"
)

// checked is what is known of a log after it was read.
type checked struct {
	dir     string
	report  *aof.Report
	flags   map[uint32]aof.Flags // by segment: those of all its batches
	kinds   map[string]int       // records
	unread  int                  // records that mean nothing
	first   error                // of those, the first
	jobs    jobs
	partly  bool // what stands behind damage was not read
	state   string
	why     string // what is wrong
	code    int
	salvage *aof.Salvage // what a repair would do, if something is wrong; nil if that is not known
	note    string       // why it is not
}

// check reads a log, and prints its records if that is asked for.
func check(o *options, out *bufio.Writer) (*checked, error) {
	c := &checked{
		dir: o.dir, flags: map[uint32]aof.Flags{}, kinds: map[string]int{},
		jobs: jobs{known: map[store.ID]job{}, paused: map[string]store.Pause{}},
	}
	p := newPrinter(o, out)
	report, err := aof.Scan(aof.OS(), o.dir, func(b *aof.Batch) error { return c.batch(b, p) })
	c.report = report
	if err := c.judge(err); err != nil {
		return nil, err
	}
	if c.code == exitTorn || c.code == exitCorrupt {
		c.assess()
	}
	return c, nil
}

// batch counts and prints what a batch holds.
func (c *checked) batch(b *aof.Batch, p printer) (err error) {
	c.flags[b.Segment] |= b.Flags
	for rec := range b.Records {
		r, wrong := store.ParseRecord(rec)
		if wrong != nil {
			if c.unread++; c.first == nil {
				c.first = fmt.Errorf("a record of the batch at %d:%d: %w", b.Segment, b.Offset, wrong)
			}
		} else {
			c.kinds[r.Kind]++
			c.jobs.apply(&r)
		}
		if p != nil {
			if err := p(b, &r, rec, wrong); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge names the state of the log; it returns errors that say nothing of it.
func (c *checked) judge(err error) error {
	var corrupt *aof.CorruptError
	var newer *aof.VersionError
	r := c.report
	switch {
	case errors.As(err, &newer):
		c.state, c.why, c.code = stateNewer, err.Error(), exitNewer
	case errors.As(err, &corrupt):
		c.state, c.why, c.code, c.partly = stateCorrupt, err.Error(), exitCorrupt, true
	case err != nil:
		return err
	case c.unread > 0:
		c.state, c.why, c.code = stateCorrupt, c.first.Error(), exitCorrupt
	case r.Torn != nil:
		c.state, c.why, c.code = stateTorn, r.Torn.Error(), exitTorn
	case r.Off:
		c.state = stateOff
	case r.Empty:
		c.state = stateEmpty
	case r.Clean:
		c.state = stateClean
	default:
		c.state = stateNotClosed
	}
	return nil
}

// assess finds out what a repair would do.
func (c *checked) assess() {
	s, err := aof.Assess(aof.Options{Dir: c.dir})
	switch {
	case errors.Is(err, aof.ErrLocked):
		c.note = "A broker uses this directory: what it writes just now looks damaged. Stop it, then check again."
	case err != nil:
		c.note = fmt.Sprintf("What a repair would do is not known: %v", err)
	case s.Why == "":
		c.note = "The file is whole, but a newer version or a defect wrote a record that this one cannot read: no repair helps, " +
			"a newer version may."
	default:
		c.salvage = s
	}
}

// job is what is known of a job while a log is read.
type job struct {
	expires int64
	state   store.State
}

// jobs is what a log leaves when it is loaded.
type jobs struct {
	known  map[store.ID]job
	paused map[string]store.Pause
}

// apply does what a record says, as a load does.
func (j *jobs) apply(r *store.Record) {
	switch r.Kind {
	case store.KindPut:
		j.known[r.ID] = job{r.Job.Expires, r.Job.State}
	case store.KindState:
		if known, ok := j.known[r.ID]; ok {
			j.known[r.ID] = job{known.expires, r.Job.State}
		}
	case store.KindDel:
		delete(j.known, r.ID)
	case store.KindQueue:
		if j.paused[r.Queue] = r.Pause; r.Pause == 0 {
			delete(j.paused, r.Queue)
		}
	case store.KindFlush:
		j.flush(r.Low, r.High)
	}
}

func (j *jobs) flush(low, high uint16) {
	for id := range j.known {
		if h := id.Hash(); low <= h && h <= high {
			delete(j.known, id)
		}
	}
	for name := range j.paused {
		if h := store.Hash16([]byte(name)); low <= h && h <= high {
			delete(j.paused, name)
		}
	}
}

// sums counts the jobs that a load now would give.
type sums struct {
	Jobs    int `json:"jobs"`
	Acked   int `json:"acked"`   // of those
	Expired int `json:"expired"` // beside those
	Paused  int `json:"pausedQueues"`
}

func (j *jobs) sums() sums {
	s := sums{Paused: len(j.paused)}
	now := time.Now().UnixMilli()
	for _, known := range j.known {
		if known.expires <= now {
			s.Expired++
			continue
		}
		s.Jobs++
		if known.state == store.Acked {
			s.Acked++
		}
	}
	return s
}
