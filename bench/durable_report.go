package bench

import (
	"fmt"
	"slices"
	"strings"
)

// Row compares two variants in one phase at one depth.
type Row struct {
	Phase   string  `json:"phase"`
	Depth   int     `json:"depth"`
	Clients int     `json:"clients"` // producers, and as many consumers
	A       Side    `json:"a"`
	B       Side    `json:"b"`
	Ratio   Figures `json:"ratio"` // B to A, pair by pair
}

// Side is one of the two.
type Side struct {
	Name      string  `json:"name"`
	Rate      Figures `json:"jobs_per_second"`
	ServerCPU Figures `json:"server_cpu_us_per_job"`
	OwnCPU    Figures `json:"own_cpu_us_per_job"` // of the load generator, which shares the machine
}

// Figures are the median of some runs, their extremes, and all in order.
type Figures struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	All    []float64 `json:"all"`
}

func newFigures(all []float64) Figures {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return Figures{Median: (sorted[n/2] + sorted[(n-1)/2]) / 2, Min: sorted[0], Max: sorted[n-1], All: all}
}

// spread is the distance of the extremes in per cent of the median.
func (f Figures) spread() float64 { return 100 * (f.Max - f.Min) / f.Median }

func newRow(p pair, phase string, depth int, got *[2][]sample) Row {
	row := Row{Phase: phase, Depth: depth, Clients: p.clients, A: newSide(p.a.name, got[0]), B: newSide(p.b.name, got[1])}
	var ratios []float64
	for i := range got[0] {
		ratios = append(ratios, got[1][i].rate/got[0][i].rate)
	}
	row.Ratio = newFigures(ratios)
	return row
}

func newSide(name string, samples []sample) Side {
	var rate, server, own []float64
	for _, s := range samples {
		rate, server, own = append(rate, s.rate), append(server, s.server), append(own, s.own)
	}
	return Side{Name: name, Rate: newFigures(rate), ServerCPU: newFigures(server), OwnCPU: newFigures(own)}
}

// String returns the report as tables.
func (r *DurableReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d CPUs, %s, bodies of %d bytes, %d runs; medians, in brackets the spread; CPU in us a job, server + generator\n",
		r.Began.Format("2006-01-02 15:04"), r.CPUs, r.System, r.Size, r.Runs)
	last := ""
	for _, row := range r.Rows {
		if title := fmt.Sprintf("\nA = %s, B = %s, %d producers and %d consumers\n", row.A.Name, row.B.Name, row.Clients, row.Clients); title != last {
			fmt.Fprintf(&b, "%s%-8s %5s %18s %18s %6s %13s %14s %14s\n", title, "phase", "depth", "A jobs/s", "B jobs/s", "B/A", "", "A CPU", "B CPU")
			last = title
		}
		fmt.Fprintf(&b, "%-8s %5d %18s %18s %6.2f %13s %14s %14s\n", row.Phase, row.Depth, row.A.Rate.short(), row.B.Rate.short(),
			row.Ratio.Median, fmt.Sprintf("(%.2f..%.2f)", row.Ratio.Min, row.Ratio.Max), row.A.cpu(), row.B.cpu())
	}
	for i, v := range r.Recovery {
		if i == 0 {
			fmt.Fprintf(&b, "\n%-20s %10s %10s %24s\n", "recovery", "jobs", "log MB", "seconds")
		}
		fmt.Fprintf(&b, "%-20s %10d %10.0f %24s\n", v.Name, v.Jobs, float64(v.LogBytes)/1e6,
			fmt.Sprintf("%.2f (%.2f..%.2f)", v.Seconds.Median, v.Seconds.Min, v.Seconds.Max))
	}
	return b.String()
}

func (f Figures) short() string { return fmt.Sprintf("%.1f k (%.0f%%)", f.Median/1000, f.spread()) }

func (s Side) cpu() string {
	return fmt.Sprintf("%.1f + %.1f", s.ServerCPU.Median, s.OwnCPU.Median)
}
