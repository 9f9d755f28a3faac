package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/disqo/disqo/bench/load"
)

func makeLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o load.Options
	f := flags("load", "Loads a broker that runs, phase by phase, and prints jobs a second.", stderr)
	f.StringVar(&o.Protocol, "protocol", "disque", "what to speak: "+strings.Join(load.Protocols, ", "))
	f.IntVar(&o.Producers, "producers", 16, "connections that add jobs")
	f.IntVar(&o.Consumers, "consumers", 16, "connections that get and acknowledge jobs")
	f.IntVar(&o.Idle, "idle", 0, "connections that do nothing")
	f.IntVar(&o.Jobs, "jobs", 100_000, "jobs in each phase")
	f.IntVar(&o.Size, "size", 128, "bytes of a body")
	f.IntVar(&o.Depth, "depth", 1, "adds in one write, and jobs in one fetch and one acknowledgement")
	f.IntVar(&o.Backlog, "backlog", 10_000, "in both, jobs added and not acknowledged at which producers pause")
	f.IntVar(&o.Rate, "rate", 1000, "in deliver, jobs a second")
	f.IntVar(&o.Copies, "copies", 0, "nodes that must have a job before its producer is answered; 0: what the broker does")
	f.StringVar(&o.Queue, "queue", "bench", "the queue; nobody else should use it")
	f.IntVar(&o.Queues, "queues", 1, "queues that the jobs are spread over; more than one in produce and consume only")
	addrs := f.String("addr", "127.0.0.1:7711", "the broker, or its nodes, separated by commas")
	phases := f.String("phases", strings.Join(load.Phases[:3], ","), "what to do, in order: "+strings.Join(load.Phases, ", "))
	asJSON := f.Bool("json", false, "the results as JSON on standard output")
	progress := f.Bool("progress", false, "a line a second on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	oneThread()
	o.Addrs = strings.Split(*addrs, ",")
	if *progress {
		o.Progress = stderr
	}
	if !*asJSON {
		fmt.Fprintf(stdout, "%-8s %9s %9s %12s %14s   %s\n", "phase", "jobs", "seconds", "jobs/second", "own CPU us/job", "latency us: p50 p99 p99.9 max")
	}
	var results []load.Result
	for phase := range strings.SplitSeq(*phases, ",") {
		r, err := load.Run(ctx, o, phase)
		if err != nil {
			return err
		}
		if results = append(results, r); !*asJSON {
			printResult(stdout, r)
		}
	}
	if *asJSON {
		return writeJSON(stdout, results)
	}
	return nil
}

// oneThread leaves the other processors to the brokers: the generator is one
// thread, and what the scheduler does with a second is at their cost.
func oneThread() { runtime.GOMAXPROCS(1) }

func printResult(w io.Writer, r load.Result) {
	fmt.Fprintf(w, "%-8s %9d %9.2f %12.0f %14.2f ", r.Phase, r.Jobs, r.Took.Seconds(), r.Rate(), r.CPU.Seconds()*1e6/float64(r.Jobs))
	for _, part := range []struct {
		name string
		load.Latency
	}{{"add", r.Add}, {"fetch", r.Fetch}, {"ack", r.Ack}, {"delivery", r.Deliver}} {
		if part.Count > 0 {
			fmt.Fprintf(w, "  %s %.0f %.0f %.0f %.0f", part.name, part.P50, part.P99, part.P999, part.Max)
		}
	}
	fmt.Fprintln(w)
}
