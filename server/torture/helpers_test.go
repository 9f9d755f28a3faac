//go:build linux

package torture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	// patience bounds every wait.
	patience = 30 * time.Second
)

// start runs a broker in a process of its own.
func start(t *testing.T, directives ...string) *servertest.Process {
	t.Helper()
	if procs := os.Getenv("TORTURE_PROCS"); procs != "" {
		directives = append(directives, "--procs", procs)
	}
	return servertest.Exec(t, directives...)
}

// random returns a source of randomness and prints how to repeat it.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("TORTURE_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("TORTURE_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// descriptorsNeeded raises the limit of this process, which its children
// inherit, and fails if it cannot.
func descriptorsNeeded(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(limit.Max, n)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit), "this test needs %d descriptors: raise ulimit -n", n)
}

// status returns a figure of /proc/pid/status in bytes.
func status(t *testing.T, p *servertest.Process, key string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	require.NoError(t, err, "the server is gone")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			require.NoError(t, err)
			return n * kib
		}
	}
	require.Fail(t, "no such figure", key)
	return 0
}

// peak returns the most memory that was ever resident.
func peak(t *testing.T, p *servertest.Process) int64 {
	t.Helper()
	return status(t, p, "VmHWM")
}

// cpu returns the processor time that the process has used, in steps of 10 ms.
func cpu(t *testing.T, p *servertest.Process) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Cmd.Process.Pid))
	require.NoError(t, err, "the server is gone")
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	ticks := 0
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.Atoi(f)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// descriptors returns how many the process has open.
func descriptors(t *testing.T, p *servertest.Process) int {
	t.Helper()
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid))
	require.NoError(t, err, "the server is gone")
	return len(names)
}

