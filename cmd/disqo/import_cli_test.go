package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/disqueaof"
	"github.com/disqo/disqo/server/servertest"
)

// The program itself: its help, its answers and exit codes, with a password that the
// command line does not show.
func TestImportByTheProgram(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "stopped.aof")[0]
	s := servertest.Start(t, "--requirepass", "s3cret")
	program := func(env string, args ...string) (code int, stdout, stderr string) {
		cmd := exec.CommandContext(t.Context(), servertest.Binary(t), append([]string{"import-disque"}, args...)...)
		var out, complaint bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env), &out, &complaint
		if err := cmd.Run(); cmd.ProcessState == nil {
			require.NoError(t, err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), complaint.String()
	}
	code, out, complaint := program("A=b", "--help")
	require.Equal(t, importDone, code)
	require.True(t, strings.HasPrefix(out, importUsage), out)
	require.Contains(t, out, "\n  --to host:port\n")
	require.Contains(t, out, "\n  --cacert file\n")
	require.True(t, strings.HasSuffix(out, importCodes), out)
	require.Empty(t, complaint)

	code, _, complaint = program("A=b", "--to", s.Addr, file)
	require.Equal(t, importFailed, code)
	require.Regexp(t, `nothing was put: SELECT at \S+: NOAUTH .* \(say --password\)\n$`, complaint)
	code, _, complaint = program("DISQO_PASSWORD=wrong", "--to", s.Addr, file)
	require.Equal(t, importFailed, code)
	require.Contains(t, complaint, "WRONGPASS")

	code, out, complaint = program("DISQO_PASSWORD=s3cret", "--to", s.Addr, "--user", "default", file)
	require.Equal(t, importDone, code, complaint)
	require.Empty(t, complaint)
	require.Equal(t, file+": 15140 bytes, 90 LOADJOB, 0 DELJOB, 90 jobs live at the end\n30 jobs to put\n"+
		"20 jobs left out: RETRY 0, and delivered already\n"+
		"40 jobs left out: RETRY 0, and perhaps delivered already, which Disque does not log; see --rewritten\n"+
		"30 jobs put into "+s.Addr+", with new ids: "+file+".imported has the old and the new ones\n", out)
	c := s.Dial(t)
	require.Equal(t, "+OK\r\n", c.Do("AUTH", "s3cret"))
	require.Equal(t, ":30\r\n", c.Do("QLEN", "plain"))
}

func TestImportRefusesCommandLines(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"which file?":                     {"--dry-run"},
		"not defined: -bogus":             {"--bogus", "file"},
		"missing port":                    {"--to", "localhost", "file"},
		"--user goes with a password":     {"file", "--user", "me"},
		"invalid value":                   {"--replicate", "-1", "file"},
		"no such file or directory":       {"--dry-run", "/nowhere/file"},
		"/tmp: read /tmp: is a directory": {"--dry-run", "/tmp"},
	} {
		code, out, complaint := call(append([]string{"import-disque"}, args...)...)
		require.Equal(t, importFailed, code, want)
		require.Empty(t, out, want)
		require.Regexp(t, `^disqo: import-disque: .*\n$`, complaint)
		if want != "/tmp: read /tmp: is a directory" {
			require.Contains(t, complaint, want)
		}
	}
}

// A file that is corrupt is named, with the place, and what can be done; a file that is
// cut is taken as Disque takes it.
func TestImportOfDamagedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := reference(t, "stopped.aof")
	second := bytes.Index(whole[1:], []byte("*2\r\n")) + 1
	dry := func(text []byte) (code int, out, complaint, path string) {
		path = filepath.Join(dir, "some.aof")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		code, out, complaint = imports(t, "--dry-run", path)
		return code, out, complaint, path
	}
	damaged := bytes.Clone(whole)
	damaged[second] = 'x'
	code, out, complaint, path := dry(damaged)
	require.Equal(t, importCorrupt, code)
	require.Empty(t, out)
	advice := fmt.Sprintf("head -c %d %s", second, path)
	require.Equal(t, fmt.Sprintf("disqo: import-disque: %s: corrupt at offset %d: 'x' instead of '*'\nTo import what stands before that: %s > before.aof\n",
		path, second, advice), complaint)
	before, err := exec.CommandContext(t.Context(), "sh", "-c", advice).Output()
	require.NoError(t, err)
	code, out, complaint, _ = dry(before)
	require.Equal(t, importDone, code, complaint)
	require.Contains(t, out, " 1 LOADJOB, ")

	code, out, complaint, path = dry(whole[:second+7])
	require.Equal(t, importDone, code)
	require.Contains(t, out, " 1 LOADJOB, ")
	require.Equal(t, fmt.Sprintf("disqo: import-disque: %s: warning: the last command, at offset %d, is cut after 7 bytes, as when a node is killed: it is left out\n",
		path, second), complaint)

	code, _, complaint, _ = dry([]byte("REDIS0009"))
	require.Equal(t, importCorrupt, code)
	require.Contains(t, complaint, "\nThis is no append-only file of Disque. One of disque-module begins with a snapshot of Redis")

	code, out, _, _ = dry(nil)
	require.Equal(t, importDone, code)
	require.Contains(t, out, "\n0 jobs to put\n")
}

