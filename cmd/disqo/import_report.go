package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/disqo/disqo/server/disqueaof"
)

// print says what is to become of the jobs.
func (p *plan) print(w io.Writer) {
	for _, f := range p.files {
		fmt.Fprintf(w, "%s: %d bytes, %d LOADJOB, %d DELJOB, %d jobs live at the end\n", f.path, f.size, f.loaded, f.removed, f.live)
	}
	if p.duplicates > 0 {
		fmt.Fprintf(w, "%d jobs were in another of these files already\n", p.duplicates)
	}
	fmt.Fprintf(w, "%d jobs to put\n", p.counts[toPut])
	for f, why := range leftOut {
		if n := p.counts[f]; n > 0 && why != "" {
			fmt.Fprintf(w, "%d jobs left out: %s\n", n, why)
		}
	}
}

// leftOut is why jobs are.
var leftOut = [fateCount]string{
	ttlOver:        "their TTL is over",
	wasDelivered:   "RETRY 0, and delivered already",
	mayBeDelivered: "RETRY 0, and perhaps delivered already, which Disque does not log; see --rewritten",
}

// queuesMost is how many queues are listed.
const queuesMost = 50

// queueSums is what a queue has.
type queueSums struct {
	name           string
	put, out       int
	bytes, longest int
}

// details says what there is by state, copies and queue, and what a broker would not
// be told.
func (p *plan) details(w io.Writer) {
	states, copies, counted := map[string]int{}, map[uint16]int{}, 0
	queues := map[string]*queueSums{}
	for i, j := range slices.Concat(p.jobs, p.rest) {
		put := i < len(p.jobs)
		q := queues[string(j.Queue)]
		if q == nil {
			q = &queueSums{name: string(j.Queue)}
			queues[q.name] = q
		}
		states[j.State.String()]++
		if !put {
			q.out++
			continue
		}
		copies[j.Replicate]++
		if j.Nacks > 0 || j.Deliveries > 0 {
			counted++
		}
		q.put++
		q.bytes += len(j.Body)
		q.longest = max(q.longest, len(j.Body))
	}
	fmt.Fprintln(w, "\nby state, as the files have it:")
	for _, s := range slices.Sorted(maps.Keys(states)) {
		fmt.Fprintf(w, "  %d %s\n", states[s], s)
	}
	fmt.Fprintln(w, "to put, by copies:")
	for _, n := range slices.Sorted(maps.Keys(copies)) {
		fmt.Fprintf(w, "  %d with REPLICATE %d\n", copies[n], n)
	}
	printQueues(w, slices.Collect(maps.Values(queues)))
	fmt.Fprintf(w, `lost: the ids, as each job gets a new one; counters of nacks and deliveries, which %d jobs have; what Disque
does not log: GETJOB, NACK, ENQUEUE, DEQUEUE, WORKING and PAUSE since the last rewrite of the file. Jobs that were
delivered and not acknowledged are delivered again, unless RETRY is 0.
`, counted)
}

// printQueues lists queues, those with the most jobs first.
func printQueues(w io.Writer, queues []*queueSums) {
	slices.SortFunc(queues, func(a, b *queueSums) int {
		return cmp.Or(cmp.Compare(b.put+b.out, a.put+a.out), cmp.Compare(a.name, b.name))
	})
	fmt.Fprintf(w, "%d queues:\n", len(queues))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "to put\tleft out\tbytes\tlongest\t")
	for _, q := range queues[:min(len(queues), queuesMost)] {
		fmt.Fprintf(t, "%d\t%d\t%d\t%d\t  %.100q\n", q.put, q.out, q.bytes, q.longest, q.name)
	}
	_ = t.Flush() // an error of a terminal has nobody to be told to
	if more := len(queues) - queuesMost; more > 0 {
		fmt.Fprintf(w, "  and %d more queues\n", more)
	}
}

// jobName names a job in messages.
func jobName(j *disqueaof.Job) string { return fmt.Sprintf("job %s of queue %.100q", j.ID, j.Queue) }
