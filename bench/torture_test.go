package bench

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fine returns a run in which nothing went wrong, of a cluster if a fault is
// named, else of a broker that was killed.
func fine(fault string) TortureRun {
	r := TortureRun{Name: fault, Ops: leastOps, Least: 100, Rounds: []TortureRound{{Added: 500}}, Verdict: Verdict{Added: 500}}
	if fault != "" {
		r.Cluster = &ClusterRun{Whole: true, Left: []int{0, 0}}
	}
	return r
}

// A job that comes again is a duplicate, and undone if it was asked for after
// its ACKJOB was answered. A cluster may do both after a fault.
func TestTortureDuplicates(t *testing.T) {
	t.Parallel()
	check := NewChecker()
	n := check.Send(false)
	check.Added(n, "id")
	for range 3 {
		check.Delivered(check.Asked(), n, "id")
	}
	check.Acking(n)
	check.Acked(n, true)
	check.Delivered(check.Asked(), n, "id")
	for want, run := range map[string]TortureRun{"1 undone": fine(""), "ok": fine("halves"), "3 duplicates without a fault": fine(noFault)} {
		run.Load = 10 * time.Millisecond
		run.loaded(check)
		require.InDelta(t, 600, run.Ops, 1e-9)
		require.NoError(t, run.end(io.Discard, check, nil))
		require.Contains(t, run.judgement(), want)
		report := TortureReport{Runs: []TortureRun{run}}
		require.Contains(t, report.String(), " 75.000%")
		require.Equal(t, want != "ok", strings.Contains(report.String(), "undone: job 0 id"))
	}
}

func TestTortureJudge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fault, want string
		spoil       func(r *TortureRun)
	}{
		{"", "ok", func(r *TortureRun) { r.spare = 1; r.add(TortureRound{Added: 99}) }},
		{"", "FAILED: 2 lost", func(r *TortureRun) { r.Verdict.Lost.Count = 2 }},
		{"", "FAILED: 1 unexpected, 3 twice", func(r *TortureRun) { r.Verdict.Unexpected.Count, r.Verdict.Twice.Count = 1, 3 }},
		{"halves", "ok", func(r *TortureRun) { r.add(TortureRound{Added: 100}) }},
		{"halves", "FAILED: 2 lost, 3 twice", func(r *TortureRun) { r.Verdict.Lost.Count, r.Verdict.Twice.Count = 2, 3 }},
		{"halves", "FAILED: node 2 still holds 7 jobs", func(r *TortureRun) { r.Cluster.Left[1] = 7 }},
		{"halves", "FAILED: the cluster is not whole", func(r *TortureRun) { r.Cluster.Whole = false }},
		{"halves", "void: 1 of 2 rounds added less than 100 jobs", func(r *TortureRun) { r.add(TortureRound{Added: 99}) }},
		{"halves", "void: 499 operations a second, less than 500", func(r *TortureRun) { r.Ops = 499 }},
		{rolling, "FAILED: 1 duplicates without a fault", func(r *TortureRun) { r.Verdict.Duplicates = 1 }},
		{rolling, "FAILED: an ADDJOB took 1.001s without a fault, more than 1s", func(r *TortureRun) { r.Cluster.Slowest = 1001 * time.Millisecond }},
		{"freeze", "ok", func(r *TortureRun) { r.Cluster.Slowest = time.Minute }},
		{noFault, "void: 1 GETJOBs whose jobs were acknowledged late: jobs may come twice", func(r *TortureRun) { r.Verdict.Duplicates, r.Cluster.Late = 1, 1 }},
	} {
		run := fine(test.fault)
		test.spoil(&run)
		run.judge()
		require.Equal(t, test.want, run.judgement())
		report := TortureReport{Runs: []TortureRun{run}, Least: 500}
		require.Equal(t, test.want == "ok", report.Err() == nil)
		report.Least++
		require.Error(t, report.Err())
	}
}

// All tortures have the same columns, and some of their own after them.
func TestTortureReport(t *testing.T) {
	t.Parallel()
	kill, cluster := TortureReport{Runs: []TortureRun{fine("")}}, TortureReport{Runs: []TortureRun{fine("freeze"), fine("halves")}}
	columns, _, _ := strings.Cut(kill.String(), "restart ms")
	_, columns, _ = strings.Cut(columns, "rounds")
	require.Contains(t, cluster.String(), columns+"norepl  slowest ms  rest s  left\n")
	require.Equal(t, 4, strings.Count(cluster.String(), "\n"))
}
