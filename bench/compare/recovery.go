package compare

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/disqo/disqo/bench/load"
)

// Recovery is how long a system takes to load its log after a kill.
type Recovery struct {
	System   string  `json:"system"`
	Jobs     int     `json:"jobs"`
	LogBytes int64   `json:"log_bytes"`
	Seconds  Figures `json:"seconds"` // from the start of the process until all jobs are there and it serves clients
	Ratio    Figures `json:"ratio"`   // of the first system to this one
}

// recovery kills brokers that have jobs and starts them on their logs. What
// cannot be asked how many jobs it has is left out.
func (m *meter) recovery(ctx context.Context) (rows []Recovery, err error) {
	policy := m.o.Policy
	if policy == memory {
		policy = everySecond
	}
	var brokers []*broker
	defer func() {
		for _, b := range brokers {
			b.end()
		}
	}()
	for _, s := range m.o.Systems {
		if s.kind.count == nil || s.addr != nil {
			continue
		}
		b, err := s.start(ctx, m.dir, policy, 1)
		if err != nil {
			return nil, err
		}
		brokers = append(brokers, b)
		r, err := load.Run(ctx, m.options(b, storedSize, storedDepth, m.o.Stored), "produce")
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", s.Name, err, b.log())
		}
		b.kill()
		rows = append(rows, Recovery{System: s.Name, Jobs: r.Jobs, LogBytes: diskUsed(b.dir)})
	}
	all := make([][]float64, len(rows))
	settle()
	err = m.turns(len(rows), func(run, system int) error {
		took, err := brokers[system].reload(ctx, rows[system].Jobs)
		if err != nil {
			return fmt.Errorf("%s: %w", rows[system].System, err)
		}
		all[system] = append(all[system], took.Seconds())
		m.say("run %d  %-12s loaded %d jobs in %.2f s", run+1, rows[system].System, rows[system].Jobs, took.Seconds())
		return nil
	})
	for i := range rows {
		rows[i].Seconds = newFigures(all[i])
		rows[i].Ratio = ratio(rows[0].Seconds, rows[i].Seconds)
	}
	return rows, err
}

const reloadPatience = 2 * time.Minute

// reload starts the broker on its log and kills it when all jobs are there.
func (b *broker) reload(ctx context.Context, jobs int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, reloadPatience)
	defer cancel()
	defer b.kill()
	if err := b.launch(ctx); err != nil {
		return 0, err
	}
	n, took := 0, time.Duration(0)
	err := poll(ctx, func() (ok bool, err error) {
		n, err = b.s.kind.jobs(ctx, b.addrs[0])
		took = time.Since(b.procs[0].Started)
		return n == jobs, err
	})
	if err != nil {
		err = fmt.Errorf("compare: it has %d jobs of %d after %s: %w", n, jobs, took, err)
	}
	return took, err
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
