package compare

import (
	"context"
	"fmt"

	"github.com/disqo/disqo/bench/load"
)

// Breadth is what a broker reaches when there are many of something, at depth 1.
type Breadth struct {
	System  string  `json:"system"`
	Case    string  `json:"case"`
	Produce Figures `json:"produce_per_second"`
	Consume Figures `json:"consume_per_second"`

	// Of this case's to the first one's: 1 if it makes no difference.
	ProduceRatio Figures `json:"produce_ratio"`
	ConsumeRatio Figures `json:"consume_ratio"`
}

// wide is one case.
type wide struct {
	name string
	with func(o *load.Options)
}

func (m *meter) cases() []wide {
	n := m.o.Wide
	return []wide{
		{"one queue", func(*load.Options) {}},
		{fmt.Sprintf("%d queues", n), func(o *load.Options) { o.Queues = n }},
		{fmt.Sprintf("%d connections", n), func(o *load.Options) { o.Idle = max(0, n-o.Producers-o.Consumers) }},
	}
}

// breadth measures the systems that speak Disque's commands, case by case in
// turns.
func (m *meter) breadth(ctx context.Context) (rows []Breadth, err error) {
	cases := m.cases()
	for _, s := range m.o.Systems {
		if s.kind.protocol != "disque" {
			continue
		}
		produce, consume := make([][]float64, len(cases)), make([][]float64, len(cases))
		err := m.turns(len(cases), func(run, at int) error {
			return m.fresh(ctx, s, func(b *broker) error {
				o := m.options(b, storedSize, 1, m.o.Jobs)
				cases[at].with(&o)
				added, err := b.run(ctx, o, "produce")
				if err != nil {
					return err
				}
				done, err := b.run(ctx, o, "consume")
				if err != nil {
					return err
				}
				produce[at], consume[at] = append(produce[at], added.Rate()), append(consume[at], done.Rate())
				m.say("run %d  %-12s %-18s produce %.1f k/s  consume %.1f k/s", run+1, s.Name, cases[at].name, added.Rate()/1000, done.Rate()/1000)
				return nil
			})
		})
		first := len(rows)
		for i, c := range cases {
			rows = append(rows, Breadth{System: s.Name, Case: c.name, Produce: newFigures(produce[i]), Consume: newFigures(consume[i])})
			r := &rows[first+i]
			r.ProduceRatio, r.ConsumeRatio = ratio(r.Produce, rows[first].Produce), ratio(r.Consume, rows[first].Consume)
		}
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}
