package servertest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Process is a broker in a process of its own.
type Process struct {
	Addr string // of its TCP socket, on 127.0.0.1
	Dir  string
	Cmd  *exec.Cmd

	mu   sync.Mutex
	log  strings.Builder
	exit chan error
}

var (
	buildOnce sync.Once
	buildPath string
	buildErr  error
)

// Binary builds the program once for all tests of a package and returns its
// path.
func Binary(t testing.TB) string {
	t.Helper()
	buildOnce.Do(func() {
		const program = "github.com/disqo/disqo/cmd/disqo"
		var dir string
		if dir, buildErr = os.MkdirTemp("", "disqo-test"); buildErr != nil {
			return
		}
		buildPath = filepath.Join(dir, "disqo")
		// Where sources were when this was compiled is not known with -trimpath.
		var sources []byte
		if sources, buildErr = exec.Command("go", "list", "-f", "{{.Dir}}", program).Output(); buildErr != nil {
			return
		}
		// Reading main tells the cache of go test that results depend on it.
		if _, buildErr = os.ReadFile(filepath.Join(strings.TrimSpace(string(sources)), "main.go")); buildErr != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", buildPath, program)
		if out, err := cmd.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("%w: %s", err, out)
		}
	})
	require.NoError(t, buildErr)
	return buildPath
}

var listening = regexp.MustCompile(`addresses=\[?\[?([0-9.]+:\d+)`)

// Exec starts a broker process on a free port of 127.0.0.1 and waits until it
// serves. It is killed when the test ends, if it still runs.
func Exec(t testing.TB, directives ...string) *Process {
	t.Helper()
	return ExecIn(t, t.TempDir(), directives...)
}

// ExecIn is Exec in a directory that may have seen another broker.
func ExecIn(t testing.TB, dir string, directives ...string) *Process {
	t.Helper()
	p := Launch(t, dir, directives...)
	require.NotEmpty(t, p.Addr, "the server did not start: %s", p.Log())
	return p
}

// Launch is ExecIn for a broker that may refuse to start: then Addr is empty.
func Launch(t testing.TB, dir string, directives ...string) *Process {
	t.Helper()
	return launch(t, dir, append(base(dir), directives...)...)
}

func launch(t testing.TB, dir string, args ...string) *Process {
	t.Helper()
	p := &Process{Dir: dir, exit: make(chan error, 1)}
	p.Cmd = exec.Command(Binary(t), args...)
	stderr, err := p.Cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.Cmd.Start())
	ready := make(chan string, 1)
	go p.follow(stderr, ready)
	t.Cleanup(func() {
		_ = p.Cmd.Process.Kill()
		p.wait(t)
		if t.Failed() {
			t.Log(p.Log())
		}
	})
	select {
	case p.Addr = <-ready:
	case <-time.After(patience):
	}
	return p
}

// follow keeps the log and reports the address.
func (p *Process) follow(stderr io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	told := false
	for lines.Scan() {
		p.mu.Lock()
		p.log.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		if m := listening.FindStringSubmatch(lines.Text()); m != nil && !told {
			told = true
			ready <- m[1]
		}
	}
	if !told {
		ready <- ""
	}
	p.exit <- p.Cmd.Wait()
}

// Log returns what the process has logged.
func (p *Process) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *Process) wait(t testing.TB) error {
	select {
	case err := <-p.exit:
		p.exit <- err
		return err
	case <-time.After(patience):
		t.Error("the server process did not end")
		return nil
	}
}

// Terminate sends SIGTERM and returns the exit code.
func (p *Process) Terminate(t testing.TB) int {
	t.Helper()
	require.NoError(t, p.Cmd.Process.Signal(syscall.SIGTERM))
	return p.ExitCode(t)
}

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, p.Cmd.Process.Kill())
	_ = p.wait(t)
}

// ExitCode waits for the process to end and returns its exit code.
func (p *Process) ExitCode(t testing.TB) int {
	t.Helper()
	_ = p.wait(t)
	return p.Cmd.ProcessState.ExitCode()
}

// Alive reports whether the process still runs.
func (p *Process) Alive() bool { return p.Cmd.Process.Signal(syscall.Signal(0)) == nil }

// Resident returns the resident memory of the process in bytes (Linux).
func (p *Process) Resident(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Cmd.Process.Pid))
	require.NoError(t, err)
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	require.NoError(t, err)
	return pages * int64(os.Getpagesize())
}

// Dial connects a client.
func (p *Process) Dial(t testing.TB) *Client {
	t.Helper()
	return Dial(t, p.Addr)
}

// ExecFile starts a broker with a configuration file, in dir.
func ExecFile(t testing.TB, file, dir string) *Process {
	t.Helper()
	p := launch(t, dir, append([]string{file}, base(dir)...)...)
	require.NotEmpty(t, p.Addr, "the server did not start: %s", p.Log())
	return p
}

// base is what brokers of tests are told first. With DISQO_TEST_POLICY in the
// environment (always, everysec, no) they keep a log, unless a test says otherwise.
func base(dir string) []string {
	args := []string{"--bind", "127.0.0.1", "--port", "0", "--dir", dir}
	if policy := os.Getenv("DISQO_TEST_POLICY"); policy != "" {
		args = append(args, "--appendonly", "yes", "--appendfsync", policy, "--aof-segment-size", "1mb")
	}
	return args
}
