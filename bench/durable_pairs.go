package bench

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// pairs are the kinds that were asked for.
func (o *DurableOptions) pairs() (pairs []pair, err error) {
	memory, everysec, always := o.disqo("memory"), o.disqo("everysec", logged("everysec")...), o.disqo("always", logged("always")...)
	for kind := range strings.SplitSeq(o.Pairs, ",") {
		switch kind {
		case "everysec":
			pairs = append(pairs, pair{a: memory, b: everysec, clients: 16, depths: []int{1, 16}})
		case "always":
			against := memory
			if o.Reference != "" {
				against = o.reference("always")
			}
			pairs = append(pairs, pair{a: against, b: always, clients: 50, depths: []int{1}})
		case "none":
		default:
			return nil, fmt.Errorf("bench: there is no pair %q; there are everysec, always and none", kind)
		}
	}
	return pairs, nil
}

// meter measures.
type meter struct {
	o   DurableOptions
	dir string
}

// sample is one phase of one process.
type sample struct {
	rate        float64 // jobs a second
	server, own float64 // microseconds of processor time a job
}

// compare measures a pair at one depth.
func (m *meter) compare(ctx context.Context, p pair, depth int) ([]Row, error) {
	got := make(map[string]*[2][]sample) // by phase
	for _, phase := range Phases {
		got[phase] = new([2][]sample)
	}
	for run := range m.o.Runs {
		for turn := range 2 {
			side := (run + turn) % 2
			v := [2]variant{p.a, p.b}[side]
			samples, err := m.life(ctx, v, p.clients, depth)
			if err != nil {
				return nil, fmt.Errorf("%s, depth %d: %w", v.name, depth, err)
			}
			fmt.Fprintf(m.o.Progress, "run %d  %-18s depth %-2d ", run+1, v.name, depth)
			for i, phase := range Phases {
				got[phase][side] = append(got[phase][side], samples[i])
				fmt.Fprintf(m.o.Progress, "  %s %.0f/s", phase, samples[i].rate)
			}
			fmt.Fprintln(m.o.Progress)
		}
	}
	var rows []Row
	for _, phase := range Phases {
		rows = append(rows, newRow(p, phase, depth, got[phase]))
	}
	return rows, nil
}

// life measures all phases on a fresh process.
func (m *meter) life(ctx context.Context, v variant, clients, depth int) ([]sample, error) {
	prog, err := m.program(v)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(prog.Dir) }()
	settle()
	p, err := StartProcess(ctx, prog)
	if err != nil {
		return nil, err
	}
	defer p.Kill()
	o := Options{Addr: p.Addr, Producers: clients, Consumers: clients, Size: m.o.Size, Depth: depth, Jobs: m.o.Jobs}
	if depth > 1 {
		o.Jobs *= 4
	}
	var samples []sample
	for _, phase := range Phases {
		before, err := p.cpu(ctx)
		if err != nil {
			return nil, err
		}
		r, err := Run(ctx, o, phase)
		if err != nil {
			return nil, fmt.Errorf("%w; the broker's log ends:\n%s", err, p.Log())
		}
		after, err := p.cpu(ctx)
		if err != nil {
			return nil, err
		}
		jobs := float64(r.Jobs)
		samples = append(samples, sample{rate: r.Rate(), server: (after - before) * 1e6 / jobs, own: r.CPU.Seconds() * 1e6 / jobs})
	}
	return samples, nil
}

// program gives a variant a directory of its own, and a port if it needs one.
func (m *meter) program(v variant) (prog Program, err error) {
	prog = Program{Path: v.path, Args: v.args}
	if v.port {
		if prog.Port, err = freePort(); err != nil {
			return prog, err
		}
	}
	prog.Dir, err = os.MkdirTemp(m.dir, strings.ReplaceAll(v.name, " ", "-"))
	return prog, err
}

// cpu is the processor time of the broker in seconds, as it says itself.
func (p *Process) cpu(ctx context.Context) (float64, error) {
	fields, err := p.Info(ctx)
	if err != nil {
		return 0, err
	}
	user, err := strconv.ParseFloat(fields["used_cpu_user"], 64)
	if err != nil {
		return 0, fmt.Errorf("bench: used_cpu_user of INFO: %w", err)
	}
	system, err := strconv.ParseFloat(fields["used_cpu_sys"], 64)
	if err != nil {
		return 0, fmt.Errorf("bench: used_cpu_sys of INFO: %w", err)
	}
	return user + system, nil
}

// milliseconds as a figure of a report.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
