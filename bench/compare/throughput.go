package compare

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/disqo/disqo/bench/load"
)

// Throughput is one phase with bodies of one size at one depth.
type Throughput struct {
	Size  int    `json:"size"`
	Depth int    `json:"depth"`
	Phase string `json:"phase"`
	Cells []Cell `json:"cells"` // by system
}

// Cell is what one system reached.
type Cell struct {
	Rate   Figures `json:"jobs_per_second"`
	Server Figures `json:"server_cpu_s_per_million"` // of all its nodes
	Own    Figures `json:"own_cpu_s_per_million"`    // of the generator, which shares the machine
	Ratio  Figures `json:"ratio"`                    // of the first system's rate to this one's

	// Medians of the runs.
	Add   load.Latency `json:"add"`
	Fetch load.Latency `json:"fetch"`
	Ack   load.Latency `json:"ack"`
}

var phases = []string{"produce", "consume", "both"}

// warmup is how many jobs a fresh process has seen before it is measured.
const warmup = 20_000

// sample is one phase of one process.
type sample struct {
	load.Result
	server time.Duration
}

func (s sample) perMillion(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(s.Jobs) }

func (m *meter) throughput(ctx context.Context) (rows []Throughput, err error) {
	for _, size := range m.o.Sizes {
		for _, depth := range m.o.Depths {
			some, err := m.phases(ctx, size, depth)
			if err != nil {
				return rows, err
			}
			rows = append(rows, some...)
		}
	}
	return rows, nil
}

// phases measures all systems with one size and depth.
func (m *meter) phases(ctx context.Context, size, depth int) ([]Throughput, error) {
	samples := make([][][]sample, len(phases)) // by phase and system
	for i := range samples {
		samples[i] = make([][]sample, len(m.o.Systems))
	}
	err := m.turns(len(m.o.Systems), func(run, system int) error {
		s := m.o.Systems[system]
		return m.fresh(ctx, s, func(b *broker) error {
			text := &strings.Builder{}
			for i, phase := range phases {
				got, err := m.phase(ctx, b, size, depth, phase, i == 0)
				if err != nil {
					return err
				}
				samples[i][system] = append(samples[i][system], got)
				fmt.Fprintf(text, "  %s %.1f k/s", phase, got.Rate()/1000)
			}
			m.say("run %d  %5d B  depth %-2d  %-12s%s", run+1, size, depth, s.Name, text)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	var rows []Throughput
	for i, phase := range phases {
		row := Throughput{Size: size, Depth: depth, Phase: phase}
		for _, s := range samples[i] {
			row.Cells = append(row.Cells, newCell(s))
		}
		for j := range row.Cells {
			row.Cells[j].Ratio = ratio(row.Cells[0].Rate, row.Cells[j].Rate)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// options are the load on a broker.
func (m *meter) options(b *broker, size, depth, jobs int) load.Options {
	o := load.Options{
		Addrs: b.addrs, Protocol: b.s.kind.protocol, Queue: queue, Producers: m.o.Clients, Consumers: m.o.Clients,
		Size: size, Depth: depth, Jobs: jobs,
	}
	if len(b.addrs) > 1 {
		o.Copies = len(b.addrs)
	}
	return o
}

func (m *meter) phase(ctx context.Context, b *broker, size, depth int, phase string, cold bool) (sample, error) {
	jobs := m.o.Jobs
	if depth > 1 {
		jobs *= 4
	}
	o := m.options(b, size, depth, min(jobs, bytesMost/size))
	if cold {
		w := o
		w.Jobs = min(o.Jobs, warmup)
		if _, err := load.Run(ctx, w, "both"); err != nil {
			return sample{}, err
		}
	}
	return b.run(ctx, o, phase)
}

// run makes the load of one phase.
func (b *broker) run(ctx context.Context, o load.Options, phase string) (sample, error) {
	before := b.cpu()
	r, err := load.Run(ctx, o, phase)
	return sample{Result: r, server: b.cpu() - before}, err
}

func newCell(samples []sample) Cell {
	median := func(which func(s sample) load.Latency) (l load.Latency) {
		value := func(field func(l load.Latency) float64) float64 {
			return of(samples, func(s sample) float64 { return field(which(s)) }).Median
		}
		l.Count = int64(value(func(l load.Latency) float64 { return float64(l.Count) }))
		l.Mean = value(func(l load.Latency) float64 { return l.Mean })
		l.P50 = value(func(l load.Latency) float64 { return l.P50 })
		l.P90 = value(func(l load.Latency) float64 { return l.P90 })
		l.P99 = value(func(l load.Latency) float64 { return l.P99 })
		l.P999 = value(func(l load.Latency) float64 { return l.P999 })
		l.Max = value(func(l load.Latency) float64 { return l.Max })
		return l
	}
	return Cell{
		Rate:   of(samples, func(s sample) float64 { return s.Rate() }),
		Server: of(samples, func(s sample) float64 { return s.perMillion(s.server) }),
		Own:    of(samples, func(s sample) float64 { return s.perMillion(s.CPU) }),
		Add:    median(func(s sample) load.Latency { return s.Add }),
		Fetch:  median(func(s sample) load.Latency { return s.Fetch }),
		Ack:    median(func(s sample) load.Latency { return s.Ack }),
	}
}
