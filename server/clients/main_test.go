package clients_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

const patience = 30 * time.Second

// jobID is the form of a job's id.
const jobID = `^D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}$`

// complaints keeps what the libraries log. go-redis has a logger of its own;
// the log package is for those that have none.
type complaints struct {
	mu   sync.Mutex
	text strings.Builder
}

func (c *complaints) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(b)
}

func (c *complaints) Printf(_ context.Context, format string, args ...any) {
	fmt.Fprintf(c, "go-redis: "+format+"\n", args...)
}

func (c *complaints) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// TestMain fails the package when a library has logged anything at all: the
// loggers are global, so no single test can be blamed.
func TestMain(m *testing.M) {
	var heard complaints
	log.SetOutput(&heard)
	redis.SetLogger(&heard)
	code := m.Run()
	if text := heard.String(); text != "" {
		fmt.Fprintf(os.Stderr, "a client library complained:\n%s", text)
		code = 1
	}
	os.Exit(code)
}

// broker starts a broker process that must end well and without a complaint.
func broker(t *testing.T, directives ...string) *servertest.Process {
	t.Helper()
	p := servertest.Exec(t, directives...)
	t.Cleanup(func() {
		require.Equal(t, 0, p.Terminate(t), "exit code")
		requireQuiet(t, p.Log())
	})
	return p
}

// requireQuiet fails on a line of the server's log that is a warning or worse.
func requireQuiet(t require.TestingT, text string) {
	for line := range strings.Lines(text) {
		require.NotRegexp(t, `level=(WARN|ERROR)`, line)
	}
}

// waitBlocked returns once a client of the broker waits in GETJOB.
func waitBlocked(t *testing.T, p *servertest.Process) {
	t.Helper()
	c := p.Dial(t)
	require.Eventually(t, func() bool {
		return strings.Contains(c.Do("INFO", "clients"), "\r\nblocked_clients:1\r\n")
	}, patience, 2*time.Millisecond)
}

// testContext ends with the test, or when patience does.
func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// failure tells whether a check failed, without failing the test.
type failure struct{ failed bool }

func (f *failure) Errorf(string, ...any) { f.failed = true }
func (f *failure) FailNow()              { f.failed = true }

// The checks themselves must be able to fail.
func TestComplaintsAreHeard(t *testing.T) {
	t.Parallel()
	var c complaints
	c.Printf(t.Context(), "pool: %s", "unread data")
	require.Equal(t, "go-redis: pool: unread data\n", c.String())

	for text, want := range map[string]bool{
		"level=INFO msg=ready\n":                      false,
		"level=INFO msg=ready\nlevel=WARN msg=\"no\"": true,
		"level=ERROR msg=no\n":                        true,
	} {
		var f failure
		requireQuiet(&f, text)
		require.Equal(t, want, f.failed, text)
	}
}
