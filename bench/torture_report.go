package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// TortureReport is what a torture came to. It is the same for every torture.
type TortureReport struct {
	Program string       `json:"program"` // kill or cluster
	Seed    uint64       `json:"seed"`
	Nodes   int          `json:"nodes"`
	Least   int          `json:"least"` // answered adds of all runs below which they show nothing
	Runs    []TortureRun `json:"runs"`
}

// TortureRun is one torture, from the start of brokers that have nothing to the
// judgement.
type TortureRun struct {
	Name     string         `json:"name"`  // the broker's appendfsync, or the fault that hits a cluster
	Least    int            `json:"least"` // answered adds of a round below which it shows nothing
	Void     int            `json:"void"`  // rounds that show nothing
	spare    int            // void rounds that others make up for
	Rounds   []TortureRound `json:"rounds"`
	Load     time.Duration  `json:"load_ns"`           // how long there was load
	Ops      float64        `json:"ops_per_second"`    // commands answered in a second of load: adds, jobs delivered and jobs acknowledged
	Drain    time.Duration  `json:"drain_ns"`          // until no more jobs came
	Verdict  Verdict        `json:"verdict"`           // of a cluster, Undone is no fault but a duplicate
	Cluster  *ClusterRun    `json:"cluster,omitempty"` // of a cluster only
	Failures []string       `json:"failures,omitempty"`
	Voids    []string       `json:"voids,omitempty"` // why the run shows nothing
	Kept     string         `json:"kept,omitempty"`  // the brokers' directory, if not all is well
}

// TortureRound is one fault of a run, or the load that ends by a kill.
type TortureRound struct {
	Number  int           `json:"number"`
	Load    time.Duration `json:"load_ns"`              // until the end of the fault, or until the kill
	Added   int           `json:"added"`                // adds answered in that time
	Acked   int           `json:"acked"`                // jobs acknowledged in that time
	Due     int           `json:"due"`                  // jobs due at the end of it
	Restart time.Duration `json:"restart_ns,omitempty"` // from the start of the broker that is killed until it served
	Nodes   string        `json:"nodes,omitempty"`      // who was hit in a cluster, counted from 1
	Healed  int           `json:"healed,omitempty"`     // adds answered after the fault in a cluster
}

// ClusterRun is what only the run of a cluster has.
type ClusterRun struct {
	NoRepl  int           `json:"norepl"`     // of the unknown: answered with NOREPL
	Late    int           `json:"late"`       // GETJOBs after which a client took so long to acknowledge that RETRY was nearly over
	Slowest time.Duration `json:"slowest_ns"` // ADDJOB, whatever was answered
	Left    []int         `json:"left"`       // jobs that each node still held after the drain
	Whole   bool          `json:"whole"`      // each node reached all others at the end
	Rest    time.Duration `json:"rest_ns"`    // from the end of the drain until no node held a job and the cluster was whole, or was given up
}

// Added is how many adds all runs had answered.
func (r *TortureReport) Added() (sum int) {
	for i := range r.Runs {
		sum += r.Runs[i].Verdict.Added
	}
	return sum
}

// Err returns an error unless all runs went well and show something.
func (r *TortureReport) Err() error {
	for i := range r.Runs {
		if run := &r.Runs[i]; !run.OK() {
			return fmt.Errorf("%s: %s; its files are in %s, the seed was %d", run.Name, run.judgement(), run.Kept, r.Seed)
		}
	}
	if n := r.Added(); n < r.Least {
		return fmt.Errorf("void: %d jobs were added in all, less than %d", n, r.Least)
	}
	return nil
}

// String returns a table with a line for each run, and what is wrong with those
// that are not well, with the jobs that went wrong.
func (r *TortureReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  seed %d  nodes %d  added %d in all\n", r.Program, r.Seed, r.Nodes, r.Added())
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i := range r.Runs {
		titles, figures := r.Runs[i].own()
		if i == 0 {
			fmt.Fprintf(w, "run\trounds\tvoid\tops/s\tadded\tleast\trefused\tunknown\trecovered\tdelivered\tacked\tspent\t"+
				"duplicates\tshare\tundone\tlost\tunexpected\ttwice\tdrain s\t%s\n", titles)
		}
		fmt.Fprintf(w, "%s\t%s\n", r.Runs[i].figures(), figures)
	}
	_ = w.Flush() // a strings.Builder takes everything
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.OK() {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", run.Name, run.judgement())
		for j, f := range run.Verdict.faults() {
			for _, job := range f.Sample {
				fmt.Fprintf(&b, "  %s: job %d %s %s\n", faultNames[j], job.Number, job.ID, job.Why)
			}
		}
	}
	return b.String()
}

// figures are the columns that every run has; least is what a round added.
func (r *TortureRun) figures() string {
	v, least := &r.Verdict, r.Verdict.Added
	for _, round := range r.Rounds {
		least = min(least, round.Added)
	}
	return fmt.Sprintf("%s\t%d\t%d\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.3f%%\t%d\t%d\t%d\t%d\t%.1f",
		r.Name, len(r.Rounds), r.Void, r.Ops, v.Added, least, v.Refused, v.Unknown, v.Recovered, v.Delivered, v.Acked, v.Spent,
		v.Duplicates, 100*float64(v.Duplicates)/float64(max(1, v.Delivered)), v.Undone.Count,
		v.Lost.Count, v.Unexpected.Count, v.Twice.Count, r.Drain.Seconds())
}

// own are the columns that only runs of this torture have.
func (r *TortureRun) own() (titles, figures string) {
	if c := r.Cluster; c != nil {
		left := 0
		for _, n := range c.Left {
			left += n
		}
		return "norepl\tslowest ms\trest s\tleft\t", fmt.Sprintf("%d\t%.1f\t%.1f\t%d\t", c.NoRepl, milliseconds(c.Slowest), c.Rest.Seconds(), left)
	}
	most := time.Duration(0)
	for _, round := range r.Rounds {
		most = max(most, round.Restart)
	}
	return "restart ms\t", fmt.Sprintf("%.1f\t", milliseconds(most))
}

// milliseconds as a figure of a report.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
