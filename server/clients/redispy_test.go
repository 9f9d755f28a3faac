package clients_test

import (
	"net"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// python returns an interpreter that has redis-py, Debian's python3-redis
// before one on the PATH. Without one the test is skipped, except in CI.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import redis").Run() == nil {
			return name
		}
	}
	servertest.Missing(t, "no python3 with redis-py: apt-get install python3-redis")
	return ""
}

func TestRedisPy(t *testing.T) {
	t.Parallel()
	interpreter := python(t)
	p := broker(t, "--requirepass", "s3cret")
	_, port, err := net.SplitHostPort(p.Addr)
	require.NoError(t, err)
	cmd := exec.CommandContext(testContext(t), interpreter, "-W", "error", "testdata/redispy.py", port, "s3cret")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Equal(t, "ok\n", string(out))
}
