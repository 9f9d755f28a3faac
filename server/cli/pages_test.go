package cli_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The sh blocks of all pages are executed as they stand, but for the ports:
// those of a section that are about one server by one shell, from the first to
// the last. A block is about the server whose port it names. A command followed
// by `# -> reply` must print that, see reply.
func TestPages(t *testing.T) {
	t.Parallel()
	tested := 0
	for _, page := range documents(t) {
		text, err := os.ReadFile("../../" + page)
		require.NoError(t, err)
		for _, section := range strings.Split(string(text), "\n## ") {
			title, _, _ := strings.Cut(section, "\n")
			blocks, err := pageBlocks(section)
			require.NoError(t, err, page)
			tested += len(blocks)
			for server, commands := range blocks {
				t.Run(page+"/"+title+"/"+server, func(t *testing.T) {
					t.Parallel()
					runPage(t, commands, pageFiles(section), pageServers[server](t))
				})
			}
		}
	}
	require.GreaterOrEqual(t, tested, 8, "scripts")
}

// pageServers start what a page is about and return its port.
var pageServers = map[string]func(t *testing.T) (port string){
	"disqo": func(t *testing.T) string {
		_, port, err := net.SplitHostPort(broker(t).Addr)
		require.NoError(t, err)
		return port
	},
	"redis": func(t *testing.T) string {
		return serve(t, "redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(), "--port")
	},
	"beanstalkd": func(t *testing.T) string {
		servertest.Need(t, "nc")
		return serve(t, "beanstalkd", "-l", "127.0.0.1", "-p")
	},
}

// serve starts somebody else's server on a free port, its last argument.
func serve(t *testing.T, name string, args ...string) (port string) {
	t.Helper()
	servertest.Need(t, name)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, err = net.SplitHostPort(addr)
	require.NoError(t, err)
	cmd := exec.Command(name, append(args, port)...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	servertest.Until(t, name+" serves", patience, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return port
}

var (
	shBlock     = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	pythonBlock = regexp.MustCompile("(?ms)^```python\n# (\\w+\\.py)\n(.*?)^```$")
	pagePort    = regexp.MustCompile(`\b(7711|6379|11300)\b|\bbeanstalk '`)
	pageNames   = map[string]string{"7711": "disqo", "6379": "redis", "11300": "beanstalkd", "beanstalk '": "beanstalkd"}
)

// pageBlocks returns the sh blocks of a page by the server they are about.
func pageBlocks(text string) (map[string]string, error) {
	blocks := make(map[string]string)
	for _, block := range shBlock.FindAllStringSubmatch(text, -1) {
		about := ""
		for _, port := range pagePort.FindAllString(block[1], -1) {
			if name := pageNames[port]; about != "" && about != name {
				return nil, fmt.Errorf("a block about %s and %s: %s", about, name, block[1])
			}
			about = pageNames[port]
		}
		if about == "" {
			return nil, fmt.Errorf("a block about no server: %s", block[1])
		}
		blocks[about] += block[1]
	}
	return blocks, nil
}

// pageFiles returns the python blocks of a page that begin with their file's name.
func pageFiles(text string) map[string]string {
	files := make(map[string]string)
	for _, block := range pythonBlock.FindAllStringSubmatch(text, -1) {
		files[block[1]] = block[2]
	}
	return files
}

// runPage gives commands to one shell, in a directory with the page's files.
func runPage(t *testing.T, commands string, files map[string]string, port string) {
	t.Helper()
	servertest.Need(t, "redis-cli")
	dir := t.TempDir()
	atPort := func(text string) string {
		return pagePort.ReplaceAllStringFunc(text, func(p string) string { return here(p, port) })
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(atPort(text)), 0o600))
	}
	if strings.Contains(commands, "python3 ") {
		commands = strings.ReplaceAll(commands, "python3 ", python(t)+" -W error -B ")
	}
	script, replies := pageScript(atPort(commands))
	require.NotEmpty(t, replies)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", script)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // for what the script left in the background
	out, err := cmd.CombinedOutput()
	parts := strings.Split(strings.ReplaceAll(string(out), "\r", ""), pageMark)
	require.NoError(t, err, "%s", parts[len(parts)-1])
	require.Len(t, parts, len(replies)+1)
	for i, r := range replies {
		require.Regexp(t, r.pattern(), strings.Join(strings.Fields(parts[i]), " "), r.command)
	}
}

// here is the port of the test for the one of the page.
func here(text, port string) string {
	if _, err := strconv.Atoi(text); err == nil {
		return port
	}
	return text
}

// pageMark is printed behind the output of each command.
const pageMark = "@@\n"

// reply is what a command must print, words with one space between them. <id>
// stands for a job's id, ... for anything, nothing for no output at all. Without
// the comment a command may print what it likes, but no error of redis-cli.
type reply struct {
	command string
	want    string
	told    bool
}

var replyComment = regexp.MustCompile(`^(.*?)\s+# -> (.*)$`)

// pageScript returns commands, one a line, with the mark behind each.
func pageScript(commands string) (script string, replies []reply) {
	var b strings.Builder
	b.WriteString("exec 2>&1\n")
	for line := range strings.Lines(commands) {
		r := reply{command: strings.TrimSuffix(line, "\n")}
		if m := replyComment.FindStringSubmatch(r.command); m != nil {
			r = reply{m[1], m[2], true}
		} else {
			r.command = strings.ReplaceAll(r.command, "redis-cli ", "redis-cli -e ")
		}
		replies = append(replies, r)
		_, _ = fmt.Fprintf(&b, "%s\necho '%s'\n", r.command, strings.TrimSpace(pageMark))
	}
	return b.String(), replies
}

func (r reply) pattern() string {
	switch {
	case !r.told:
		return ""
	case r.want == "nothing":
		return "^$"
	}
	return "^" + strings.NewReplacer("<id>", jobID, `\.\.\.`, ".*").Replace(regexp.QuoteMeta(r.want)) + "$"
}

// python returns an interpreter that has redis-py, Debian's before another one.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import redis").Run() == nil {
			return name
		}
	}
	servertest.Missing(t, "no python3 with redis-py: apt-get install python3-redis")
	return ""
}

