package top_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/disqo/disqo/server/servertest"
)

const patience = 30 * time.Second

// terminal is a pseudo terminal on which the command runs.
type terminal struct {
	t      *testing.T
	keys   *os.File // what is typed, and what it shows
	tty    *os.File
	before *unix.Termios
	cmd    *exec.Cmd
	exit   chan error

	mu  sync.Mutex
	all strings.Builder
}

// onTerminal runs `disqo top` on a terminal of its own, of 80 columns and 24 lines.
func onTerminal(t *testing.T, env string, args ...string) *terminal {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		servertest.Missing(t, "no pseudo terminals: %v", err)
	}
	fd := int(keys.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	tty, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	s := &terminal{t: t, keys: keys, tty: tty, exit: make(chan error, 1)}
	s.resize(80, 24)
	s.before, err = unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	s.cmd = exec.Command(servertest.Binary(t), append([]string{"top"}, args...)...)
	s.cmd.Env = append(os.Environ(), "TERM=xterm", env)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, s.cmd.Start())
	read := make(chan struct{})
	go s.read(read)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = tty.Close()
		<-read // it ends when nobody has the other side open any more
		_ = keys.Close()
	})
	go func() { s.exit <- s.cmd.Wait() }()
	return s
}

// read keeps all that is shown.
func (s *terminal) read(done chan<- struct{}) {
	defer close(done)
	b := make([]byte, 4096)
	for {
		n, err := s.keys.Read(b)
		s.mu.Lock()
		s.all.Write(b[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *terminal) resize(columns, lines uint16) {
	s.t.Helper()
	require.NoError(s.t, unix.IoctlSetWinsize(int(s.keys.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: lines, Col: columns}))
}

// shown returns all that the terminal was ever told.
func (s *terminal) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

var sequences = regexp.MustCompile(`\x1b\[[0-9;]*[mK]`)

// picture returns the lines of the last whole picture, without their styles.
func (s *terminal) picture() []string {
	text, _, whole := cutLast(s.shown(), "\x1b[J")
	if !whole {
		return nil
	}
	_, text, _ = cutLast(text, "\x1b[H")
	return strings.Split(sequences.ReplaceAllString(text, ""), "\r\n")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// sees waits until a picture has text that matches.
func (s *terminal) sees(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	end := time.Now().Add(patience)
	servertest.Until(s.t, pattern, patience+time.Second, func() bool {
		text := strings.Join(s.picture(), "\n")
		require.True(s.t, time.Now().Before(end), "no %s in\n%s", pattern, text)
		return re.MatchString(text)
	})
}

func (s *terminal) press(keys string) {
	s.t.Helper()
	_, err := s.keys.WriteString(keys)
	require.NoError(s.t, err)
}

// ended waits for the end, and checks that the terminal is what it was.
func (s *terminal) ended(code int) {
	s.t.Helper()
	select {
	case <-s.exit:
	case <-time.After(patience):
		require.Fail(s.t, "it has not ended")
	}
	require.Equal(s.t, code, s.cmd.ProcessState.ExitCode(), "%q", s.shown())
	after, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
	require.NoError(s.t, err)
	require.Equal(s.t, s.before, after)
}

// left waits for the last that a terminal is told: wrap, show the cursor, and
// show what was there before.
func (s *terminal) left() {
	s.t.Helper()
	servertest.Until(s.t, "the screen was left", patience, func() bool { return strings.HasSuffix(s.shown(), "\x1b[?7h\x1b[?25h\x1b[?1049l") })
}
