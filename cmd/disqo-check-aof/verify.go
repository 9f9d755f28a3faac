package main

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// kinds is the order in which kinds of records are listed.
var kinds = []string{store.KindPut, store.KindState, store.KindDel, store.KindQueue, store.KindFlush}

// print writes the report for people.
func (c *checked) print(out *bufio.Writer) {
	if r := c.report; len(r.Segments) > 0 {
		c.segments(out)
		fmt.Fprintln(out)
		if c.partly {
			fmt.Fprint(out, "up to the damage: ")
		}
		fmt.Fprintf(out, "%d batches, %d records, %d bytes", r.Batches, r.Records, r.Bytes)
		sep := ": "
		for _, kind := range kinds {
			fmt.Fprintf(out, "%s%d %s", sep, c.kinds[kind], kind)
			sep = ", "
		}
		if c.unread > 0 {
			fmt.Fprintf(out, ", %d unreadable", c.unread)
		}
		s := c.jobs.sums()
		fmt.Fprintf(out, "\n%d jobs to load, %d of them acknowledged; %d whose TTL is over; %d paused queues\n", s.Jobs, s.Acked, s.Expired, s.Paused)
	}
	for _, name := range c.report.Stale {
		if c.state == stateCorrupt {
			break // the broker does not start, and removes nothing
		}
		fmt.Fprintf(out, "%s is no part of the log: the broker removes it when it starts\n", name)
	}
	fmt.Fprintf(out, "%s: %s\n", c.state, c.explained())
	if c.note != "" {
		fmt.Fprintln(out, c.note)
	}
	if c.salvage != nil {
		fmt.Fprintln(out)
		damage(out, c.salvage)
		fmt.Fprintf(out, "%s\n", next(c.salvage, c.dir))
	}
}

// segments writes a line for each segment that was read.
func (c *checked) segments(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "segment\tfile\tepoch\tbatches\trecords\tused\tof bytes\tflags")
	for _, s := range c.report.Segments {
		flags := c.flags[s.Number].String()
		if s.Spare {
			flags = "spare"
		}
		line := fmt.Sprintf("%d\t%s\t%d\t%d\t%d\t%d\t%d\t%s", s.Number, s.Name, s.Epoch, s.Batches, s.Records, s.Used, s.Size, flags)
		fmt.Fprintln(w, strings.TrimRight(line, "\t"))
	}
	_ = w.Flush() // errors are those of out, which keeps them
}

// explained says in a sentence what the state means.
func (c *checked) explained() string {
	switch c.state {
	case stateClean:
		return "the broker was stopped, nothing is missing"
	case stateNotClosed:
		if c.report.Always {
			return "the broker was killed or still runs; under appendfsync always nothing that was answered is missing"
		}
		return "the broker was killed or still runs; at-most-once jobs count as delivered when it starts"
	case stateOff:
		return "the log was switched off and holds nothing"
	case stateEmpty:
		return "there is no log, or none that was completed"
	}
	return c.why
}

// damage writes what a repair keeps and what it loses.
func damage(out io.Writer, s *aof.Salvage) {
	switch {
	case s.Off:
		fmt.Fprintln(out, "the log was switched off: a repair makes an empty one")
	case s.Partial:
		fmt.Fprintln(out, "no complete image is left: a repair keeps a part of one")
	}
	fmt.Fprintf(out, "a repair keeps %d batches, %d records, %d bytes of epoch %d\n", s.Batches, s.Records, s.Bytes, s.Epoch)
	for _, d := range s.Damaged {
		fmt.Fprintf(out, "damaged: %s from %d, %d bytes: %s\n", d.File, d.Offset, d.Length, d.Why)
	}
	for _, name := range s.Missing {
		fmt.Fprintf(out, "missing: %s\n", name)
	}
	if s.Lost > 0 {
		fmt.Fprintf(out, "batches lost: at least %d\n", s.Lost)
	}
}

// next says what to do about damage.
func next(s *aof.Salvage, dir string) string {
	text := fmt.Sprintf("To repair: disqo-check-aof --repair --yes %s\nThe old segments are kept in %s.", dir, filepath.Join(dir, s.Aside))
	if s.Torn {
		text = "The broker cuts a torn end by itself when it starts (unless aof-load-truncated is no), and drops what stands\n" +
			"behind the tear; a repair keeps that.\n" + text
	}
	return text
}
