package bench

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// slowMost is how long an ADDJOB may take while there is no fault.
const slowMost = time.Second

const leastOps = 500 // answered commands a second of load; with less a run shows nothing

// OK reports whether nothing went wrong and the run shows something.
func (r *TortureRun) OK() bool { return len(r.Failures)+len(r.Voids) == 0 }

// add notes a round and reports whether it is void.
func (r *TortureRun) add(round TortureRound) (void bool) {
	r.Rounds = append(r.Rounds, round)
	if void = round.Added < r.Least; void {
		r.Void++
	}
	return void
}

// loaded notes what came of the load.
func (r *TortureRun) loaded(c *Checker) {
	adds, acks := c.Counts()
	r.Ops = float64(adds+acks+c.Verdict(false).Delivered) / max(r.Load.Seconds(), 0.001)
}

// end judges a run that came to its end, or could not go on because of err,
// which is returned. The files of a run in which all went well are removed.
func (r *TortureRun) end(progress io.Writer, c *Checker, err error) error {
	r.Verdict = c.Verdict(err == nil)
	if err != nil {
		r.Failures = append(r.Failures, "it could not go on")
		return err
	}
	r.judge()
	fmt.Fprintf(progress, "%s: %s\n", r.Name, r.judgement())
	if r.OK() {
		r.Kept, err = "", os.RemoveAll(r.Kept)
	}
	return err
}

// judge fills in what is wrong with a run that came to its end. A cluster may
// deliver a job again after a fault, acknowledged or not.
func (r *TortureRun) judge() {
	v := &r.Verdict
	r.fail("%d lost", v.Lost.Count)
	r.fail("%d unexpected", v.Unexpected.Count)
	r.fail("%d twice", v.Twice.Count)
	if r.Cluster == nil {
		r.fail("%d undone", v.Undone.Count)
	} else {
		r.judgeCluster()
	}
	if r.Void > r.spare {
		r.void("%d of %d rounds added less than %d jobs", r.Void, len(r.Rounds), r.Least)
	}
	if r.Ops < leastOps {
		r.void("%.0f operations a second, less than %d", r.Ops, leastOps)
	}
}

// judgeCluster fills in what can only be wrong with a cluster.
func (r *TortureRun) judgeCluster() {
	c := r.Cluster
	switch {
	case !gentle(r.Name):
	case c.Late > 0:
		r.void("%d GETJOBs whose jobs were acknowledged late: jobs may come twice", c.Late)
	default:
		r.fail("%d duplicates without a fault", r.Verdict.Duplicates)
	}
	if gentle(r.Name) {
		r.fail("%d ADDJOBs answered with NOREPL without a fault", c.NoRepl)
	}
	if gentle(r.Name) && c.Slowest > slowMost {
		r.Failures = append(r.Failures, fmt.Sprintf("an ADDJOB took %s without a fault, more than %s", c.Slowest, slowMost))
	}
	for i, n := range c.Left {
		r.fail(fmt.Sprintf("node %d still holds %%d jobs", i+1), n)
	}
	if !c.Whole {
		r.Failures = append(r.Failures, "the cluster is not whole")
	}
}

// fail notes that something is wrong, if it is so more than zero times.
func (r *TortureRun) fail(format string, n int) {
	if n > 0 {
		r.Failures = append(r.Failures, fmt.Sprintf(format, n))
	}
}

// void notes why the run shows nothing.
func (r *TortureRun) void(format string, args ...any) {
	r.Voids = append(r.Voids, fmt.Sprintf(format, args...))
}

// judgement is the run in a word or a few.
func (r *TortureRun) judgement() string {
	switch {
	case len(r.Failures) > 0:
		return "FAILED: " + strings.Join(slices.Concat(r.Failures, r.Voids), ", ")
	case len(r.Voids) > 0:
		return "void: " + strings.Join(r.Voids, ", ")
	}
	return "ok"
}
