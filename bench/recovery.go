package bench

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"
)

const (
	recoverySize  = 128 // bytes of a body
	recoveryDepth = 100 // adds in one write when the log is made
	recoveryRuns  = 3   // starts of each broker
)

// Recovery is how long a broker takes to load a log after a kill.
type Recovery struct {
	Name     string  `json:"name"`
	Jobs     int     `json:"jobs"`
	LogBytes int64   `json:"log_bytes"`
	Seconds  Figures `json:"seconds"` // from the start of the process until all jobs are there and it serves clients
}

// recovery measures disqo and the reference in turns, each on a log of its own.
func (m *meter) recovery(ctx context.Context) ([]Recovery, error) {
	variants := []variant{m.o.disqo("everysec", logged("everysec")...)}
	if m.o.Reference != "" {
		variants = append(variants, m.o.reference("everysec"))
	}
	progs, results, seconds := make([]Program, len(variants)), make([]Recovery, len(variants)), make([][]float64, len(variants))
	for i, v := range variants {
		var err error
		if progs[i], err = m.program(v); err == nil {
			err = m.fillLog(ctx, progs[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%s, recovery: %w", v.name, err)
		}
		results[i] = Recovery{Name: v.name, Jobs: m.o.Recover, LogBytes: diskUsed(progs[i].Dir)}
	}
	settle()
	for run := range recoveryRuns {
		for turn := range variants {
			i := (run + turn) % len(variants)
			took, err := m.reload(ctx, progs[i])
			if err != nil {
				return nil, fmt.Errorf("%s, recovery: %w", variants[i].name, err)
			}
			fmt.Fprintf(m.o.Progress, "run %d  %-18s recovery of %d jobs %.0f ms\n", run+1, variants[i].name, m.o.Recover, milliseconds(took))
			seconds[i] = append(seconds[i], took.Seconds())
		}
	}
	for i := range results {
		results[i].Seconds = newFigures(seconds[i])
	}
	return results, nil
}

// fillLog adds the jobs and kills the broker.
func (m *meter) fillLog(ctx context.Context, prog Program) error {
	p, err := StartProcess(ctx, prog)
	if err != nil {
		return err
	}
	defer p.Kill()
	_, err = Run(ctx, Options{Addr: p.Addr, Jobs: m.o.Recover, Size: recoverySize, Depth: recoveryDepth}, "produce")
	return err
}

// reload starts the broker on its log and kills it when all jobs are there.
func (m *meter) reload(ctx context.Context, prog Program) (time.Duration, error) {
	p, err := StartProcess(ctx, prog)
	if err != nil {
		return 0, err
	}
	defer p.Kill()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		fields, err := p.Info(ctx)
		if err != nil {
			return 0, err
		}
		took := time.Since(p.Started)
		if fields["registered_jobs"] == strconv.Itoa(m.o.Recover) {
			return took, nil
		}
		if took > startPatience {
			return 0, fmt.Errorf("bench: it has %s jobs of %d after %s", fields["registered_jobs"], m.o.Recover, took)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// diskUsed is the size of the files below dir, as far as they can be read.
func diskUsed(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
