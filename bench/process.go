package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Waits for a broker process.
const (
	startPatience = 2 * time.Minute      // until it serves, with a log to load
	stopPatience  = 30 * time.Second     // until it is gone
	pollEvery     = 2 * time.Millisecond // between two looks at a broker that starts
	dialPatience  = 5 * time.Second      // to connect to it, and for one answer
	replyPatience = 30 * time.Second     // for an answer under load
	logKept       = 32 << 10             // bytes of its log that are kept for error messages
)

// Program is a broker that can be started.
type Program struct {
	Path string   // of the binary
	Args []string // complete; see Flags
	Dir  string   // where it runs
	Addr string   // host:port that it will listen on; "" if it logs that

	// Serves returns nil when it serves clients; nil for one that has QLEN.
	Serves func(ctx context.Context, addr string) error
}

// Flags are the arguments of a broker that has the directives of Redis.
func Flags(host string, port int, dir string, directives ...string) []string {
	return append([]string{"--bind", host, "--port", strconv.Itoa(port), "--dir", dir}, directives...)
}

// Process is a broker in a process of its own.
type Process struct {
	Addr    string // host:port
	Started time.Time

	cmd    *exec.Cmd
	serves func(ctx context.Context, addr string) error
	log    *processLog
	exited chan struct{} // closed when it is gone
}

// StartProcess starts a broker and waits until it serves clients, that is
// until it has loaded its log. It is killed when ctx ends.
func StartProcess(ctx context.Context, prog Program) (*Process, error) {
	path, err := filepath.Abs(prog.Path) // as it is started in another directory
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	prog.Path = path
	p := newProcess(ctx, prog)
	if err := p.begin((*exec.Cmd).Start); err != nil {
		return nil, err
	}
	if err := p.serving(ctx); err != nil {
		p.Kill()
		return nil, fmt.Errorf("bench: %s did not start: %w; its log ends:\n%s", prog.Path, err, p.Log())
	}
	return p, nil
}

// newProcess prepares a broker. It dies with ctx.
func newProcess(ctx context.Context, prog Program) *Process {
	p := &Process{Addr: prog.Addr, serves: prog.Serves, cmd: exec.CommandContext(ctx, prog.Path, prog.Args...), exited: make(chan struct{})}
	if p.serves == nil {
		p.serves = countable
	}
	p.log = &processLog{addr: make(chan string, 1)}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir, p.cmd.WaitDelay = p.log, p.log, prog.Dir, stopPatience
	return p
}

// countable asks for the length of a queue, which -LOADING refuses.
func countable(ctx context.Context, addr string) error {
	_, err := Ask(ctx, addr, ':', "QLEN", "bench")
	return err
}

// begin starts the process and lets its end be noticed.
func (p *Process) begin(start func(*exec.Cmd) error) error {
	p.Started = time.Now()
	if err := start(p.cmd); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
		close(p.exited)
	}()
	return nil
}

// serving waits until the broker answers without -LOADING.
func (p *Process) serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if p.Addr == "" {
		select {
		case p.Addr = <-p.log.addr:
		case <-p.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return errors.New("it did not log its address")
		}
	}
	for tick := time.NewTicker(pollEvery); ; {
		err := p.serves(ctx, p.Addr)
		if err == nil {
			tick.Stop()
			return nil
		}
		select {
		case <-p.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}

// Exited is closed when the process is gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Log returns the end of what the process has logged.
func (p *Process) Log() string { return p.log.String() }

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited // the kernel does not refuse; WaitDelay bounds the pipe
}

// Stop ends the process with SIGTERM, and with SIGKILL if that takes too long.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(stopPatience):
		p.Kill()
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("bench: %s ended with %v; its log ends:\n%s", p.cmd.Path, p.cmd.ProcessState, p.Log())
	}
	return nil
}

// PID is the process' number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ask sends a command over a connection of its own and returns the reply, of the
// given kind, as text.
func Ask(ctx context.Context, addr string, kind byte, command ...string) (string, error) {
	c, err := dial(ctx, addr, dialPatience)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.do(kind, command...)
}

// WorkDir makes a directory for a run below dir, or in the system's place for
// temporary files.
func WorkDir(dir, name string) (string, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(dir, name)
}
