package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
)

// DurableOptions say how to measure what a log costs. The zero value of a field
// means its default.
type DurableOptions struct {
	Server    string    // path of the binary, default ./disqo
	Reference string    // path of a disque-server to compare with; default none
	Dir       string    // where a directory for the run is made, default the system's for temporary files
	Runs      int       // pairs of each kind, 1 to 1000, default 5
	Jobs      int       // jobs a phase at depth 1, default 200,000; four times as many above
	Size      int       // bytes of a body, default 512
	Pairs     string    // kinds of pairs: everysec, always or none; default "everysec,always"
	Recover   int       // jobs of 128 bytes in the log that is loaded, default 1,000,000; -1: no recovery
	Progress  io.Writer // a line a measurement; nil for none
}

// DurableReport is what was measured. Only figures of one report may be
// compared: machines drift.
type DurableReport struct {
	Began    time.Time  `json:"began"`
	CPUs     int        `json:"cpus"`
	System   string     `json:"system"`
	Size     int        `json:"size"`
	Runs     int        `json:"runs"`
	Rows     []Row      `json:"rows"`
	Recovery []Recovery `json:"recovery,omitempty"`
}

// variant is a way to start a broker.
type variant struct {
	name string
	path string
	port bool // it must be told a port
	args []string
}

// pair are two variants that are measured in turns under the same loads.
type pair struct {
	a, b    variant
	clients int // producers, and as many consumers
	depths  []int
}

func (o *DurableOptions) fill() error {
	o.Server, o.Runs = or(o.Server, "./disqo"), or(o.Runs, 5)
	o.Jobs, o.Size, o.Recover = or(o.Jobs, 200_000), or(o.Size, 512), or(o.Recover, 1_000_000)
	o.Pairs = or(o.Pairs, "everysec,always")
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	return within([]bound{{"Runs", o.Runs, 1, 1000}, {"Jobs", o.Jobs, 1, 1 << 27}, {"Size", o.Size, 8, maxSize}, {"Recover", o.Recover, -1, 1 << 27}})
}

// Durable measures disqo without a log, with one that is synced every second,
// and with one that is synced always; the last against the reference if there
// is one. Each measurement has a fresh process, and the two of a pair take
// turns at going first, so that drift of the machine cancels out.
func Durable(ctx context.Context, o DurableOptions) (r DurableReport, err error) {
	if err := o.fill(); err != nil {
		return r, err
	}
	dir, err := workDir(o.Dir, "disqo-durable")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r = DurableReport{Began: time.Now().UTC(), CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Size: o.Size, Runs: o.Runs}
	m := &meter{o: o, dir: dir}
	pairs, err := o.pairs()
	if err != nil {
		return r, err
	}
	for _, p := range pairs {
		for _, depth := range p.depths {
			rows, err := m.compare(ctx, p, depth)
			if err != nil {
				return r, err
			}
			r.Rows = append(r.Rows, rows...)
		}
	}
	if o.Recover > 0 {
		r.Recovery, err = m.recovery(ctx)
	}
	return r, err
}

// disqo is the broker under test. Its memory is bounded far above what the
// jobs need, so that no measurement comes near the levels.
func (o *DurableOptions) disqo(name string, args ...string) variant {
	return variant{name: "disqo " + name, path: o.Server, args: append([]string{"--maxmemory", "8gb"}, args...)}
}

func (o *DurableOptions) reference(policy string) variant {
	return variant{name: "reference " + policy, path: o.Reference, port: true, args: logged(policy)}
}

// logged are the directives for a log.
func logged(policy string) []string { return []string{"--appendonly", "yes", "--appendfsync", policy} }
