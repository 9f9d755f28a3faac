package compare

import (
	"context"

	"github.com/disqo/disqo/bench/load"
)

// Memory is what a stored job takes in one system.
type Memory struct {
	System string  `json:"system"`
	Jobs   int     `json:"jobs"`
	Bytes  Figures `json:"resident_bytes_per_job"` // more than the process had before them
}

const (
	storedSize  = 128 // bytes of a body
	storedDepth = 16  // adds in one write
)

func (m *meter) memory(ctx context.Context) (rows []Memory, err error) {
	all := make([][]float64, len(m.o.Systems))
	err = m.turns(len(m.o.Systems), func(run, system int) error {
		s := m.o.Systems[system]
		return m.fresh(ctx, s, func(b *broker) error {
			before := b.resident()
			r, err := load.Run(ctx, m.options(b, storedSize, storedDepth, m.o.Stored), "produce")
			if err != nil {
				return err
			}
			bytes := float64(b.resident()-before) / float64(r.Jobs)
			all[system] = append(all[system], bytes)
			m.say("run %d  %-12s %.0f bytes a job, %d of %d bytes stored", run+1, s.Name, bytes, r.Jobs, storedSize)
			return nil
		})
	})
	for i, s := range m.o.Systems {
		rows = append(rows, Memory{System: s.Name, Jobs: m.o.Stored, Bytes: newFigures(all[i])})
	}
	return rows, err
}
