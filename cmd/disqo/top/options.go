package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/disqo/disqo/cmd/disqo/client"
)

// options are what the command line and the environment say.
type options struct {
	client.Options
	interval time.Duration // between samples, 100 ms to an hour
	once     bool          // print one picture as plain text
	rows     int           // queues shown at most; 0: as many as fit
	color    bool
}

const (
	intervalMin = 100 * time.Millisecond // what a busy broker should be asked at most
	intervalMax = time.Hour
)

// Flags returns the options of the command, for those who describe them.
func Flags() *flag.FlagSet { return flags(new(options)) }

func flags(o *options) *flag.FlagSet {
	f := flag.NewFlagSet("disqo top", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	o.Flags(f)
	f.DurationVar(&o.interval, "interval", time.Second, "`time` between two looks, 100ms to 1h")
	f.BoolVar(&o.once, "once", false, "print it once, as plain text, after an interval that rates are told for")
	f.IntVar(&o.rows, "n", 0, "`number` of queues shown; 0: as many as fit")
	return f
}

// parse reads the command line; the address may stand anywhere in it.
func parse(args []string) (*options, error) {
	o := new(options)
	f := flags(o)
	addrs, err := client.Parse(f, args)
	if err != nil {
		return nil, err
	}
	o.color = os.Getenv("NO_COLOR") == ""
	o.Addr = client.DefaultAddr
	switch {
	case len(addrs) > 1:
		return nil, fmt.Errorf("one broker at a time, not %q", addrs)
	case len(addrs) == 1:
		o.Addr = addrs[0]
	}
	if o.interval < intervalMin || o.interval > intervalMax {
		return nil, fmt.Errorf("--interval must be %s to %s", intervalMin, intervalMax)
	}
	if o.rows < 0 {
		return nil, errors.New("-n must be 0 or more")
	}
	return o, o.Complete()
}

// Run is the command, with what follows its name; it returns an exit code.
func Run(args []string, stdin *os.File, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		usage(stdout)
		return 0
	}
	if err == nil && o.once {
		err = once(context.Background(), o, stdout)
	} else if err == nil {
		err = watch(context.Background(), o, stdin, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "disqo top: %s\n", printable(err.Error()))
		return 1
	}
	return 0
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "Usage: disqo top [host:port] [options]\n\nShows the broker at %s, or the one named, its nodes and its queues.\n\n", client.DefaultAddr)
	client.Describe(w, Flags())
}

// plainWidth is the width of a picture that goes to a file or a pipe.
const plainWidth = 120

// once prints a picture. It takes two samples, as rates are what lies between two.
func once(ctx context.Context, o *options, stdout io.Writer) error {
	b := broker{options: o}
	defer b.drop()
	p := picture{options: o, by: byLength}
	for range 2 {
		if p.now != nil {
			pause(ctx, o.interval)
		}
		s, err := b.sample(ctx)
		if err != nil {
			return err
		}
		p.take(s)
	}
	width := plainWidth
	if f, ok := stdout.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		width, _ = size(f)
	}
	for _, l := range p.lines(width, 0) {
		if _, err := fmt.Fprintln(stdout, l.render(width, false)); err != nil {
			return err
		}
	}
	return nil
}