// What answers need not be a broker; nothing is waited for without end or taken for more
// than it is.
func TestImportIntoSomethingElse(t *testing.T) {
	t.Parallel()
	file := unpack(t, t.TempDir(), "stopped.aof")[0]
	for name, test := range map[string]struct {
		answer string
		code   int
		want   string
	}{
		"loading":    {"-LOADING Disqo is loading\r\n", importFailed, `SELECT at \S+: LOADING Disqo is loading \(try again when it is done\)`},
		"Disque":     {"-ERR unknown command 'SELECT'\r\n", importFailed, `is not Disqo: is it Disque\? Stop that, start Disqo`},
		"no RESP":    {"HTTP/1.1 400 Bad Request\r\n\r\n", importFailed, `not a reply of a broker: "HTTP/1.1 400 Bad Request`},
		"no end":     {strings.Repeat("+", 1<<20), importFailed, `not a reply of a broker: "\+\+`},
		"closed":     {"", importFailed, `SELECT at \S+: EOF; does the port speak TLS\?\n`},
		"short":      {"\n", importFailed, "not a reply of a broker"},
		"hello only": {"+OK\r\n", importStopped, "30 were sent and not answered"},
		"no id":      {"+OK\r\n+QUEUED\r\n", importStopped, `answers ADDJOB with "QUEUED", no id`},
		"no command": {"+OK\r\n" + strings.Repeat("-ERR unknown command\r\n", 30), importStopped, `is refused: ERR unknown command\n30 jobs are not put`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { _ = l.Close() })
			go func() {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(nc, test.answer)
				_ = nc.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, nc)
			}()
			code, _, complaint := imports(t, "--to", l.Addr().String(), "--progress", filepath.Join(t.TempDir(), "p"), file)
			require.Equal(t, test.code, code, complaint)
			require.Regexp(t, test.want, complaint)
		})
	}
	code, _, complaint := imports(t, "--to", "127.0.0.1:1", file)
	require.Equal(t, importFailed, code)
	require.Contains(t, complaint, "refused; start the broker, or say --to where it is\n")
}

