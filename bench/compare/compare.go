package compare

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/disqo/disqo/bench"
	"github.com/disqo/disqo/bench/bounds"
	"github.com/disqo/disqo/bench/load"
)

// Options say what to measure. The zero value of a field means its default.
type Options struct {
	Systems  []System  // the first is compared with each of the others; required
	Parts    []string  // of Parts, default "throughput"
	Dir      string    // where a directory for the run is made, default the system's for temporary files
	Runs     int       // of each measurement, 1 to 1000, default 5
	Policy   string    // memory, everysec or always, default memory
	Nodes    int       // of each system, 1 to 7, default 1; with more a job has as many copies
	Clients  int       // producers, and as many consumers, default 16
	Sizes    []int     // bytes of a body, default 128
	Depths   []int     // default 1 and 16
	Jobs     int       // in each phase at depth 1, default 200,000; four times as many above, fewer if they are more than 1 GiB
	Stored   int       // in "memory" and "recovery", jobs of 128 bytes, default 1,000,000
	Steps    []int     // in "growth", how many jobs there are, default 10,000 to 10,000,000
	Wide     int       // in "breadth", queues, and connections, default 10,000
	Waiting  int       // in "delivery", consumers that wait, default 50
	Rate     int       // in "delivery", jobs a second, default 1,000
	Seconds  int       // of "delivery", default 10
	Progress io.Writer // a line a measurement; nil for none
}

// Parts are what can be measured.
var Parts = []string{"throughput", "memory", "delivery", "recovery", "growth", "breadth"}

// Report is what was measured. Only figures of one report may be compared.
type Report struct {
	Began   time.Time `json:"began"`
	Commit  string    `json:"commit"` // of the program that measured
	Machine string    `json:"machine"`
	Systems []string  `json:"systems"`
	Runs    int       `json:"runs"`
	Policy  string    `json:"policy"`
	Nodes   int       `json:"nodes"`
	Clients int       `json:"clients"`

	Throughput []Throughput `json:"throughput,omitempty"`
	Memory     []Memory     `json:"memory,omitempty"`
	Delivery   []Delivery   `json:"delivery,omitempty"`
	Recovery   []Recovery   `json:"recovery,omitempty"`
	Growth     []Growth     `json:"growth,omitempty"`
	Breadth    []Breadth    `json:"breadth,omitempty"`
}

const (
	maxNodes   = 7
	maxClients = 10_000
	maxStored  = 100_000_000
	bytesMost  = 1 << 30 // of bodies in a phase
)

func (o *Options) fill() error {
	o.Runs, o.Policy, o.Nodes = cmp.Or(o.Runs, 5), cmp.Or(o.Policy, memory), cmp.Or(o.Nodes, 1)
	o.Clients, o.Jobs, o.Stored = cmp.Or(o.Clients, 16), cmp.Or(o.Jobs, 200_000), cmp.Or(o.Stored, 1_000_000)
	o.Waiting, o.Rate, o.Seconds, o.Wide = cmp.Or(o.Waiting, 50), cmp.Or(o.Rate, 1000), cmp.Or(o.Seconds, 10), cmp.Or(o.Wide, 10_000)
	for list, values := range map[*[]int][]int{&o.Sizes: {128}, &o.Depths: {1, 16}, &o.Steps: {10_000, 100_000, 1_000_000, 10_000_000}} {
		if len(*list) == 0 {
			*list = values
		}
	}
	if len(o.Parts) == 0 {
		o.Parts = Parts[:1]
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if len(o.Systems) == 0 {
		return fmt.Errorf("compare: there is no system to measure")
	}
	if !slices.Contains(policies, o.Policy) {
		return fmt.Errorf("compare: there is no policy %q; there are %s", o.Policy, strings.Join(policies, ", "))
	}
	for _, p := range o.Parts {
		if !slices.Contains(Parts, p) {
			return fmt.Errorf("compare: there is no part %q; there are %s", p, strings.Join(Parts, ", "))
		}
	}
	for _, s := range o.Systems {
		if o.Nodes > 1 && !s.kind.cluster {
			return fmt.Errorf("compare: %s has no clusters", s.Name)
		}
	}
	check := bounds.Of("compare").
		Int("Runs", o.Runs, 1, 1000).Int("Nodes", o.Nodes, 1, maxNodes).Int("Clients", o.Clients, 1, maxClients).
		Int("Jobs", o.Jobs, 1, maxStored).Int("Stored", o.Stored, 1, maxStored).
		Int("Wide", o.Wide, 1, maxClients).Int("Waiting", o.Waiting, 1, maxClients).Int("Rate", o.Rate, 1, 1_000_000).Int("Seconds", o.Seconds, 1, 3600)
	for _, size := range o.Sizes {
		check.Int("Sizes", size, load.SizeMin, load.SizeMax)
	}
	for _, depth := range o.Depths {
		check.Int("Depths", depth, 1, load.DepthMax)
	}
	low := 1
	for _, step := range o.Steps {
		check.Int("Steps", step, low, maxStored)
		low = step + 1
	}
	return check.Err()
}

// meter measures.
type meter struct {
	o   Options
	dir string
}

// Run measures what the options say.
func Run(ctx context.Context, o Options) (r Report, err error) {
	if err := o.fill(); err != nil {
		return r, err
	}
	dir, err := bench.WorkDir(o.Dir, "disqo-compare")
	if err != nil {
		return r, fmt.Errorf("compare: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r = Report{
		Began: time.Now().UTC().Truncate(time.Second), Commit: bench.Commit(), Machine: machine(),
		Runs: o.Runs, Policy: o.Policy, Nodes: o.Nodes, Clients: o.Clients,
	}
	for _, s := range o.Systems {
		r.Systems = append(r.Systems, s.Name)
	}
	m := &meter{o: o, dir: dir}
	for _, part := range Parts {
		if err != nil || !slices.Contains(o.Parts, part) {
			continue
		}
		switch part {
		case "throughput":
			r.Throughput, err = m.throughput(ctx)
		case "memory":
			r.Memory, err = m.memory(ctx)
		case "delivery":
			r.Delivery, err = m.delivery(ctx)
		case "recovery":
			r.Recovery, err = m.recovery(ctx)
		case "growth":
			r.Growth, err = m.growth(ctx)
		case "breadth":
			r.Breadth, err = m.breadth(ctx)
		}
	}
	return r, err
}

// turns calls do for each of so many systems in each run. They take turns at
// going first, so that drift of the machine cancels out.
func (m *meter) turns(systems int, do func(run, system int) error) error {
	for run := range m.o.Runs {
		for turn := range systems {
			if err := do(run, (run+turn)%systems); err != nil {
				return err
			}
		}
	}
	return nil
}

// fresh starts a system anew and calls do.
func (m *meter) fresh(ctx context.Context, s System, do func(b *broker) error) error {
	settle()
	b, err := s.start(ctx, m.dir, m.o.Policy, m.o.Nodes)
	if err != nil {
		return err
	}
	defer b.end()
	if err := do(b); err != nil {
		return fmt.Errorf("%s: %w\n%s", s.Name, err, b.log())
	}
	return nil
}

func (m *meter) say(format string, args ...any) { fmt.Fprintf(m.o.Progress, format+"\n", args...) }

// machine says where this runs.
func machine() string {
	text := fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				return text + ", " + strings.TrimSpace(model)
			}
		}
	}
	return text
}
