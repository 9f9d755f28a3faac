package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

func TestSIGHUP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf, log := filepath.Join(dir, "disqo.conf"), filepath.Join(dir, "disqo.log")
	write := func(text string) {
		require.NoError(t, os.WriteFile(conf, []byte("port 0\nbind 127.0.0.1\ncluster-port 0\ndir "+dir+"\nlogfile disqo.log\n"+text), 0o600))
	}
	write("timeout 100\n")
	s := start(t, dir, "", conf)
	c := servertest.Dial(t, logged(t, log, `addresses=\[([0-9.]+:\d+)`))
	hup := func(wait string) {
		t.Helper()
		require.NoError(t, os.Rename(log, log+".1"))
		require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP))
		logged(t, log, wait)
	}
	write("timeout 200\ntcp-backlog 7\nuser worker on >pw ~* +@all\n")
	hup(`was read again" changed="?\[timeout user\]`)
	logged(t, log, `need a restart" directives=\[tcp-backlog\]`)
	require.Equal(t, "*2\r\n$7\r\ntimeout\r\n$3\r\n200\r\n", c.Do("CONFIG", "GET", "timeout"))
	worker := servertest.Dial(t, c.Conn.RemoteAddr().String())
	require.Equal(t, "+OK\r\n", worker.Do("AUTH", "worker", "pw"))

	write("timeout soon\n")
	hup(`was not read again; it is as before" error=".*disqo.conf:6`)
	require.Equal(t, "+PONG\r\n", worker.Do("PING"))
	write("timeout 200\n")
	hup(`changed=\[user\]`)
	worker.Closed()
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
	s.stop(t)
}

// systemd is told when clients are served, and when they are not any more.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	require.NoError(t, err)
	defer socket.Close()
	heard := func() string {
		b := make([]byte, 1024)
		require.NoError(t, socket.SetReadDeadline(time.Now().Add(patience)))
		n, err := socket.Read(b)
		require.NoError(t, err)
		return strings.TrimSpace(string(b[:n]))
	}
	s := startWith(t, []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}, dir, "", "--port", "0", "--bind", "127.0.0.1", "--cluster-port", "0", "--logfile", "log")
	require.Equal(t, "READY=1", heard())
	require.Equal(t, "+PONG\r\n", servertest.Dial(t, logged(t, filepath.Join(dir, "log"), `addresses=\[([0-9.]+:\d+)`)).Do("PING"))
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, "STOPPING=1", heard())
	require.NoError(t, s.cmd.Wait())
}
