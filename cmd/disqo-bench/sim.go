package main

import (
	"context"
	"fmt"
	"io"

	"github.com/disqo/disqo/bench"
)

func simulate(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o bench.SimOptions
	f := flags("sim", `Simulates clusters, seed after seed, with every fault there is, until one breaks the promise
or time is up; see server/sim. It needs no broker and no network.`, stderr)
	f.Uint64Var(&o.Seed, "seed", 0, "the first seed; 0 for another one each time")
	f.IntVar(&o.Seeds, "seeds", 0, "how many; 0 for as many as there is time for")
	f.DurationVar(&o.For, "for", 0, "how long; default a minute")
	f.DurationVar(&o.Time, "time", 0, "simulated time of load and faults of each; default ten minutes")
	f.IntVar(&o.Nodes, "nodes", 0, "nodes to begin with; default 5 in every second seed, else 2 to 7")
	f.IntVar(&o.Workers, "workers", 0, "simulations at a time; default one a processor")
	f.StringVar(&o.Record, "record", "", "a file to which a line with what was simulated is appended")
	quiet := f.Bool("quiet", false, "no progress on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	if !*quiet {
		o.Progress = stderr
	}
	r, err := bench.Sim(ctx, o)
	if r.Total != nil {
		fmt.Fprint(stdout, &r)
	}
	return err
}
