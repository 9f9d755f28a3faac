package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
	"github.com/disqo/disqo/server/config"
)

// onDisk runs a server whose log is in a file system of the test's own. What
// Run returns comes out of done.
func onDisk(t *testing.T, dir string, fs aof.FS, directives ...string) (s *Server, stop func(), done chan error) {
	t.Helper()
	args := []string{"--bind", "127.0.0.1", "--port", "0", "--dir", dir, "--appendonly", "yes", "--appendfsync", "always"}
	set, err := config.Load(append(args, directives...))
	require.NoError(t, err)
	s, err = New(Options{Config: set, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), LogFS: fs})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	done = make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, cancel, done
}

// line sends a command and returns the first line of the reply, or "" if the
// connection was closed.
func line(t *testing.T, c net.Conn, command string) string {
	t.Helper()
	_, err := io.WriteString(c, command+"\r\n")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(30*time.Second)))
	reply, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // a server that ends at once resets what it has not read
		require.ErrorIs(t, err, io.EOF)
	}
	return reply
}

func dialed(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// loadedLine waits until the server has loaded.
func loadedLine(t *testing.T, s *Server, command string) (reply string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		if reply = line(t, dialed(t, s), command); !strings.HasPrefix(reply, "-LOADING") {
			return reply
		}
	}
	require.Fail(t, "it still loads")
	return ""
}

// gatedFS opens no file for reading until the gate is open.
type gatedFS struct {
	aof.FS
	gate chan struct{}
}

func (f gatedFS) Open(path string, write bool) (aof.File, error) {
	<-f.gate
	return f.FS.Open(path, write)
}

// While the log is read, clients are told so; those that only look or stop the
// server are served.
func TestLoading(t *testing.T) {
	t.Parallel()
	dir, disk := t.TempDir(), memfs.New()
	s, stop, done := onDisk(t, dir, disk)
	for range 10 {
		require.Regexp(t, `^\+D-`, loadedLine(t, s, "ADDJOB q body 0"))
	}
	stop()
	require.NoError(t, <-done)

	gated := gatedFS{disk, make(chan struct{})}
	s, stop, done = onDisk(t, dir, gated)
	for _, command := range []string{"PING", "ADDJOB q body 0", "QLEN q", "GETJOB FROM q", "MULTI", "CONFIG GET x", "BGREWRITEAOF"} {
		require.Equal(t, "-LOADING Disqo is loading the dataset in memory\r\n", line(t, dialed(t, s), command), command)
	}
	require.Regexp(t, `^-ERR unknown command`, line(t, dialed(t, s), "NOPE"))
	require.Contains(t, s.infoText("persistence"), "loading:1\r\n")
	require.Contains(t, s.infoText("persistence"), "loading_loaded_perc:")
	close(gated.gate)
	require.Equal(t, ":10\r\n", loadedLine(t, s, "QLEN q"))
	require.Contains(t, s.infoText("persistence"), "loading:0\r\n")
	stop()
	require.NoError(t, <-done)

	gated.gate = make(chan struct{})
	s, _, done = onDisk(t, dir, gated)
	other := dialed(t, s)
	require.Regexp(t, `^-LOADING`, line(t, other, "PING"))
	_, err := io.WriteString(other, strings.Repeat("ADDJOB q lost 0\r\n", 100))
	require.NoError(t, err)
	require.Empty(t, line(t, dialed(t, s), "SHUTDOWN"))
	close(gated.gate)
	require.NoError(t, <-done, "told to stop while loading")
	said, _ := io.ReadAll(other)
	require.NotContains(t, string(said), "+D-", "what is not loaded cannot take jobs")
	s, stop, done = onDisk(t, dir, disk)
	require.Equal(t, ":10\r\n", loadedLine(t, s, "QLEN q"))
	stop()
	require.NoError(t, <-done)
}

