package compare

import (
	"context"

	"github.com/disqo/disqo/bench/load"
)

// Growth is what a job costs when so many are there.
type Growth struct {
	System  string       `json:"system"`
	Stored  int          `json:"stored"`
	Bytes   float64      `json:"resident_bytes_per_job"`
	Produce float64      `json:"produce_per_second"` // of those added since the step before
	Both    float64      `json:"both_per_second"`
	Server  float64      `json:"both_server_cpu_s_per_million"`
	Fetch   load.Latency `json:"fetch"` // in both, at depth 1
}

// growth fills each system, and measures at each step.
func (m *meter) growth(ctx context.Context) (rows []Growth, err error) {
	for _, s := range m.o.Systems {
		err := m.fresh(ctx, s, func(b *broker) error {
			before, stored, used := b.resident(), 0, 0 // used are the numbers of jobs so far
			for _, step := range m.o.Steps {
				o := m.options(b, storedSize, storedDepth, step-stored)
				o.First = used
				r, err := load.Run(ctx, o, "produce")
				if err != nil {
					return err
				}
				used, stored = used+r.Jobs, step
				g := Growth{System: s.Name, Stored: step, Produce: r.Rate(), Bytes: float64(b.resident()-before) / float64(step)}
				o = m.options(b, storedSize, 1, m.o.Jobs)
				o.First, o.Backlog = used, m.o.Jobs
				both, err := b.run(ctx, o, "both")
				if err != nil {
					return err
				}
				used += both.Jobs
				g.Both, g.Fetch, g.Server = both.Rate(), both.Fetch, both.perMillion(both.server)
				rows = append(rows, g)
				m.say("%-12s %9d jobs  %.0f bytes each  produce %.0f k/s  both %.1f k/s, fetch p99 %.0f us", s.Name, step, g.Bytes,
					g.Produce/1000, g.Both/1000, g.Fetch.P99)
			}
			return nil
		})
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}
