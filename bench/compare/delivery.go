package compare

import (
	"context"

	"github.com/disqo/disqo/bench/load"
)

// Delivery is how soon consumers that wait have a job, in microseconds.
type Delivery struct {
	System string  `json:"system"`
	Rate   int     `json:"jobs_per_second"`
	P50    Figures `json:"p50_us"`
	P99    Figures `json:"p99_us"`

	// Of the first system to this one.
	P50Ratio Figures `json:"p50_ratio"`
	P99Ratio Figures `json:"p99_ratio"`
}

// calmSeconds go before a measurement, at the same rate: the first waits of a
// process.
const calmSeconds = 1

func (m *meter) delivery(ctx context.Context) (rows []Delivery, err error) {
	all := make([][]load.Latency, len(m.o.Systems))
	err = m.turns(len(m.o.Systems), func(run, system int) error {
		s := m.o.Systems[system]
		return m.fresh(ctx, s, func(b *broker) error {
			o := m.options(b, storedSize, 1, calmSeconds*m.o.Rate)
			o.Consumers, o.Rate = m.o.Waiting, m.o.Rate
			if _, err := load.Run(ctx, o, "deliver"); err != nil {
				return err
			}
			o.Jobs = m.o.Seconds * m.o.Rate
			r, err := load.Run(ctx, o, "deliver")
			if err != nil {
				return err
			}
			all[system] = append(all[system], r.Deliver)
			m.say("run %d  %-12s delivered within %.0f us at the median, p99 %.0f us", run+1, s.Name, r.Deliver.P50, r.Deliver.P99)
			return nil
		})
	})
	for i, s := range m.o.Systems {
		d := Delivery{System: s.Name, Rate: m.o.Rate}
		d.P50 = of(all[i], func(l load.Latency) float64 { return l.P50 })
		d.P99 = of(all[i], func(l load.Latency) float64 { return l.P99 })
		rows = append(rows, d)
	}
	for i := range rows {
		rows[i].P50Ratio, rows[i].P99Ratio = ratio(rows[0].P50, rows[i].P50), ratio(rows[0].P99, rows[i].P99)
	}
	return rows, err
}
