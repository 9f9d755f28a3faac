package main

import (
	"context"
	"fmt"
	"io"
	"strings"
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
	return report(stdout, &r, *asJSON, err)
}

func tortureCluster(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o bench.ClusterOptions
	f := flags("torture cluster", `Starts a cluster in network namespaces (root, Linux, the ip command), loads it, strikes and
heals it by turns, leaves it in calm, drains it, and judges; one such run for each fault.
Fails if a job was lost or unexpected, if one came twice though there was no fault, if nodes
still hold jobs after the drain, or if too little was added for the run to show anything.`, stderr)
	f.StringVar(&o.Server, "server", "./disqo", "the broker's binary")
	directives := f.String("directives", bench.ClusterDirectives, "arguments of each node besides --bind, --port and --dir")
	f.StringVar(&o.Dir, "dir", "", "where to make a directory for each run; default the system's for temporary files")
	faults := f.String("faults", "", "comma separated, of "+strings.Join(bench.ClusterFaults, ", ")+", none; default all but none")
	f.IntVar(&o.Nodes, "nodes", 0, "nodes of the cluster; default 5, or 3 for a probe")
	f.IntVar(&o.Rounds, "rounds", 5, "faults in a run")
	f.DurationVar(&o.FaultTime, "fault-time", 10*time.Second, "how long a fault lasts")
	f.DurationVar(&o.HealTime, "heal-time", 10*time.Second, "time between faults")
	f.DurationVar(&o.Calm, "calm", 10*time.Second, "time without load before the drain")
	f.IntVar(&o.Rate, "rate", 1000, "adds a second")
	f.IntVar(&o.Producers, "producers", 10, "clients that add jobs")
	f.IntVar(&o.Consumers, "consumers", 0, "clients that get and acknowledge jobs; default 10, or as many as nodes")
	f.IntVar(&o.Least, "least", 20_000, "answered adds of all runs together below which they show nothing")
	seed := f.Uint64("seed", 0, "of all that is random; 0 for one from the clock")
	probe := f.Bool("probe", false, "measure how long each live node takes no default ADDJOB while another is dead or frozen, instead")
	asJSON := f.Bool("json", false, "the report as JSON on standard output")
	quiet := f.Bool("quiet", false, "no progress on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	if o.Seed = *seed; o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	if o.Directives = strings.Fields(*directives); o.Directives == nil {
		o.Directives = []string{}
	}
	if *faults != "" {
		o.Faults = strings.Split(*faults, ",")
	}
	if !*quiet {
		o.Progress = stderr
	}
	if *probe {
		r, err := bench.ClusterProbe(ctx, o)
		return report(stdout, &r, *asJSON, err)
	}
	r, err := bench.Cluster(ctx, o)
	return report(stdout, &r, *asJSON, err)
}

// report writes a report, and returns what is wrong: err, or what the report
// says.
func report(w io.Writer, r interface {
	fmt.Stringer
	Err() error
}, asJSON bool, err error) error {
	if err = write(w, r, asJSON, err); err == nil {
		err = r.Err()
	}
	return err
}
