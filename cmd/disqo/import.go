package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"github.com/disqo/disqo/cmd/disqo/client"
	"github.com/disqo/disqo/server/disqueaof"
)

const (
	importUsage = `Usage: disqo import-disque [options] file.aof ...

Puts the jobs that are live at the end of an append-only file of Disque into a
running broker, or a new append-only file (--into). Stop Disque first. Of a cluster name the files of all its nodes at
once: a job that several of them have is put once. The jobs get new ids; they keep
queue, body, RETRY, REPLICATE, and what is left of TTL and DELAY.

`
	importCodes = `
Exit codes: 0 done
            1 nothing was put: wrong usage, no broker, or a file cannot be read
            2 stopped in the middle: say the same again with --resume
            3 nothing was put: a file is corrupt
`
)

// The exit codes of import-disque.
const (
	importDone = iota
	importFailed
	importStopped
	importCorrupt
)

// importOptions is the command line of import-disque.
type importOptions struct {
	client.Options
	files                     []string
	ledger, into              string
	replicate                 uint
	dryRun, rewritten, resume bool
}

// importer is one run of import-disque, with its surroundings.
type importer struct {
	*importOptions
	now            func() time.Time
	stdout, stderr io.Writer
}

// importDisque puts the jobs of files of Disque into a broker, and returns an exit code.
func importDisque(args []string, stdout, stderr io.Writer) int {
	o, err := parseImport(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, importUsage)
		client.Describe(stdout, importFlags(new(importOptions)))
		fmt.Fprint(stdout, importCodes)
		return importDone
	}
	if err != nil {
		fmt.Fprintf(stderr, "disqo: import-disque: %v; see disqo import-disque --help\n", err)
		return importFailed
	}
	im := &importer{importOptions: o, now: time.Now, stdout: stdout, stderr: stderr}
	return im.run()
}

// importFlags returns the options of the command.
func importFlags(o *importOptions) *flag.FlagSet {
	f := flag.NewFlagSet("import-disque", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.Addr, "to", client.DefaultAddr, "`host:port` of the broker; without it "+client.DefaultAddr)
	o.Flags(f)
	f.StringVar(&o.into, "into", "", "`directory` to make a new append-only file in, for a broker that is started with it as dir and appendonly yes; "+
		"no broker runs meanwhile, and each job is on that one node")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say which jobs there are, and what would be lost")
	f.UintVar(&o.replicate, "replicate", 0, "at most this `number` of copies of each job")
	f.BoolVar(&o.rewritten, "rewritten", false, "the file was written by SHUTDOWN REWRITE-AOF: put also jobs with RETRY 0 that it shows as "+
		"queued or delayed; without it none are put, as Disque does not log which were delivered")
	f.StringVar(&o.ledger, "progress", "", "`file` that keeps which jobs were put, with their old and new ids; without it the first file's name and .imported")
	f.BoolVar(&o.resume, "resume", false, "go on with an import that stopped")
	return f
}

// parseImport reads the command line. Options may stand behind files, too.
func parseImport(args []string) (*importOptions, error) {
	o := new(importOptions)
	var err error
	if o.files, err = client.Parse(importFlags(o), args); err != nil {
		return nil, err
	}
	if len(o.files) == 0 {
		return nil, errors.New("which file?")
	}
	if o.ledger == "" {
		o.ledger = o.files[0] + ".imported"
	}
	if err := o.Complete(); err != nil || o.into == "" {
		return o, err
	}
	if o.Addr != client.DefaultAddr || o.User != "" || o.TLS || o.replicate > 1 {
		return nil, errors.New("--into asks no broker, and makes the file of one node: leave out --to, --user, --tls and --replicate")
	}
	o.replicate = 1
	return o, nil
}

// run reads the files and puts their jobs.
func (im *importer) run() int {
	p, err := im.read()
	if err != nil {
		fmt.Fprintf(im.stderr, "disqo: import-disque: %v\n", err)
		if corrupt := (*disqueaof.CorruptError)(nil); errors.As(err, &corrupt) {
			return importCorrupt
		}
		return importFailed
	}
	p.print(im.stdout)
	if im.dryRun {
		p.details(im.stdout)
		return importDone
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one kills
	put, err := im.putInto(ctx, p)
	if put == nil {
		fmt.Fprintf(im.stderr, "disqo: import-disque: nothing was put: %v\n", err)
		return importFailed
	}
	put.print(im.stdout)
	if err != nil {
		fmt.Fprintf(im.stderr, "disqo: import-disque stopped: %v\n", err)
		put.advise(im.stderr)
		return importStopped
	}
	return importDone
}
