// Command disqo is the broker.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/disqo/disqo/cmd/disqo/top"
	"github.com/disqo/disqo/server"
	"github.com/disqo/disqo/server/config"
)

// version is the release; the linker sets it.
var version = "0.1.0"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// exitLogFailed is the exit code of a broker whose append-only file failed.
const exitLogFailed = 2

// run is main with its surroundings passed in; it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	build := buildInfo()
	if len(args) > 0 {
		switch args[0] {
		case "-v", "--version":
			fmt.Fprintf(stdout, "disqo %s commit %s %s %s/%s\n", build.Version, build.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return 0
		case "-h", "--help":
			usage(stdout)
			return 0
		case "--healthcheck":
			return healthcheck(args[1:], stderr)
		case "--readycheck":
			return readycheck(args[1:], stderr)
		case "top":
			return top.Run(args[1:], os.Stdin, stdout, stderr)
		case "completion":
			return completion(args[1:], stdout, stderr)
		case "import-disque":
			return importDisque(args[1:], stdout, stderr)
		}
	}
	set, err := config.Load(args)
	if err != nil {
		fmt.Fprintf(stderr, "disqo: %v\n", err)
		return 1
	}
	if err := serve(set, build, stderr); err != nil {
		fmt.Fprintf(stderr, "disqo: %v\n", err)
		if failure := (*server.LogFailure)(nil); errors.As(err, &failure) {
			return exitLogFailed
		}
		return 1
	}
	return 0
}

// setProcs says how many threads run Go code at once: n, or else what the
// environment says, or else all that Go would use but one, which is left to the
// clients, the network and the disk: waking a thread that has no processor to
// itself costs more than it does (docs/performance.md has the figures).
func setProcs(n int) {
	if n == 0 {
		if os.Getenv("GOMAXPROCS") != "" {
			return
		}
		n = max(1, runtime.GOMAXPROCS(0)-1)
	}
	runtime.GOMAXPROCS(n)
}

// serve runs the broker until a signal or SHUTDOWN; a second signal kills it. SIGHUP
// opens the log file anew and reads the configuration again.
func serve(set *config.Set, build server.Build, stderr io.Writer) error {
	cfg := set.Get()
	if cfg.Procs > 0 {
		setProcs(cfg.Procs)
	}
	out, err := openLog(cfg, stderr)
	if err != nil {
		return err
	}
	defer out.close()
	log, level := newLogger(cfg, out)
	signaled, release := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer release()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	context.AfterFunc(signaled, func() {
		release() // from here on another signal ends the process
		stop()
	})
	asked := make(chan os.Signal, 1)
	notifyReload(asked)
	defer signal.Stop(asked)
	s, err := server.New(server.Options{
		Config: set, Log: log, LogLevel: level, Build: build,
		// The append-only file is read by all processors, as nobody is served meanwhile.
		Loaded: func() { setProcs(cfg.Procs) },
		Ready:  func() { tellSystemd(log, daemon.SdNotifyReady) },
	})
	if err != nil {
		return err
	}
	if cfg.PidFile != "" {
		path := cfg.Path(cfg.PidFile)
		if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			s.Close()
			return fmt.Errorf("pidfile: %w", err)
		}
		defer func() { _ = os.Remove(path) }()
	}
	context.AfterFunc(ctx, func() { tellSystemd(log, daemon.SdNotifyStopping) })
	done := make(chan struct{})
	var helper sync.WaitGroup
	defer helper.Wait()
	defer close(done)
	helper.Go(func() { reload(s, log, out, asked, done) })
	return s.Run(ctx)
}

// reload does what SIGHUP asks for, until done is closed.
func reload(s *server.Server, log *slog.Logger, out *logFile, asked <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-asked:
		}
		if err := out.reopen(); err != nil {
			log.Warn("the log file could not be opened anew; the one before is written on", "error", err)
		}
		s.Reload()
	}
}

// tellSystemd says how the service is, if it was started by systemd with Type=notify.
func tellSystemd(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("telling systemd failed", "state", state, "error", err)
	}
}

// buildInfo says which program this is, as far as the toolchain knows.
func buildInfo() server.Build {
	b := server.Build{Version: version, Commit: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

func usage(w io.Writer) {
	fmt.Fprint(w, `Usage: disqo [file | -] [--directive value ...]
       disqo --healthcheck | --readycheck [file | -] [--directive value ...]
       disqo top [host:port] [options]
       disqo completion bash | zsh | fish
       disqo import-disque [options] file.aof ...
       disqo --version | --help

Disqo is a distributed in-memory job broker that speaks RESP. Without arguments
it serves clients on port 7711. A configuration file has one directive a line;
the same directives can be given as options, which win. --healthcheck asks the
broker on this machine that was started so whether it lives, --readycheck whether
clients should be sent to it; exit code 0 means yes. top shows a broker on the
terminal, live (disqo top --help); completion prints a script that completes all
this in a shell; import-disque puts the jobs of an append-only file of Disque into
a running broker (disqo import-disque --help). A configuration file of such a name
is ./top.

Directives, with their defaults:

`)
	for _, d := range config.Directives() {
		def := d.Default
		if def == "" {
			def = `""`
		}
		fmt.Fprintf(w, "  %s %s\n      %s", d.Name, def, d.Help)
		if d.Values != "" {
			fmt.Fprintf(w, " (%s)", d.Values)
		}
		fmt.Fprintln(w)
	}
}
