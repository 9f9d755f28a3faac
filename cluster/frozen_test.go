//go:build unix

package cluster

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const frozenEnv = "DISQO_CLUSTER_TEST_NODE"

// The other process of TestFrozen: a node that lives until its input ends.
func TestFrozenNode(t *testing.T) {
	if os.Getenv(frozenEnv) == "" {
		return // it is the other process of TestFrozen
	}
	n := startNode(t, nil)
	fmt.Printf("node %s %d\n", n.id(), n.BusPort())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// A node that is frozen for long fails, and is back soon after it is thawed.
func TestFrozen(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFrozenNode$", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), frozenEnv+"=1")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	var id string
	var port int
	for lines := bufio.NewScanner(out); port == 0 && lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "node" {
			id = f[1]
			port, _ = strconv.Atoi(f[2])
		}
	}
	nodes := startNodes(t, 2)
	mesh(t, nodes)
	require.NoError(t, nodes[0].Meet("127.0.0.1", 7711, port))
	seen := func() bool { return nodes[0].sees(id) && nodes[1].sees(id) }
	eventually(t, "met", seen)
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	start := time.Now()
	for _, n := range nodes {
		eventually(t, "failed", func() bool { m, _ := n.find(id); return m.Failed })
	}
	t.Logf("failed after %v", time.Since(start))
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	start = time.Now()
	eventually(t, "back", seen)
	t.Logf("back after %v", time.Since(start))
	require.Less(t, time.Since(start), 5*time.Second)
}
