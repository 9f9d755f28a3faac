package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/servertest"
)

const patience = 30 * time.Second

// call runs main's body in this process. Only for command lines that do not
// come to serve.
func call(args ...string) (code int, stdout, stderr string) {
	var out, complaint bytes.Buffer
	code = run(args, &out, &complaint)
	return code, out.String(), complaint.String()
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--help", "-h"} {
		code, out, complaint := call(flag)
		require.Equal(t, 0, code)
		require.Empty(t, complaint)
		require.True(t, strings.HasPrefix(out, "Usage: disqo [file | -] [--directive value ...]\n"), out)
		require.Contains(t, out, "\n       disqo top [host:port] [options]\n       disqo completion bash | zsh | fish\n")
		for _, d := range config.Directives() {
			require.Regexp(t, `(?m)^  `+regexp.QuoteMeta(d.Name)+` .+\n      .*`+regexp.QuoteMeta(d.Help), out, "a directive, its default and what it is")
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--version", "-v"} {
		code, out, complaint := call(flag)
		require.Equal(t, 0, code)
		require.Empty(t, complaint)
		require.Regexp(t, `^disqo \d+\.\d+\.\d+ commit \S+ go1\.\S+ \w+/\w+\n$`, out)
	}
}

// A wrong start says what is wrong and where, on one line, and exits 1.
func TestRefusedCommandLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	unknown := file("unknown.conf", "# a comment\nport 0\nappendfsink always\n")
	valid := file("valid.conf", "port 0\n")
	invalid := file("invalid.conf", "port eleven\n")
	secret := file("secret.conf", "requirepass s3cret and more\n")
	outer := file("outer.conf", "port 0\n\ninclude unknown.conf\n")
	missing := file("missing.conf", "include nowhere.conf\n")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)

	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown directive in a file": {[]string{unknown},
			regexp.QuoteMeta(unknown) + `:3: 'appendfsink always': unknown directive 'appendfsink', did you mean 'appendfsync'\?`},
		"unknown directive in an included file": {[]string{outer}, `outer\.conf:3: .*unknown\.conf:3: .*unknown directive 'appendfsink'`},
		"invalid value in a file":               {[]string{invalid}, regexp.QuoteMeta(invalid) + `:1: 'port eleven': `},
		"secrets are not shown":                 {[]string{secret}, regexp.QuoteMeta(secret) + `:1: 'requirepass <hidden>': `},
		"included file is missing":              {[]string{missing}, `missing\.conf:1: 'include nowhere\.conf': .*no such file`},
		"file is missing":                       {[]string{filepath.Join(dir, "none.conf")}, `can't read the config file: .*none\.conf: no such file`},
		"unknown directive as an option":        {[]string{"--porrt", "0"}, `command line: '--porrt 0': unknown directive 'porrt', did you mean 'port'\?`},
		"invalid value as an option":            {[]string{"--port", "eleven"}, `command line: '--port eleven': `},
		"argument that is no option":            {[]string{valid, "port", "0"}, `command line: unexpected argument 'port', an option starts with --`},
		"directory that is not there":           {[]string{"--dir", filepath.Join(dir, "none")}, `no such file or directory`},
		"log file that cannot be opened":        {[]string{"--dir", dir, "--logfile", "none/log"}, `logfile: .*no such file or directory`},
		"port in use": {[]string{"--dir", t.TempDir(), "--bind", "127.0.0.1", "--port", port},
			`127\.0\.0\.1:` + port + `: .*address already in use: stop the program that has it, or choose another with --port`},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, complaint := call(test.args...)
			require.Equal(t, 1, code)
			require.Empty(t, out)
			require.Regexp(t, `^disqo: .*(`+test.want+`).*\n$`, complaint)
			require.NotContains(t, complaint, "s3cret")
		})
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			p := servertest.Exec(t)
			c := p.Dial(t)
			c.Job("q", "x")
			require.NoError(t, p.Cmd.Process.Signal(sig))
			require.Equal(t, 0, p.ExitCode(t))
			c.Closed()
			require.Contains(t, p.Log(), "msg=stopped")
		})
	}
}

