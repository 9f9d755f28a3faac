package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/disqo/disqo/bench/compare"
)

// tables writes what a report has.
func tables(b *strings.Builder, r *compare.Report) {
	nodes := "one node each"
	if r.Nodes > 1 {
		nodes = fmt.Sprintf("%d nodes each and as many copies of a job", r.Nodes)
	}
	fmt.Fprintf(b, "\n### Log: %s; %s\n\n%s, commit %s, %s. %d runs, %d producers and %d consumers.\n", r.Policy, nodes,
		r.Began.Format("2006-01-02 15:04 MST"), r.Commit, r.Machine, r.Runs, r.Clients, r.Clients)
	throughput(b, r)
	table(b, r.Memory, "| memory | jobs stored | resident bytes a job |", func(m compare.Memory) string {
		return fmt.Sprintf("| %s | %d | %s |", m.System, m.Jobs, span(m.Bytes, "%.0f"))
	})
	timed := slices.DeleteFunc(slices.Clone(r.Delivery), func(d compare.Delivery) bool { return d.P50.Median < 1 }) // less is no measurement
	table(b, timed, "| delivery | jobs a second | p50, us | p99, us | of it, p50 | of it, p99 |", func(d compare.Delivery) string {
		return fmt.Sprintf("| %s | %d | %s | %s | %.2f | %.2f |", d.System, d.Rate, span(d.P50, "%.0f"), span(d.P99, "%.0f"), d.P50Ratio.Median, d.P99Ratio.Median)
	})
	table(b, r.Recovery, "| recovery | jobs | log, MB | seconds | of it |", func(v compare.Recovery) string {
		return fmt.Sprintf("| %s | %d | %.0f | %s | %.2f |", v.System, v.Jobs, float64(v.LogBytes)/1e6, span(v.Seconds, "%.2f"), v.Ratio.Median)
	})
	table(b, r.Growth, "| growth | jobs there | bytes a job | produce/s, depth 16 | both/s, depth 1 | server CPU, s a million | fetch p99, us |", func(g compare.Growth) string {
		return fmt.Sprintf("| %s | %d | %.0f | %.0f | %.0f | %.1f | %.0f |", g.System, g.Stored, g.Bytes, g.Produce, g.Both, g.Server, g.Fetch.P99)
	})
	table(b, r.Breadth, "| breadth, depth 1 | with | produce/s | consume/s | of one queue, produce | of one queue, consume |", func(w compare.Breadth) string {
		return fmt.Sprintf("| %s | %s | %.0f | %.0f | %s | %s |", w.System, w.Case, w.Produce.Median, w.Consume.Median,
			span(w.ProduceRatio, "%.2f"), span(w.ConsumeRatio, "%.2f"))
	})
}

// table writes a table with a line for each of the rows, if there are any.
func table[T any](b *strings.Builder, rows []T, head string, line func(T) string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n|%s\n", head, strings.Repeat("---|", strings.Count(head, "|")-1))
	for _, r := range rows {
		b.WriteString(line(r) + "\n")
	}
}

// throughput writes a table for each size and depth: a line a system, a column
// a phase.
func throughput(b *strings.Builder, r *compare.Report) {
	for from := 0; from < len(r.Throughput); {
		first, to := r.Throughput[from], from
		for to < len(r.Throughput) && r.Throughput[to].Size == first.Size && r.Throughput[to].Depth == first.Depth {
			to++
		}
		rows := r.Throughput[from:to]
		head := fmt.Sprintf("| %d B, depth %d |", first.Size, first.Depth)
		for _, row := range rows {
			head += " " + row.Phase + " |"
		}
		var lines []string
		for i, system := range r.Systems {
			line := "| " + system + " |"
			for _, row := range rows {
				c := row.Cells[i]
				line += fmt.Sprintf(" %.1f k", c.Rate.Median/1000)
				if i > 0 {
					line += fmt.Sprintf(" · **%s**", span(c.Ratio, "%.2f"))
				}
				line += fmt.Sprintf(" · %.1f s |", c.Server.Median)
			}
			lines = append(lines, line)
		}
		table(b, lines, head, func(line string) string { return line })
		from = to
	}
}

// span is a median and, in brackets, the extremes.
func span(f compare.Figures, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", f.Median, f.Min, f.Max)
}
