package durable

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const patience = 30 * time.Second

// on starts a broker with a log in dir.
func on(t *testing.T, dir, policy string, more ...string) *servertest.Process {
	t.Helper()
	return servertest.ExecIn(t, dir, append([]string{"--appendonly", "yes", "--appendfsync", policy}, more...)...)
}

// info returns a field of INFO.
func info(c *servertest.Client, field string) string { return c.Info("default", field) }

func number(t *testing.T, c *servertest.Client, field string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(info(c, field), 10, 64)
	require.NoError(t, err, field)
	return n
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	servertest.Until(t, what, patience, ok)
}

// show returns a field of SHOW, as the bytes of its reply.
func show(t *testing.T, c *servertest.Client, id, field string) string {
	t.Helper()
	reply := c.Do("SHOW", id)
	_, rest, ok := strings.Cut(reply, "\r\n"+field+"\r\n")
	require.True(t, ok, "%s of %q", field, reply)
	value, _, _ := strings.Cut(strings.TrimPrefix(rest, "$"+strconv.Itoa(len(rest))+"\r\n"), "\r\n")
	if strings.HasPrefix(value, "$") {
		_, rest, _ = strings.Cut(rest, "\r\n")
		value, _, _ = strings.Cut(rest, "\r\n")
	}
	return value
}

// get takes one job of a queue without waiting and returns its body, "" if
// there is none.
func get(c *servertest.Client, queue string) string {
	reply := c.Do("GETJOB", "NOHANG", "FROM", queue)
	if reply == "*-1\r\n" {
		return ""
	}
	parts := strings.Split(reply, "\r\n")
	return parts[len(parts)-2]
}

// segments returns the files of the log.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.aof"))
	require.NoError(t, err)
	return files
}

// diskUsed sums the sizes of the files of the log.
func diskUsed(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	for _, f := range segments(t, dir) {
		if st, err := os.Stat(f); err == nil {
			bytes += st.Size()
		}
	}
	return bytes
}
