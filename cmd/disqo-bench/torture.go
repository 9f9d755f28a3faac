package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/disqo/disqo/bench"
)

func tortureKill(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o bench.KillOptions
	f := flags("torture kill", `Starts a broker with a log, loads it, kills it (SIGKILL) at a random moment and starts it
again, over and over, and drains it at the end. Fails if an acknowledged job was lost, came
back, came twice though at most once was asked for, or was never sent.`, stderr)
	f.StringVar(&o.Server, "server", "./disqo", "the broker's binary")
	f.IntVar(&o.Port, "port", 0, "port to start it on, for a broker that does not log its address; 0 for any")
	f.StringVar(&o.Dir, "dir", "", "where to make a directory for the run; default the system's for temporary files")
	f.StringVar(&o.Policy, "policy", "always", "appendfsync of the broker: always, everysec or no")
	f.IntVar(&o.Cycles, "cycles", 200, "kills that count")
	seed := f.Uint64("seed", 0, "of all that is random; 0 for one from the clock")
	f.IntVar(&o.Producers, "producers", 8, "connections that add jobs")
	f.IntVar(&o.Consumers, "consumers", 8, "connections that get and acknowledge jobs; one more gets at-most-once jobs")
	f.IntVar(&o.Backlog, "backlog", 20_000, "jobs that are due at which producers pause")
	asJSON := f.Bool("json", false, "the report as JSON on standard output")
	quiet := f.Bool("quiet", false, "no line a cycle on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	if o.Seed = *seed; o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	if !*quiet {
		o.Progress = stderr
	}
	r, err := bench.Kill(ctx, o)
	if *asJSON {
		err = errors.Join(err, writeJSON(stdout, r))
	} else {
		printKill(stdout, &r)
	}
	if err == nil && !r.Verdict.OK() {
		err = fmt.Errorf("the broker failed; its files are in %s, the seed was %d", r.Kept, r.Seed)
	}
	return err
}

func printKill(w io.Writer, r *bench.KillReport) {
	var rates, restarts []float64
	for _, c := range r.Cycles {
		if !c.Void {
			rates = append(rates, float64(c.Added)/c.Load.Seconds())
			restarts = append(restarts, c.Restart.Seconds()*1000)
		}
	}
	slices.Sort(rates)
	slices.Sort(restarts)
	fmt.Fprintf(w, "seed %d  policy %s  kills %d  void %d\n", r.Seed, r.Policy, r.Kills, r.Void)
	if n := len(rates); n > 0 {
		fmt.Fprintf(w, "added per second: median %.0f  least %.0f\nrestart ms: median %.1f  most %.1f\n",
			rates[n/2], rates[0], restarts[n/2], restarts[n-1])
	}
	fmt.Fprint(w, &r.Verdict)
}
