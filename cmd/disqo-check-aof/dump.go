package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"time"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// shown is how many bytes of a body are shown without --bodies.
const shown = 64

// printer prints a record of a batch, or why it is none.
type printer func(b *aof.Batch, r *store.Record, rec []byte, wrong error) error

// newPrinter returns what prints records, nil if they are not to be.
func newPrinter(o *options, out *bufio.Writer) printer {
	switch {
	case o.dump:
		return func(b *aof.Batch, r *store.Record, rec []byte, wrong error) error {
			return dump(out, o.bodies, b, r, rec, wrong)
		}
	case o.json && !o.verifyOnly:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return func(b *aof.Batch, r *store.Record, rec []byte, wrong error) error {
			return enc.Encode(newLine(b, r, rec, wrong))
		}
	}
	return nil
}

// dump prints a record in a line. Errors stick to out and are returned.
func dump(out *bufio.Writer, whole bool, b *aof.Batch, r *store.Record, rec []byte, wrong error) error {
	fmt.Fprintf(out, "%d:%d #%d %s ", b.Segment, b.Offset, b.Seq, instant(b.Time))
	if wrong != nil {
		_, err := fmt.Fprintf(out, "unreadable %v: %s\n", wrong, quoted(rec, whole))
		return err
	}
	fmt.Fprint(out, r.Kind)
	switch r.Kind {
	case store.KindPut:
		j := r.Job
		fmt.Fprintf(out, " %s queue=%q state=%s ttl=%d retry=%d delay=%d created=%s expires=%s", r.ID, r.Queue, j.State,
			ttl(j), j.Retry, j.Delay, instant(j.Created/1e6), instant(j.Expires))
		progress(out, r)
		fmt.Fprintf(out, " repl=%d body=%d %s", j.Repl, len(j.Body), quoted(j.Body, whole))
	case store.KindState:
		fmt.Fprintf(out, " %s state=%s", r.ID, r.Job.State)
		progress(out, r)
	case store.KindDel:
		fmt.Fprintf(out, " %s", r.ID)
	case store.KindQueue:
		fmt.Fprintf(out, " queue=%q pause=%s", r.Queue, r.Pause)
	case store.KindFlush:
		fmt.Fprintf(out, " hashes=%d-%d", r.Low, r.High)
	}
	return out.WriteByte('\n')
}

// progress prints what a state record has too.
func progress(out *bufio.Writer, r *store.Record) {
	fmt.Fprintf(out, " next=%s nacks=%d extra=%d", instant(r.Job.NextQueue), r.Job.Nacks, r.Job.Extra)
	if r.Delivered {
		fmt.Fprint(out, " delivered")
	}
	if r.QueuedOnce {
		fmt.Fprint(out, " queued-once")
	}
	if t := r.Job.Terms; t != nil {
		fmt.Fprintf(out, " priority=%d maxtries=%d tries=%d backoff=%d-%d generation=%d", t.Priority, t.Limit, t.Tries, t.Base, t.Most, t.Generation)
		if t.Held {
			fmt.Fprint(out, " backing-off")
		}
		if len(t.Reason) > 0 {
			fmt.Fprintf(out, " reason=%q", t.Reason)
		}
	}
}

// ttl returns how long a job lives, in seconds.
func ttl(j *store.Job) int64 { return (j.Expires - j.Created/1e6 + 500) / 1000 }

// instant prints a time in milliseconds, 0 as never.
func instant(ms int64) string {
	if ms == 0 {
		return "never"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// quoted prints a body in quotes, or its beginning.
func quoted(body []byte, whole bool) string {
	if whole || len(body) <= shown {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%q...", body[:shown])
}