// Who does not want to wait for what a stop does says so again.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	p := servertest.Exec(t, "--shutdown-timeout", "3600", "--max-job-size", "64mb")
	c, other := p.Dial(t), p.Dial(t)
	c.Job("q", strings.Repeat("x", 64<<20)) // more than fits on the way to a client that does not read
	c.Send(string(servertest.Command("GETJOB", "FROM", "q")))
	servertest.Until(t, "it is delivered", 20*time.Second, func() bool { return other.Do("QLEN", "q") == ":0\r\n" })
	require.NoError(t, p.Cmd.Process.Signal(syscall.SIGTERM))
	servertest.Until(t, "it stops", 20*time.Second, func() bool { return strings.Contains(p.Log(), "msg=stopping") })
	require.True(t, p.Alive(), "a client has yet to take its reply")
	require.NoError(t, p.Cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, -1, p.ExitCode(t), "the signal has ended it")
}

// Two servers on one directory would answer by one node id.
func TestSecondServerInADirectory(t *testing.T) {
	t.Parallel()
	p := servertest.Exec(t)
	code, _, complaint := call("--bind", "127.0.0.1", "--port", "0", "--dir", p.Dir)
	require.Equal(t, 1, code)
	require.Regexp(t, `^disqo: .*nodes\.conf.*another.*\n$`, complaint)
	require.Equal(t, "+PONG\r\n", p.Dial(t).Do("PING"), "the first goes on")

	require.Equal(t, 0, p.Terminate(t))
	next := servertest.Exec(t, "--dir", p.Dir)
	require.Equal(t, "+PONG\r\n", next.Dial(t).Do("PING"), "once the first is gone the directory is free")
}

// One processor is left to others, unless somebody says otherwise.
func TestProcs(t *testing.T) {
	procs := func(args ...string) string {
		return servertest.Exec(t, args...).Dial(t).Do("INFO", "memory")
	}
	t.Setenv("GOMAXPROCS", "3")
	require.Contains(t, procs(), "\r\ngo_maxprocs:3\r\n")
	require.Contains(t, procs("--procs", "2"), "\r\ngo_maxprocs:2\r\n")
	require.NoError(t, os.Unsetenv("GOMAXPROCS"))
	was := runtime.GOMAXPROCS(0)
	runtime.SetDefaultGOMAXPROCS()
	most := runtime.GOMAXPROCS(was)
	require.Contains(t, procs(), "\r\ngo_maxprocs:"+strconv.Itoa(max(1, most-1))+"\r\n")
}

// started is a server with a working directory and a standard input, whose log
// need not go to stderr.
type started struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
}

// start runs the program in dir; it is killed with the test.
func start(t *testing.T, dir, stdin string, args ...string) *started {
	t.Helper()
	return startWith(t, nil, dir, stdin, args...)
}

// startWith is start with more in the environment.
func startWith(t *testing.T, env []string, dir, stdin string, args ...string) *started {
	t.Helper()
	s := &started{cmd: exec.Command(servertest.Binary(t), args...), stderr: new(bytes.Buffer)}
	s.cmd.Dir, s.cmd.Stdin, s.cmd.Stderr, s.cmd.Env = dir, strings.NewReader(stdin), s.stderr, append(os.Environ(), env...)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	return s
}

// stop ends it with SIGTERM; afterwards stderr may be read.
func (s *started) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, s.cmd.Wait(), "%s", s.stderr)
}

// logged waits until the file has a match and returns its first group.
func logged(t *testing.T, path, pattern string) (group string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(path)
		m := re.FindSubmatch(text)
		if m == nil {
			return false
		}
		group = string(m[len(m)-1])
		return true
	}, patience, 5*time.Millisecond, "%s: no %s", path, pattern)
	return group
}

