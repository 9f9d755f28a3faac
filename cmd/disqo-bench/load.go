package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/disqo/disqo/bench"
)

func load(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o bench.Options
	f := flags("load", "Loads a broker that runs, phase by phase, and prints jobs a second.", stderr)
	f.StringVar(&o.Addr, "addr", "127.0.0.1:7711", "the broker")
	f.IntVar(&o.Producers, "producers", 16, "connections that add jobs")
	f.IntVar(&o.Consumers, "consumers", 16, "connections that get and acknowledge jobs")
	f.IntVar(&o.Jobs, "jobs", 100_000, "jobs in each phase")
	f.IntVar(&o.Size, "size", 128, "bytes of a body")
	f.IntVar(&o.Depth, "depth", 1, "adds in one write, and jobs in one GETJOB")
	f.IntVar(&o.Backlog, "backlog", 10_000, "in both, jobs added and not acknowledged at which producers pause")
	f.StringVar(&o.Queue, "queue", "bench", "the queue; nobody else should use it")
	phases := f.String("phases", strings.Join(bench.Phases, ","), "what to do, in order")
	progress := f.Bool("progress", false, "a line a second on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	if *progress {
		o.Progress = stderr
	}
	fmt.Fprintf(stdout, "%-10s %10s %10s %14s %14s\n", "phase", "jobs", "seconds", "jobs/second", "own CPU us/job")
	for phase := range strings.SplitSeq(*phases, ",") {
		if !slices.Contains(bench.Phases, phase) {
			return fmt.Errorf("there is no phase %q; the phases are %s", phase, strings.Join(bench.Phases, ", "))
		}
		r, err := bench.Run(ctx, o, phase)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%-10s %10d %10.2f %14.0f %14.2f\n", r.Phase, r.Jobs, r.Took.Seconds(), r.Rate(),
			r.CPU.Seconds()*1e6/float64(r.Jobs))
	}
	return nil
}
