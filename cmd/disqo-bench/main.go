// Command disqo-bench loads brokers, measures them, and tortures them.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage: disqo-bench [load] [flags]          load a broker that runs, and print jobs a second
       disqo-bench compare [flags]         start brokers, and measure them side by side
       disqo-bench page [flags]            make a page of what compare measured
       disqo-bench torture kill [flags]    kill a broker again and again, and look for lost jobs
       disqo-bench torture cluster [flags] part, kill and freeze nodes of a cluster, and look for lost jobs
       disqo-bench sim [flags]             simulate clusters for hours in seconds, and look for broken promises

disqo-bench <command> -h lists the flags of a command. The exit code is 0 if all
is well, 1 if not, and 2 for a wrong command line.
`

// errUsage is a mistake on the command line that was explained already.
var errUsage = errors.New("wrong usage")

func main() {
	// Both end the brokers that were started, too.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "disqo-bench:", err)
		os.Exit(1)
	}
}

// run finds the command. Flags alone mean load, whose name may be left out.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := "load"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	switch {
	case name == "load":
		return makeLoad(ctx, args, stdout, stderr)
	case name == "compare":
		return compareSystems(ctx, args, stdout, stderr)
	case name == "page":
		return makePage(args, stderr)
	case name == "torture" && len(args) > 0 && args[0] == "kill":
		return tortureKill(ctx, args[1:], stdout, stderr)
	case name == "torture" && len(args) > 0 && args[0] == "cluster":
		return tortureCluster(ctx, args[1:], stdout, stderr)
	case name == "sim":
		return simulate(ctx, args, stdout, stderr)
	case name == "help":
		_, err := io.WriteString(stdout, usage)
		return err
	}
	fmt.Fprint(stderr, usage)
	return errUsage
}

// flags returns an empty set of flags for a command.
func flags(command, what string, stderr io.Writer) *flag.FlagSet {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "Usage: disqo-bench %s [flags]\n\n%s\n\n", command, what)
		f.PrintDefaults()
		if command == "load" {
			fmt.Fprintf(stderr, "\n%s", usage)
		}
	}
	return f
}

// parse reads flags; nothing but flags is allowed.
func parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if f.NArg() > 0 {
		fmt.Fprintf(f.Output(), "unexpected argument: %q\n", f.Arg(0))
		f.Usage()
		return errUsage
	}
	return nil
}

// write writes a report in one of two forms, though there was an error.
func write(w io.Writer, r fmt.Stringer, asJSON bool, err error) error {
	if asJSON {
		return errors.Join(err, writeJSON(w, r))
	}
	fmt.Fprint(w, r)
	return err
}

// writeJSON writes a report.
func writeJSON(w io.Writer, report any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