// A disk that fails ends the server at once. Nobody who waits is answered, and
// what was answered is there at the next start.
func TestLogFailureEndsTheServer(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]memfs.Kind{"write": memfs.Write, "sync": memfs.Sync} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, disk := t.TempDir(), memfs.New()
			s, _, done := onDisk(t, dir, disk)
			require.Regexp(t, `^\+D-`, loadedLine(t, s, "ADDJOB q one 0"))
			waiting := dialed(t, s)
			_, err := io.WriteString(waiting, "GETJOB FROM other\r\n")
			require.NoError(t, err)
			require.Eventually(t, func() bool { return s.stats.blocked.Load() == 1 }, 30*time.Second, time.Millisecond)
			var failing atomic.Bool
			disk.OnOp(func(op memfs.Op) error {
				if op.Kind == kind && failing.Load() {
					return syscall.EIO
				}
				return nil
			})
			adder := dialed(t, s)
			failing.Store(true)
			began := time.Now()
			require.NotRegexp(t, `^\+`, line(t, adder, "ADDJOB q two 0"))
			var failure *LogFailure
			require.ErrorAs(t, <-done, &failure)
			require.ErrorIs(t, failure, syscall.EIO)
			require.Less(t, time.Since(began), 5*time.Second)
			require.NoError(t, waiting.SetReadDeadline(time.Now().Add(30*time.Second)))
			_, err = waiting.Read(make([]byte, 1))
			require.Error(t, err, "nobody is answered")

			s, stop, done := onDisk(t, dir, disk.CrashNone())
			require.Equal(t, ":1\r\n", loadedLine(t, s, "QLEN q"))
			stop()
			require.NoError(t, <-done)
		})
	}
}

// An at-most-once job is handed to a waiting consumer only when it is on disk
// that it was: a crash in between does not deliver it twice.
func TestHandOffIsOnDisk(t *testing.T) {
	t.Parallel()
	dir, disk := t.TempDir(), memfs.New()
	s, stop, done := onDisk(t, dir, disk)
	for i := range 20 {
		waiting := dialed(t, s)
		loadedLine(t, s, "PING")
		_, err := io.WriteString(waiting, "GETJOB FROM once\r\n")
		require.NoError(t, err)
		require.Eventually(t, func() bool { return s.stats.blocked.Load() == 1 }, 30*time.Second, time.Millisecond)
		require.Regexp(t, `^\+D-`, line(t, dialed(t, s), fmt.Sprint("ADDJOB once job", i, " 0 RETRY 0")))
		require.NoError(t, waiting.SetReadDeadline(time.Now().Add(30*time.Second)))
		_, err = waiting.Read(make([]byte, 1))
		require.NoError(t, err)
		crashed := disk.CrashNone()
		after, end, ended := onDisk(t, dir, crashed, "--cluster-config-file", fmt.Sprint("other", i, ".conf"))
		require.Equal(t, ":0\r\n", loadedLine(t, after, "QLEN once"))
		end()
		require.NoError(t, <-ended)
	}
	stop()
	require.NoError(t, <-done)
}

// A picture for which there is no room is given up: the broker, which keeps
// nothing on disk, goes on and stops as ever.
func TestPictureOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := memfs.New()
	disk.SetCapacity(1 << 20)
	s, stop, done := onDisk(t, t.TempDir(), disk, "--appendonly", "no", "--aof-segment-size", "1mb")
	c := dialed(t, s)
	for i := range 3000 {
		require.Regexp(t, `^\+D-`, line(t, c, fmt.Sprintf("ADDJOB q%d %s 0", i%100, strings.Repeat("x", 1000))))
	}
	require.Regexp(t, `^\+Background`, line(t, c, "BGREWRITEAOF"))
	require.Eventually(t, func() bool { return !s.picture.Load() }, 30*time.Second, time.Millisecond)
	id := line(t, c, "ADDJOB q x 0")
	require.Regexp(t, `^\+D-`, id)
	require.Equal(t, ":1\r\n", line(t, c, "ACKJOB "+strings.TrimSpace(id[1:])))
	names, err := disk.List(s.cfg.Get().AOFDir())
	require.NoError(t, err)
	require.Equal(t, []string{"lock"}, names, "its files are gone")

	require.Equal(t, "+OK\r\n", line(t, c, "CONFIG SET appendonly yes"))
	require.Eventually(t, func() bool { return !s.cfg.Get().AppendOnly }, 30*time.Second, time.Millisecond, "it cannot be kept on disk")
	require.Regexp(t, `^\+D-`, line(t, c, "ADDJOB q x 0"))
	stop()
	require.NoError(t, <-done)
}
