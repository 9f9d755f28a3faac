package bench

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// ClusterReport is what a torture of clusters came to.
type ClusterReport struct {
	Seed  uint64       `json:"seed"`
	Nodes int          `json:"nodes"`
	Least int          `json:"least"` // answered adds of all runs below which they show nothing
	Runs  []ClusterRun `json:"runs"`
}

// ClusterRound is one fault of a run.
type ClusterRound struct {
	Number int    `json:"number"`
	Nodes  string `json:"nodes"` // who was hit, counted from 1
	Fault  int    `json:"fault"` // adds answered during the fault
	Heal   int    `json:"heal"`  // adds answered after it
}

// ClusterRun is the torture by one fault.
type ClusterRun struct {
	Fault         string         `json:"fault"`
	Rounds        []ClusterRound `json:"rounds"`
	Load          time.Duration  `json:"load_ns"`        // how long there was load
	LoadAdded     int            `json:"load_added"`     // adds answered under load
	LoadDelivered int            `json:"load_delivered"` // deliveries under load
	LoadAcked     int            `json:"load_acked"`     // jobs acknowledged under load
	Drain         time.Duration  `json:"drain_ns"`       // until no more jobs came
	NoRepl        int            `json:"norepl"`         // of the unknown: answered with NOREPL
	Late          int            `json:"late"`           // GETJOBs after which a client took so long to acknowledge that RETRY was over, or failed
	BeforeAck     int            `json:"before_ack"`     // deliveries after the first that were asked for before an ACKJOB of the job was answered
	AfterAck      int            `json:"after_ack"`      // deliveries that were asked for after an ACKJOB of the job was answered
	Left          []int          `json:"left"`           // jobs that each node still held after the drain
	Whole         bool           `json:"whole"`          // each node reached all others at the end
	Rest          time.Duration  `json:"rest_ns"`        // from the end of the drain until no node held a job and the cluster was whole, or was given up
	Verdict       Verdict        `json:"verdict"`        // Undone is AfterAck: no fault of a cluster, but a duplicate
	Failures      []string       `json:"failures,omitempty"`
	Voids         []string       `json:"voids,omitempty"` // why the run shows nothing
	Kept          string         `json:"kept,omitempty"`  // the nodes' directories, if not all is well
}

// OK reports whether nothing went wrong and the run shows something.
func (r *ClusterRun) OK() bool { return len(r.Failures)+len(r.Voids) == 0 }

// Share is the part of all deliveries that were not the first of their job.
func (r *ClusterRun) Share() float64 {
	return float64(r.Verdict.Repeated) / float64(max(1, r.Verdict.Delivered))
}

// Ops is how many commands were answered in a second of load: adds, jobs
// delivered and jobs acknowledged.
func (r *ClusterRun) Ops() float64 {
	return float64(r.LoadAdded+r.LoadDelivered+r.LoadAcked) / max(r.Load.Seconds(), 0.001)
}

// count fills in what the checker found.
func (r *ClusterRun) count(v Verdict) {
	r.Verdict = v
	r.AfterAck, r.BeforeAck = v.Undone.Count, v.Repeated-v.Undone.Count
}

// judge fills in what is wrong with a run that came to its end.
func (r *ClusterRun) judge() {
	v := &r.Verdict
	fail := func(format string, n int) {
		if n > 0 {
			r.Failures = append(r.Failures, fmt.Sprintf(format, n))
		}
	}
	fail("%d lost", v.Lost.Count)
	fail("%d unexpected", v.Phantom.Count)
	if r.Fault == noFault && r.Late > 0 {
		r.Voids = append(r.Voids, fmt.Sprintf("%d GETJOBs whose jobs were acknowledged late: jobs may come twice", r.Late))
	} else if r.Fault == noFault {
		fail("%d duplicates without a fault", v.Repeated)
	}
	for i, n := range r.Left {
		fail(fmt.Sprintf("node %d still holds %%d jobs", i+1), n)
	}
	if !r.Whole {
		r.Failures = append(r.Failures, "the cluster is not whole")
	}
	for _, w := range r.Rounds {
		if w.Fault < leastWindow {
			r.Voids = append(r.Voids, fmt.Sprintf("round %d added %d jobs during the fault, less than %d", w.Number, w.Fault, leastWindow))
		}
	}
	if ops := r.Ops(); ops < leastOps {
		r.Voids = append(r.Voids, fmt.Sprintf("%.0f operations a second, less than %d", ops, leastOps))
	}
}

// judgement is the run in a word or a few.
func (r *ClusterRun) judgement() string {
	switch {
	case len(r.Failures) > 0:
		return "FAILED: " + strings.Join(append(slices.Clone(r.Failures), r.Voids...), ", ")
	case len(r.Voids) > 0:
		return "void: " + strings.Join(r.Voids, ", ")
	}
	return "ok"
}

// Added is how many adds all runs had answered.
func (r *ClusterReport) Added() (sum int) {
	for i := range r.Runs {
		sum += r.Runs[i].Verdict.Added
	}
	return sum
}

// Err returns an error unless all runs went well and show something.
func (r *ClusterReport) Err() error {
	for i := range r.Runs {
		if run := &r.Runs[i]; !run.OK() {
			return fmt.Errorf("%s: %s; the nodes' files are in %s, the seed was %d", run.Fault, run.judgement(), run.Kept, r.Seed)
		}
	}
	if n := r.Added(); n < r.Least {
		return fmt.Errorf("void: %d jobs were added in all, less than %d", n, r.Least)
	}
	return nil
}

// String returns a table with a line for each run, and the jobs that went
// wrong.
func (r *ClusterReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d  nodes %d  added %d in all\n", r.Seed, r.Nodes, r.Added())
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\tops/s\tadded\tleast in a fault\trefused\tunknown\tnorepl\trecovered\tdelivered\tdup before ack\tafter ack\tshare\tlost\tunexpected\tdrain s\trest s\tleft\t")
	for i := range r.Runs {
		run := &r.Runs[i]
		v, least, left := &run.Verdict, 0, 0
		for j, round := range run.Rounds {
			if j == 0 || round.Fault < least {
				least = round.Fault
			}
		}
		for _, n := range run.Left {
			left += n
		}
		fmt.Fprintf(w, "%s\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.3f%%\t%d\t%d\t%.1f\t%.1f\t%d\t\n", run.Fault, run.Ops(), v.Added, least,
			v.Refused, v.Unknown, run.NoRepl, v.Recovered, v.Delivered, run.BeforeAck, run.AfterAck, 100*run.Share(),
			v.Lost.Count, v.Phantom.Count, run.Drain.Seconds(), run.Rest.Seconds(), left)
	}
	_ = w.Flush() // a strings.Builder takes everything
	for i := range r.Runs {
		run := &r.Runs[i]
		if !run.OK() {
			fmt.Fprintf(&b, "%s: %s\n", run.Fault, run.judgement())
		}
		for _, f := range run.Verdict.Lost.Sample {
			fmt.Fprintf(&b, "  lost: job %d %s %s\n", f.Number, f.ID, f.Why)
		}
		for _, f := range run.Verdict.Phantom.Sample {
			fmt.Fprintf(&b, "  unexpected: job %d %s %s\n", f.Number, f.ID, f.Why)
		}
	}
	return b.String()
}
