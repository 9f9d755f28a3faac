package compare

import (
	"fmt"
	"strings"
)

// String returns the report as tables.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, commit %s, %s\n%d runs, %d nodes each, log: %s; medians, in brackets the spread or the extremes\n",
		r.Began.Format("2006-01-02 15:04"), r.Commit, r.Machine, r.Runs, r.Nodes, r.Policy)
	r.throughput(&b)
	for i, m := range r.Memory {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-12s %10s %30s\n", "memory", "jobs", "resident bytes a job")
		}
		fmt.Fprintf(&b, "%-12s %10d %30s\n", m.System, m.Jobs, m.Bytes.short())
	}
	for i, d := range r.Delivery {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-12s %10s %26s %26s %10s %10s\n", "delivery", "jobs/s", "p50 us", "p99 us", "p50 ratio", "p99 ratio")
		}
		fmt.Fprintf(&b, "%-12s %10d %26s %26s %10.2f %10.2f\n", d.System, d.Rate, d.P50.short(), d.P99.short(), d.P50Ratio.Median, d.P99Ratio.Median)
	}
	for i, v := range r.Recovery {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-12s %10s %10s %26s %10s\n", "recovery", "jobs", "log MB", "seconds", "ratio")
		}
		fmt.Fprintf(&b, "%-12s %10d %10.0f %26s %10.2f\n", v.System, v.Jobs, float64(v.LogBytes)/1e6, v.Seconds.short(), v.Ratio.Median)
	}
	for i, g := range r.Growth {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-12s %10s %12s %12s %12s %16s %14s\n", "growth", "jobs", "bytes a job", "produce/s", "both/s", "both CPU s/M", "fetch p99 us")
		}
		fmt.Fprintf(&b, "%-12s %10d %12.0f %12.0f %12.0f %16.2f %14.0f\n", g.System, g.Stored, g.Bytes, g.Produce, g.Both, g.Server, g.Fetch.P99)
	}
	for i, w := range r.Breadth {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-12s %-20s %12s %12s %26s %26s\n", "breadth", "with", "produce/s", "consume/s", "produce ratio", "consume ratio")
		}
		fmt.Fprintf(&b, "%-12s %-20s %12.0f %12.0f %26s %26s\n", w.System, w.Case, w.Produce.Median, w.Consume.Median, w.ProduceRatio.short(), w.ConsumeRatio.short())
	}
	return b.String()
}

func (r *Report) throughput(b *strings.Builder) {
	last := ""
	for _, row := range r.Throughput {
		title := fmt.Sprintf("\n%d bytes, depth %d, %d producers and %d consumers; CPU in s a million jobs\n", row.Size, row.Depth, r.Clients, r.Clients)
		if title != last {
			fmt.Fprintf(b, "%s%-9s%-12s %20s %22s %14s %14s\n", title, "phase", "system", "jobs/s", "times that of it", "server CPU", "generator CPU")
			last = title
		}
		for i, c := range row.Cells {
			phase, times := "", ""
			if i == 0 {
				phase = row.Phase
			} else {
				times = c.Ratio.short()
			}
			fmt.Fprintf(b, "%-9s%-12s %20s %22s %14.1f %14.1f\n", phase, r.Systems[i],
				fmt.Sprintf("%.1f k (%.0f%%)", c.Rate.Median/1000, c.Rate.spread()), times, c.Server.Median, c.Own.Median)
		}
	}
}
