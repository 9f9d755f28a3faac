package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const patience = 30 * time.Second

// jobID is the form of a job's id.
const jobID = `D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}`

// tool is a program to be run against one broker.
type tool struct {
	t    *testing.T
	name string
	host []string // how this tool is told the address
	env  []string
}

// broker starts a broker that must end well and without a complaint.
func broker(t *testing.T, directives ...string) *servertest.Process {
	t.Helper()
	p := servertest.Exec(t, directives...)
	t.Cleanup(func() {
		require.Equal(t, 0, p.Terminate(t), "exit code")
		require.NotRegexp(t, `level=(WARN|ERROR)`, p.Log())
	})
	return p
}

// redisTool is redis-cli or redis-benchmark, told the port of the broker.
func redisTool(t *testing.T, name string, p *servertest.Process, env ...string) tool {
	t.Helper()
	servertest.Need(t, name)
	_, port, err := net.SplitHostPort(p.Addr)
	require.NoError(t, err)
	return tool{t, name, []string{"-h", "127.0.0.1", "-p", port}, env}
}

func redisCLI(t *testing.T, p *servertest.Process, env ...string) tool {
	return redisTool(t, "redis-cli", p, env...)
}

func (c tool) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.name, append(c.host, args...)...)
	cmd.Env = append(os.Environ(), c.env...)
	return cmd
}

// run feeds the program and returns what it printed. It must exit 0, in time,
// with nothing on stderr.
func (c tool) run(stdin string, args ...string) string {
	c.t.Helper()
	out, complaint := c.hear(stdin, args...)
	require.Empty(c.t, complaint, "stderr of %s %q", c.name, args)
	return out
}

// hear is run for a program that may print to stderr.
func (c tool) hear(stdin string, args ...string) (stdout, stderr string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var out, complaint bytes.Buffer
	cmd := c.command(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &complaint
	require.NoError(c.t, cmd.Run(), "%s %q: %s%s", c.name, args, &out, &complaint)
	return out.String(), complaint.String()
}

// lines returns the first n lines of a program that never ends, and ends it.
func (c tool) lines(n int, args ...string) []string {
	c.t.Helper()
	servertest.Need(c.t, "stdbuf")
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "stdbuf", append(append([]string{"-oL", c.name}, c.host...), args...)...)
	out, err := cmd.StdoutPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, cmd.Start())
	var got []string
	for scan := bufio.NewScanner(out); len(got) < n && scan.Scan(); {
		got = append(got, scan.Text())
	}
	cancel()
	_ = cmd.Wait()
	require.Len(c.t, got, n, "%s %q ended early", c.name, args)
	return got
}
