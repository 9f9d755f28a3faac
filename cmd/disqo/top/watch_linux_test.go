package top_test

import (
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/disqo/disqo/server/servertest"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	b := servertest.Start(t)
	c := b.Dial(t)
	c.Job("mail", "x")
	c.Job("mail", "x")
	c.Job("evil\x1b[2J", "x")
	s := onTerminal(t, "NO_COLOR=", b.Addr, "--interval", "100ms")
	s.sees(`(?s)^disqo 0\.0\.0 at ` + b.Addr + `.*\nmail +2 +0.*\nevil\\x1b\[2J +1`)
	require.Len(t, s.picture(), 24)
	require.Contains(t, s.shown(), "\x1b[7m", "in color")

	s.press("n")
	s.sees(`(?s)\nevil.*\nmail.*\[n name\]`)
	s.press("p")
	s.sees(`^disqo \S+ paused`)
	c.Job("later", "x")
	s.press("l")
	s.sees(`(?s)^disqo \S+ paused.*\nmail.*\nevil.*\[l length\]`)
	require.NotContains(t, strings.Join(s.picture(), "\n"), "later")
	s.press("p")
	s.sees(`\nlater +1`)

	s.resize(120, 12)
	servertest.Until(t, "it is drawn for another size", patience, func() bool { return len(s.picture()) == 12 })
	s.resize(80, 24)
	servertest.Until(t, "and back", patience, func() bool { return len(s.picture()) == 24 })

	b.Stop(t)
	s.sees(`(?s)^away: ` + b.Addr + `: .*; next try in \S+.*\nmail`)
	_, port, err := net.SplitHostPort(b.Addr)
	require.NoError(t, err)
	c = servertest.Start(t, "--port", port).Dial(t)
	c.Job("again", "x")
	s.sees(`(?s)^disqo 0\.0\.0 at.*\nagain +1`)
	require.NotContains(t, strings.Join(s.picture(), "\n"), "mail")

	s.press("q")
	s.ended(0)
	s.left()
}

// Whatever ends it, the shell gets its terminal back.
func TestTerminalIsRestored(t *testing.T) {
	t.Parallel()
	b := servertest.Start(t)
	for name, end := range map[string]func(s *terminal){
		"ctrl-C":  func(s *terminal) { s.press("\x03") },
		"SIGTERM": func(s *terminal) { require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM)) },
		"SIGHUP":  func(s *terminal) { require.NoError(t, s.cmd.Process.Signal(syscall.SIGHUP)) },
		"SIGINT":  func(s *terminal) { require.NoError(t, s.cmd.Process.Signal(syscall.SIGINT)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onTerminal(t, "NO_COLOR=1", b.Addr)
			s.sees(`\nQUEUE `)
			raw, err := unix.IoctlGetTermios(int(s.tty.Fd()), unix.TCGETS)
			require.NoError(t, err)
			require.NotEqual(t, s.before, raw)
			end(s)
			s.ended(0)
			s.left()
			require.NotRegexp(t, `\x1b\[[0-9;]*m`, s.shown(), "NO_COLOR")
		})
	}
}

// What cannot work is told on the screen that the user looks at.
func TestTerminalIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := servertest.Start(t)
	for _, test := range []struct{ env, addr, want string }{
		{"TERM=xterm", "127.0.0.1:1", "disqo top: 127.0.0.1:1: connect: connection refused"},
		{"TERM=dumb", b.Addr, `disqo top: a terminal of the kind "dumb" cannot be drawn on: say --once`},
		{"TERM=", b.Addr, `of the kind ""`},
	} {
		s := onTerminal(t, test.env, test.addr)
		s.ended(1)
		servertest.Until(t, test.want, patience, func() bool { return strings.Contains(s.shown(), test.want) })
		require.NotContains(t, s.shown(), "\x1b")
	}
	out, err := exec.Command(servertest.Binary(t), "top", b.Addr).CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "disqo top: standard input and output are not a terminal: say --once\n", string(out))
}