// sockets returns how many sockets a server has open: files it opens and closes
// as it likes.
func sockets(t *testing.T, p *servertest.Process) (n int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.Cmd.Process.Pid)
	names, err := os.ReadDir(dir)
	require.NoError(t, err, "the server is gone")
	for _, name := range names {
		if target, err := os.Readlink(filepath.Join(dir, name.Name())); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// info returns a figure of INFO.
func info(t *testing.T, c *servertest.Client, section, key string) int {
	t.Helper()
	n, err := strconv.Atoi(c.Info(section, key))
	require.NoError(t, err)
	return n
}

// waiting returns how many clients wait in GETJOB for a job of the queue.
func waiting(t *testing.T, c *servertest.Client, queue string) int {
	t.Helper()
	reply := c.Do("QSTAT", queue)
	_, rest, ok := strings.Cut(reply, "blocked\r\n:")
	if !ok {
		return 0
	}
	text, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// well checks that the broker lives and serves a stranger.
func well(t *testing.T, p *servertest.Process) {
	t.Helper()
	require.True(t, p.Alive(), "the server died")
	c := p.Dial(t)
	require.Equal(t, "+PONG\r\n", c.Do("PING"))
	require.NoError(t, c.Conn.Close())
}

// wire is a connection without a test's manners: its methods return errors, so
// that any goroutine may use them.
type wire struct {
	*net.TCPConn
	r *bufio.Reader
}

func connect(addr string) (*wire, error) {
	nc, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	tcp := nc.(*net.TCPConn)
	if err := tcp.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		return nil, err
	}
	return &wire{TCPConn: tcp, r: bufio.NewReader(tcp)}, nil
}

// dial is connect for the test's own goroutine; the connection is closed with
// the test.
func dial(t *testing.T, addr string) *wire {
	t.Helper()
	w, err := connect(addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// crowd makes n connections.
func crowd(t *testing.T, addr string, n int) []*wire {
	t.Helper()
	all := make([]*wire, n)
	err := parallel(8, func(g int) (err error) {
		for i := g; i < n && err == nil; i += 8 {
			if all[i], err = connect(addr); err == nil {
				all[i].r = bufio.NewReaderSize(all[i], 256)
			}
		}
		return err
	})
	t.Cleanup(func() { part(all) })
	require.NoError(t, err)
	return all
}

// part ends connections, at once and without a trace in the system's tables.
func part(all []*wire) {
	for _, w := range all {
		if w != nil {
			w.reset()
		}
	}
}

// reset ends the connection as a process that is killed with unread input does.
func (w *wire) reset() {
	_ = w.SetLinger(0)
	_ = w.Close()
}

// line reads a line and returns it without its end.
func (w *wire) line() (string, error) {
	b, err := w.r.ReadSlice('\n')
	return strings.TrimSuffix(string(b), "\r\n"), err
}

// say sends and expects a reply of one line.
func (w *wire) say(line, want string) error {
	if _, err := io.WriteString(w, line); err != nil {
		return err
	}
	return w.hear(want)
}

func (w *wire) hear(want string) error {
	if got, err := w.line(); err != nil || got != want {
		return fmt.Errorf("expected %q, got %q, %w", want, got, err)
	}
	return nil
}

// jobs reads a reply of GETJOB and returns its jobs' ids and bodies.
func (w *wire) jobs() (ids, bodies []string, err error) {
	head, err := w.line()
	if err != nil {
		return nil, nil, err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(head, "*"))
	if err != nil || head[0] != '*' {
		return nil, nil, fmt.Errorf("not a list of jobs: %q", head)
	}
	for range max(n, 0) {
		if head, err = w.line(); err != nil || head != "*3" {
			return nil, nil, fmt.Errorf("not a job: %q, %w", head, err)
		}
		var parts [3]string
		for i := range parts {
			if parts[i], err = w.bulk(); err != nil {
				return nil, nil, err
			}
		}
		ids, bodies = append(ids, parts[1]), append(bodies, parts[2])
	}
	return ids, bodies, nil
}

func (w *wire) bulk() (string, error) {
	head, err := w.line()
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
	if err != nil || n < 0 {
		return "", fmt.Errorf("not a bulk: %q", head)
	}
	b := make([]byte, n+2)
	_, err = io.ReadFull(w.r, b)
	return string(b[:n]), err
}

// rest reads to the end of the connection, which must come. A reset ends it as
// well as an orderly close does: what was sent before it is returned.
func (w *wire) rest() (string, error) {
	b, err := io.ReadAll(w.r)
	if errors.Is(err, syscall.ECONNRESET) {
		err = nil
	}
	return string(b), err
}

// parallel runs do in n goroutines and returns the first error.
func parallel(n int, do func(g int) error) error {
	errs := make(chan error, n)
	for g := range n {
		go func() { errs <- do(g) }()
	}
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// percentile of durations, which it sorts.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(float64(len(d))*p/100))]
}

// work does what an honest client does, until stop is closed: it adds a job,
// gets and acknowledges it. It returns how long each round trip took.
func work(addr, queue string, pause time.Duration, stop <-chan struct{}) (took []time.Duration, err error) {
	w, err := connect(addr)
	if err != nil {
		return nil, err
	}
	defer w.reset()
	pace := time.NewTicker(pause)
	defer pace.Stop()
	for {
		for _, step := range []func() error{
			func() error { return w.addJob(queue) },
			func() error { return w.takeJob(queue) },
		} {
			begun := time.Now()
			if err := step(); err != nil {
				return took, err
			}
			took = append(took, time.Since(begun))
		}
		select {
		case <-stop:
			return took, nil
		case <-pace.C:
		}
	}
}

func (w *wire) addJob(queue string) error {
	if _, err := fmt.Fprintf(w, "ADDJOB %s work 0\r\n", queue); err != nil {
		return err
	}
	id, err := w.line()
	if err == nil && !isID(id) {
		err = fmt.Errorf("not an id: %q", id)
	}
	return err
}

func (w *wire) takeJob(queue string) error {
	if _, err := fmt.Fprintf(w, "GETJOB FROM %s\r\n", queue); err != nil {
		return err
	}
	ids, _, err := w.jobs()
	if err != nil {
		return err
	}
	return w.say("ACKJOB "+ids[0]+"\r\n", ":1")
}

// mb shows bytes.
func mb(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/mib) }