func TestRemaining(t *testing.T) {
	t.Parallel()
	const at = 1_000_000_500 // Unix milliseconds
	for name, test := range map[string]struct {
		expires     int64
		created     uint64 // milliseconds
		delay       uint32
		state       disqueaof.State
		delivered   bool
		ttl, delay2 int64
	}{
		"queued":                   {expires: 1_000_100, created: at, state: disqueaof.Queued, ttl: 100},
		"queued before its time":   {expires: 1_000_100, created: at, delay: 90, state: disqueaof.Queued, ttl: 100},
		"delayed":                  {expires: 1_000_100, created: at - 30_000, delay: 90, state: disqueaof.Active, ttl: 100, delay2: 60},
		"waits for copies":         {expires: 1_000_100, created: at - 30_500, delay: 90, state: disqueaof.WaitRepl, ttl: 100, delay2: 60},
		"its delay is over":        {expires: 1_000_100, created: at - 90_001, delay: 90, state: disqueaof.Active, ttl: 100},
		"delivered":                {expires: 1_000_100, created: at, delay: 90, state: disqueaof.Active, delivered: true, ttl: 100},
		"the last second":          {expires: 1_000_001, created: at, delay: 90, state: disqueaof.Active, ttl: 1},
		"over":                     {expires: 1_000_000, created: at, delay: 90, state: disqueaof.Active},
		"delay as long as the TTL": {expires: 1_000_010, created: at, delay: 10, state: disqueaof.Active, ttl: 10, delay2: 9},
		"made in the future":       {expires: 1_000_100, created: math.MaxUint64 / 1_000_000, delay: 90, state: disqueaof.Active, ttl: 100, delay2: 90},
		"the end of time":          {expires: math.MaxUint32, created: at, delay: math.MaxUint32, state: disqueaof.Active, ttl: math.MaxUint32 - 1_000_000, delay2: math.MaxUint32 - 1_000_001},
	} {
		ttl, delay := remaining(&disqueaof.Job{
			Expires: test.expires, Created: test.created * 1e6, Delay: test.delay, State: test.state, Delivered: test.delivered,
		}, at)
		require.Equal(t, []int64{test.ttl, test.delay2}, []int64{ttl, delay}, name)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const at, expires = 1_000_000_000, 1_000_100
	job := func(state disqueaof.State, retry, delay uint32, delivered bool) *disqueaof.Job {
		return &disqueaof.Job{State: state, Retry: retry, Delay: delay, Delivered: delivered, Expires: expires, Created: (at - 10_000) * 1e6}
	}
	for name, test := range map[string]struct {
		job             *disqueaof.Job
		appended, clean fate // of a file that was appended to, and of one that --rewritten is said of
	}{
		"at least once":              {job(disqueaof.Queued, 1, 0, false), toPut, toPut},
		"delivered at least once":    {job(disqueaof.Active, 1, 0, true), toPut, toPut},
		"at most once":               {job(disqueaof.Queued, 0, 0, false), mayBeDelivered, toPut},
		"its delay runs":             {job(disqueaof.Active, 0, 11, false), mayBeDelivered, toPut},
		"its delay is over":          {job(disqueaof.Active, 0, 10, false), mayBeDelivered, mayBeDelivered},
		"loaded after a crash":       {job(disqueaof.Active, 0, 0, false), mayBeDelivered, mayBeDelivered},
		"delivered":                  {job(disqueaof.Active, 0, 0, true), wasDelivered, wasDelivered},
		"delivered during its delay": {job(disqueaof.Active, 0, 11, true), wasDelivered, wasDelivered},
	} {
		require.Equal(t, test.appended, judge(test.job, at, false), name)
		require.Equal(t, test.clean, judge(test.job, at, true), name)
		require.Equal(t, ttlOver, judge(test.job, expires*1000, true), name)
	}
}

func TestCopies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		most  uint
		has   uint16
		retry uint32
		want  uint
	}{
		"as it is":        {0, 3, 1, 3},
		"fewer":           {2, 3, 1, 2},
		"not more":        {3, 2, 1, 2},
		"none is one":     {0, 0, 1, 1},
		"at most once: 1": {0, 3, 0, 1},
	} {
		im := &importer{importOptions: &importOptions{replicate: test.most}}
		require.Equal(t, test.want, im.copies(&disqueaof.Job{Replicate: test.has, Retry: test.retry}), name)
	}
}

// A terminal has a bar that is drawn again and wiped away, a file has some lines.
func TestMeter(t *testing.T) {
	t.Parallel()
	at := now
	shows := func(bar bool) string {
		var out strings.Builder
		m := newMeter(&out, func() time.Time { return at })
		m.bar = bar
		for i := range int64(4) {
			m.next = at
			m.show(i*50, 150, "read")
			m.show(i*50+1, 150, "too soon")
			at = at.Add(barEvery / 2)
			m.show(i*50+2, 150, "too soon")
		}
		m.show(1, 0, "too soon")
		m.end()
		return out.String()
	}
	require.Equal(t, "disqo: import-disque: 0% read\ndisqo: import-disque: 33% read\ndisqo: import-disque: 67% read\ndisqo: import-disque: 100% read\n", shows(false))
	const half = ".............................."
	require.Equal(t, "\r\x1b[K["+half+"]   0% read\r\x1b[K[##########"+half[10:]+"]  33% read"+
		"\r\x1b[K[####################"+half[20:]+"]  67% read\r\x1b[K["+strings.Repeat("#", 30)+"] 100% read\r\x1b[K", shows(true))
}
