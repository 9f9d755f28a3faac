package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	Args []string // directives; address, port and directory are added
	Dir  string   // where it keeps its files
	Port int      // to listen on, on 127.0.0.1; 0 for any, which is read from its log
}

// Process is a broker in a process of its own.
type Process struct {
	Addr    string // host:port
	Started time.Time

	cmd    *exec.Cmd
	log    *processLog
	exited chan struct{} // closed when it is gone
}

// StartProcess starts a broker and waits until it serves clients, that is
// until it has loaded its log. It is killed when ctx ends.
func StartProcess(ctx context.Context, prog Program) (*Process, error) {
	p, err := launch(ctx, prog)
	if err != nil {
		return nil, err
	}
	if err := p.serving(ctx); err != nil {
		p.Kill()
		return nil, fmt.Errorf("bench: %s did not start: %w; its log ends:\n%s", prog.Path, err, p.Log())
	}
	return p, nil
}

// launch starts the process and waits for nothing but its address.
func launch(ctx context.Context, prog Program) (*Process, error) {
	path, err := filepath.Abs(prog.Path) // as it is started in another directory
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	args := append([]string{"--bind", "127.0.0.1", "--port", strconv.Itoa(prog.Port), "--dir", prog.Dir}, prog.Args...)
	p := &Process{cmd: exec.CommandContext(ctx, path, args...), exited: make(chan struct{})}
	p.log = &processLog{addr: make(chan string, 1)}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.Dir, p.cmd.WaitDelay = p.log, p.log, prog.Dir, stopPatience
	p.Started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is asked of ProcessState
		close(p.exited)
	}()
	if prog.Port != 0 {
		p.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(prog.Port))
	}
	return p, nil
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
		c, err := dial(ctx, p.Addr, dialPatience)
		if err == nil {
			_, err = c.do(':', "QLEN", "bench")
			c.close()
		}
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

// Info returns the fields of INFO.
func (p *Process) Info(ctx context.Context) (map[string]string, error) {
	c, err := dial(ctx, p.Addr, dialPatience)
	if err != nil {
		return nil, err
	}
	defer c.close()
	text, err := c.do('$', "INFO")
	if err != nil {
		return nil, err
	}
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[k] = v
		}
	}
	return fields, nil
}

// freePort returns a port of 127.0.0.1 that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// workDir makes a directory for a run below dir, or in the system's place for
// temporary files.
func workDir(dir, name string) (string, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(dir, name)
}