// The reference's harness writes this file: dir is relative to the working
// directory of the start, logfile to dir.
func TestConfigFileOfTheReference(t *testing.T) {
	t.Parallel()
	cwd := t.TempDir()
	dir := filepath.Join(cwd, "disque_3")
	require.NoError(t, os.Mkdir(dir, 0o700))
	conf := filepath.Join(dir, "disque.conf")
	require.NoError(t, os.WriteFile(conf, []byte("port 0\ndir ./disque_3\nlogfile log.txt\nloglevel notice\npidfile disqo.pid\n"), 0o600))
	log, pid := filepath.Join(dir, "log.txt"), filepath.Join(dir, "disqo.pid")

	for range 2 { // the second start reads what CONFIG REWRITE made of it
		s := start(t, cwd, "", conf, "--loglevel", "notice")
		port := logged(t, log, `ready for clients.* addresses=\S*:(\d+)\]`)
		text, err := os.ReadFile(pid)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(s.cmd.Process.Pid)+"\n", string(text))

		c := servertest.Dial(t, "127.0.0.1:"+port)
		c.Send("PING\r\n\n")
		require.Equal(t, "+PONG\r\n", c.Raw())
		require.Equal(t, "+OK\r\n", c.Do("CONFIG", "SET", "cluster-node-timeout", "3000"))
		require.Equal(t, "+OK\r\n", c.Do("CONFIG", "REWRITE"))
		s.stop(t)
		require.Empty(t, s.stderr.String(), "all of it is in the log file")
		require.NoFileExists(t, pid)
		require.NoError(t, os.Rename(log, log+".old"))
	}
	text, err := os.ReadFile(conf)
	require.NoError(t, err)
	require.Contains(t, string(text), "cluster-node-timeout 3000\n")
}

func TestConfigFromStandardInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more.conf"), []byte("requirepass s3cret\n"), 0o600))
	stdin := "port 0\nbind 127.0.0.1\nlogfile log.txt\ninclude more.conf\nrequirepass overridden-below\n"
	s := start(t, dir, stdin, "-", "--requirepass", "option wins")
	c := servertest.Dial(t, "127.0.0.1:"+logged(t, filepath.Join(dir, "log.txt"), `addresses=\S*:(\d+)\]`))
	require.Equal(t, "+OK\r\n", c.Do("AUTH", "option wins"))
	require.Contains(t, c.Do("CONFIG", "REWRITE"), "-ERR The server is running without a config file")
	s.stop(t)
}

func TestInclude(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "main.conf")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "more.conf"), []byte("requirepass s3cret\n"), 0o600))
	require.NoError(t, os.WriteFile(conf, []byte("include more.conf\n"), 0o600))
	s := start(t, dir, "", conf, "--port", "0", "--bind", "127.0.0.1", "--logfile", "log.txt")
	c := servertest.Dial(t, "127.0.0.1:"+logged(t, filepath.Join(dir, "log.txt"), `addresses=\S*:(\d+)\]`))
	require.Contains(t, c.Do("PING"), "-NOAUTH")
	require.Equal(t, "+OK\r\n", c.Do("AUTH", "s3cret"))
	s.stop(t)
}

func TestJSONLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, "", "--port", "0", "--bind", "127.0.0.1", "--logformat", "json", "--logfile", "log.txt")
	logged(t, filepath.Join(dir, "log.txt"), `ready for clients`)
	s.stop(t)
	text, err := os.ReadFile(filepath.Join(dir, "log.txt"))
	require.NoError(t, err)
	var messages []string
	for line := range strings.Lines(string(text)) {
		var entry struct{ Level, Msg, Time string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		require.Equal(t, "INFO", entry.Level)
		require.NotEmpty(t, entry.Time)
		messages = append(messages, entry.Msg)
	}
	require.Contains(t, messages[0], "no cluster-secret is set")
	require.Equal(t, []string{"ready for clients", "stopping", "stopped"}, messages[1:])
}
