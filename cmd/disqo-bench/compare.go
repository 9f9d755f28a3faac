package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/disqo/disqo/bench/compare"
)

func compareSystems(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o compare.Options
	f := flags("compare", `Starts disqo and other brokers in turns, measures them side by side on this machine, and
prints what each reached and how many times that disqo reached.

A system is [name:]kind[=path or @host:port]; the kinds are disqo, disque (the reference),
list and stream (of Redis), beanstalkd, and scraped: disqo whose metrics are taken each
second. What is not given a path is looked for in PATH.`, stderr)
	server := f.String("server", "./disqo", "disqo's binary")
	against := f.String("against", "", "systems to compare with, separated by commas: reference:disque=/usr/bin/disque-server,list")
	parts := f.String("parts", compare.Parts[0], "what to measure: "+strings.Join(compare.Parts, ", "))
	f.StringVar(&o.Dir, "dir", "", "where to make a directory for the run; default the system's for temporary files")
	f.IntVar(&o.Runs, "runs", 5, "of each measurement")
	f.StringVar(&o.Policy, "policy", "memory", "of the log: memory (none), everysec, always")
	f.IntVar(&o.Nodes, "nodes", 1, "of each system; with more a job has as many copies")
	f.IntVar(&o.Clients, "clients", 16, "producers, and as many consumers")
	f.Var((*integers)(&o.Sizes), "sizes", "bytes of a body, separated by commas (default 128)")
	f.Var((*integers)(&o.Depths), "depths", "jobs in one write, fetch and acknowledgement (default 1,16)")
	f.IntVar(&o.Jobs, "jobs", 200_000, "in each phase at depth 1; four times as many above")
	f.IntVar(&o.Stored, "stored", 1_000_000, "in memory and recovery, jobs of 128 bytes")
	f.Var((*integers)(&o.Steps), "steps", "in growth, how many jobs there are (default 10000,100000,1000000,10000000)")
	f.IntVar(&o.Wide, "wide", 10_000, "in breadth, queues, and connections")
	f.IntVar(&o.Waiting, "waiting", 50, "in delivery, consumers that wait")
	f.IntVar(&o.Rate, "rate", 1000, "in delivery, jobs a second")
	f.IntVar(&o.Seconds, "seconds", 10, "of delivery")
	asJSON := f.Bool("json", false, "the report as JSON on standard output")
	quiet := f.Bool("quiet", false, "no line a measurement on standard error")
	if err := parse(f, args); err != nil {
		return err
	}
	oneThread()
	if !*quiet {
		o.Progress = stderr
	}
	o.Parts = strings.Split(*parts, ",")
	var err error
	if o.Systems, err = compare.ParseSystems("disqo=" + *server + "," + *against); err != nil {
		return err
	}
	r, err := compare.Run(ctx, o)
	return write(stdout, &r, *asJSON, err)
}

// integers is a flag that is a list of numbers.
type integers []int

var _ flag.Value = (*integers)(nil)

func (n *integers) String() string { return strings.Trim(fmt.Sprint(*n), "[]") }

func (n *integers) Set(text string) error {
	*n = nil
	for field := range strings.SplitSeq(text, ",") {
		i, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("%q is not a number", field)
		}
		*n = append(*n, i)
	}
	return nil
}
