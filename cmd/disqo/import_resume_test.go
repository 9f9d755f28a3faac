package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/disqueaof"
	"github.com/disqo/disqo/server/servertest"
)

// cutter is a way to a broker that ends after some bytes of its answers. The commands
// all come through.
func cutter(t *testing.T, to string, bytes int64) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = in.Close() }()
		out, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer func() { _ = out.Close() }()
		go func() {
			_, _ = io.Copy(out, in)
			_ = out.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.CopyN(in, out, bytes)
		_ = in.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, out)
	}()
	return l.Addr().String()
}

// bodies counts how often each body is there.
func bodies(t *testing.T, c *servertest.Client) map[string]int {
	t.Helper()
	n := map[string]int{}
	for _, j := range shown(t, c) {
		n[j["body"].(string)]++
	}
	return n
}

// What was answered is not put again after the connection broke. What was sent only is,
// unless it is at most once.
func TestImportGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	const hello, answered = int64(len("+OK\r\n")), 35
	file := unpack(t, t.TempDir(), "stopped.aof")[0]
	c := servertest.Start(t).Dial(t)
	to := c.Conn.RemoteAddr().String()
	code, out, complaint := imports(t, "--to", cutter(t, to, hello+answered*43+7), "--rewritten", file)
	require.Equal(t, importStopped, code)
	require.Contains(t, out, "\n35 jobs put into ")
	require.Regexp(t, `^disqo: import-disque stopped: the connection to \S+: .*\n35 jobs are not put yet\. .* --resume\.\n`+
		`Of these, 35 were sent and not answered`, complaint)
	servertest.Until(t, "the broker has executed all", patience, func() bool { return registered(t, c) == 70 })

	code, _, complaint = imports(t, "--to", to, "--rewritten", file)
	require.Equal(t, importFailed, code)
	require.Contains(t, complaint, "nothing was put: "+file+".imported says that an import has begun: --resume goes on with it")

	code, out, complaint = imports(t, "--to", to, "--rewritten", "--resume", file)
	require.Equal(t, importDone, code, complaint)
	require.Contains(t, out, "\n35 jobs were put before\n35 jobs left out: RETRY 0, and perhaps put before, when their answer was lost\n")
	for body, n := range bodies(t, c) {
		require.Equal(t, 1, n, body)
	}
}

// At-least-once jobs that were sent and not answered are put again, no others.
func TestImportRatherTwiceThanNever(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "stopped.aof")[0]
	c := servertest.Start(t).Dial(t)
	to := c.Conn.RemoteAddr().String()
	code, _, _ := imports(t, "--to", cutter(t, to, int64(len("+OK\r\n"))+20*43), file)
	require.Equal(t, importStopped, code)
	servertest.Until(t, "the broker has executed all", patience, func() bool { return registered(t, c) == 30 })
	code, out, complaint := imports(t, "--to", to, "--resume", file)
	require.Equal(t, importDone, code, complaint)
	require.Contains(t, out, "\n10 jobs put into "+to+", ")
	twice := 0
	for _, n := range bodies(t, c) {
		twice += n - 1
	}
	require.Equal(t, 10, twice)
}

// A refusal stops the import; when its cause is gone each job is put once.
func TestImportGoesOnAfterARefusal(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "killed.aof")[0]
	c := servertest.Start(t, "--max-job-size", "5kb").Dial(t)
	args := []string{"--to", c.Conn.RemoteAddr().String(), file}
	code, _, complaint := imports(t, args...)
	require.Equal(t, importStopped, code)
	require.Regexp(t, `stopped: job D-\S+ of queue "replicated" is refused: NOREPL .* \(add nodes, or say --replicate n\)\n`, complaint)
	require.NotContains(t, complaint, "not answered")
	args = append(args, "--resume", "--replicate", "1")
	code, _, complaint = imports(t, args...)
	require.Equal(t, importStopped, code)
	require.Regexp(t, `stopped: job D-\S+ of queue "large" is refused: ERR job of 10240 bytes exceeds max-job-size 5120 \(CONFIG SET raises it\)\n`, complaint)
	require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "max-job-size", "1mb"))
	code, out, complaint := imports(t, args...)
	require.Equal(t, importDone, code, complaint)
	require.Regexp(t, `\n\d+ jobs were put before\n$`, out)
	require.Equal(t, 9100, registered(t, c))
	require.Equal(t, 9100, len(newIDs(t, file+".imported")))
}

// An interrupt lets what was sent be answered, and sends no more.
func TestImportIsInterrupted(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "killed.aof")[0]
	s := servertest.Start(t)
	o, err := parseImport([]string{"--to", s.Addr, "--replicate", "1", file})
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(t.Context())
	im := &importer{importOptions: o, now: func() time.Time { return now }, stdout: io.Discard, stderr: io.Discard}
	p, err := im.read()
	require.NoError(t, err)
	calls := 0
	im.now = func() time.Time {
		if calls++; calls == 5 {
			interrupt()
		}
		return now
	}
	put, err := im.put(ctx, p)
	require.ErrorIs(t, err, errInterrupted)
	require.Positive(t, put.put)
	require.Zero(t, put.put%batchJobs)
	require.Equal(t, len(p.jobs), put.put+put.left)
	require.Zero(t, put.unknown)
	require.Equal(t, put.put, registered(t, s.Dial(t)))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	job := func(n byte, retry uint32) *disqueaof.Job {
		return &disqueaof.Job{ID: disqueaof.ID(bytes.Repeat([]byte{n}, disqueaof.IDLen)), Retry: retry}
	}
	id := strings.Repeat("n", disqueaof.IDLen)
	path := filepath.Join(t.TempDir(), "ledger")
	l, err := openLedger(path, false)
	require.NoError(t, err)
	require.NoError(t, l.begin([]*disqueaof.Job{job('a', 0), job('b', 1), job('c', 0), job('d', 0)}))
	l.note(job('a', 0), id)
	l.note(job('c', 0), "-")
	require.NoError(t, l.close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)

	// The last line may be cut when a machine loses power.
	require.NoError(t, os.WriteFile(path, append(text, id[:7]...), 0o600))
	want := map[disqueaof.ID]bool{job('a', 0).ID: true, job('d', 0).ID: false}
	for range 2 {
		l, err = openLedger(path, true)
		require.NoError(t, err)
		require.Equal(t, want, l.past)
		l.note(job('b', 1), id)
		require.NoError(t, l.close())
		want[job('b', 1).ID] = true
	}

	for _, wrong := range []string{"\n", "a b\n", id + "\n", id + " ab\n", id + " ? \n", strings.Repeat("x", 9999)} {
		require.NoError(t, os.WriteFile(path, []byte(string(text)+wrong), 0o600))
		_, err = openLedger(path, true)
		require.ErrorContains(t, err, "is none of a --progress file", "%q", wrong)
	}
	_, err = openLedger(path+"2", true)
	require.ErrorContains(t, err, "--resume goes on with what a --progress file says")
	_, err = openLedger(filepath.Join(path, "x"), false)
	require.ErrorContains(t, err, "see --progress")
}
