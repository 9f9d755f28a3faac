package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/disqo/disqo/bench"
)

func durable(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o bench.DurableOptions
	f := flags("durable", `Starts brokers and measures what a log costs: disqo in memory against everysec (16 producers
and 16 consumers, depth 1 and 16), always against the reference, if there is one (50 and 50,
depth 1), and how long a log takes to load after a kill. Pairs take turns at going first.`, stderr)
	f.StringVar(&o.Server, "server", "./disqo", "the broker's binary")
	f.StringVar(&o.Reference, "reference", "", "a disque-server to compare with; without one, always is compared with memory")
	f.StringVar(&o.Dir, "dir", "", "where to make a directory for the run; default the system's for temporary files")
	f.IntVar(&o.Runs, "runs", 5, "pairs of each kind")
	f.IntVar(&o.Jobs, "jobs", 200_000, "jobs in each phase at depth 1; four times as many above")
	f.IntVar(&o.Size, "size", 512, "bytes of a body")
	f.StringVar(&o.Pairs, "pairs", "everysec,always", "what to compare: everysec, always or none")
	f.IntVar(&o.Recover, "recover", 1_000_000, "jobs of 128 bytes in the log that is loaded; -1 for no recovery")
	asJSON := f.Bool("json", false, "the report as JSON on standard output")
	quiet := f.Bool("quiet", false, "no line a measurement on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	if !*quiet {
		o.Progress = stderr
	}
	r, err := bench.Durable(ctx, o)
	if *asJSON {
		return errors.Join(err, writeJSON(stdout, r))
	}
	fmt.Fprint(stdout, &r)
	return err
}
