// Command disqo-bench loads a broker and prints jobs a second.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/disqo/disqo/bench"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "disqo-bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o bench.Options
	f := flag.NewFlagSet("disqo-bench", flag.ExitOnError)
	f.StringVar(&o.Addr, "addr", "127.0.0.1:7711", "the broker")
	f.IntVar(&o.Producers, "producers", 16, "connections that add jobs")
	f.IntVar(&o.Consumers, "consumers", 16, "connections that get and acknowledge jobs")
	f.IntVar(&o.Jobs, "jobs", 100_000, "jobs in each phase")
	f.IntVar(&o.Size, "size", 128, "bytes of a body")
	f.IntVar(&o.Depth, "depth", 1, "adds in one write, and jobs in one GETJOB")
	f.StringVar(&o.Queue, "queue", "bench", "the queue; nobody else should use it")
	phases := f.String("phases", strings.Join(bench.Phases, ","), "what to do, in order")
	progress := f.Bool("progress", false, "a line a second on standard error")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *progress {
		o.Progress = os.Stderr
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("%-10s %10s %10s %14s\n", "phase", "jobs", "seconds", "jobs/second")
	for phase := range strings.SplitSeq(*phases, ",") {
		if !slices.Contains(bench.Phases, phase) {
			return fmt.Errorf("there is no phase %q; the phases are %s", phase, strings.Join(bench.Phases, ", "))
		}
		r, err := bench.Run(ctx, o, phase)
		if err != nil {
			return err
		}
		fmt.Printf("%-10s %10d %10.2f %14.0f\n", r.Phase, r.Jobs, r.Took.Seconds(), r.Rate())
	}
	return nil
}