func TestPageScript(t *testing.T) {
	t.Parallel()
	script, replies := pageScript("x=$(redis-cli -p 7711 A)\nredis-cli -p 7711 B $x   # -> mail <id> ... (2)\n")
	require.Equal(t, "exec 2>&1\nx=$(redis-cli -e -p 7711 A)\necho '@@'\nredis-cli -p 7711 B $x\necho '@@'\n", script)
	require.Len(t, replies, 2)
	require.Empty(t, replies[0].pattern())
	const id = "D-00000000-abcdefghijklmnopqrstuvwx-05a1"
	require.Regexp(t, replies[1].pattern(), "mail "+id+" any (2)")
	require.NotRegexp(t, replies[1].pattern(), "mail x any (2)")
	require.NotRegexp(t, replies[1].pattern(), "mail "+id+" any (2) more")
	require.NotRegexp(t, reply{want: "nothing", told: true}.pattern(), "1")
}

func TestPageBlocks(t *testing.T) {
	t.Parallel()
	blocks, err := pageBlocks("```sh\nredis-cli -p 7711 A\n```\n```console\nno\n```\n```sh\nbeanstalk 'b'\n```\n```sh\nredis-cli -p 7711 C\n```\n")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"disqo": "redis-cli -p 7711 A\nredis-cli -p 7711 C\n", "beanstalkd": "beanstalk 'b'\n"}, blocks)
	for _, wrong := range []string{"ls", "redis-cli -p 7711 A\nredis-cli -p 6379 B"} {
		_, err := pageBlocks("```sh\n" + wrong + "\n```\n")
		require.Error(t, err)
	}
}
