// Command disqo-check-aof verifies, shows and repairs the append-only file of a
// broker that does not run.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/disqo/disqo/aof"
)

const usage = `Usage: disqo-check-aof DIR                  verify: segments, records, jobs, damage
       disqo-check-aof --dump DIR           print every record, one a line
       disqo-check-aof --json DIR           print every record as JSON, then the report
       disqo-check-aof --repair DIR         say what a repair would lose
       disqo-check-aof --repair --yes DIR   repair

DIR is the log's directory: appendonlydir in the broker's dir. Stop the broker
first. Only --repair --yes changes anything.

  --bodies        with --dump: whole bodies, not only their first 64 bytes
  --verify-only   with --json: only the report
  --yes           with --repair: do it

Exit codes: 0 the log is whole: stopped cleanly or killed, switched off, empty
            1 wrong usage, or an error that says nothing of the log
            2 the end is torn: the broker cuts it when it starts
            3 corrupt: the broker does not start; see --repair
            4 written by a newer version: use that one
`

// The exit codes.
const (
	exitWhole = iota
	exitError
	exitTorn
	exitCorrupt
	exitNewer
)

// options is the command line.
type options struct {
	dir                                         string
	dump, bodies, json, verifyOnly, repair, yes bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its surroundings passed in; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, usage)
		return exitWhole
	}
	if err != nil {
		fmt.Fprintf(stderr, "disqo-check-aof: %v\n\n%s", err, usage)
		return exitError
	}
	out := bufio.NewWriterSize(stdout, 64<<10)
	code, err := do(o, out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		fmt.Fprintf(stderr, "disqo-check-aof: %v\n", advise(o, err))
		return exitError
	}
	return code
}

// parse reads the command line. Flags may stand behind the directory, too.
func parse(args []string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("disqo-check-aof", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.BoolVar(&o.dump, "dump", false, "")
	f.BoolVar(&o.bodies, "bodies", false, "")
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.verifyOnly, "verify-only", false, "")
	f.BoolVar(&o.repair, "repair", false, "")
	f.BoolVar(&o.yes, "yes", false, "")
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			break
		}
		if o.dir != "" {
			return nil, fmt.Errorf("one directory at a time, not %q too", f.Arg(0))
		}
		o.dir, args = f.Arg(0), f.Args()[1:]
	}
	return o, o.validate()
}

func (o *options) validate() error {
	modes := 0
	for _, set := range []bool{o.dump, o.json, o.repair} {
		if set {
			modes++
		}
	}
	switch {
	case o.dir == "":
		return errors.New("which directory?")
	case modes > 1:
		return errors.New("--dump, --json and --repair exclude each other")
	case o.bodies && !o.dump:
		return errors.New("--bodies goes with --dump")
	case o.verifyOnly && !o.json:
		return errors.New("--verify-only goes with --json")
	case o.yes && !o.repair:
		return errors.New("--yes goes with --repair")
	}
	return nil
}

// do does what the command line asks for.
func do(o *options, out *bufio.Writer) (code int, err error) {
	if err := isLog(o.dir); err != nil {
		return exitError, err
	}
	if o.repair {
		return repair(o, out)
	}
	c, err := check(o, out)
	if err != nil {
		return exitError, err
	}
	if o.json {
		return c.code, c.writeJSON(out)
	}
	c.print(out)
	return c.code, nil
}

// isLog refuses what is no directory, and one that only holds that of a log.
func isLog(dir string) error {
	if _, err := os.ReadDir(dir); err != nil {
		return err
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.aof"))
	if err != nil || len(segments) > 0 {
		return err
	}
	inner := filepath.Join(dir, "appendonlydir")
	if _, err := os.Stat(inner); err == nil {
		return fmt.Errorf("%s holds no segments; do you mean %s?", dir, inner)
	}
	return nil
}

// advise adds to an error what to do about it.
func advise(o *options, err error) error {
	var full *aof.FullError
	switch {
	case errors.Is(err, aof.ErrLocked):
		return fmt.Errorf("%w\nStop the broker that uses %s, then try again", err, o.dir)
	case errors.As(err, &full):
		return fmt.Errorf("%w\nThe old log is untouched. A repair needs space for a second log: make some, then try again", err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w\nName the appendonlydir in the broker's dir, as a user who may read it", err)
	}
	return err
}
