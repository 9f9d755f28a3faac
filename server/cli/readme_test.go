package cli_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The first screen of README.md is executed as it stands, but for the port and
// the job's id, which the first line prints.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("DISQO_CI") != "1" {
		t.Skip("there is no README.md")
	}
	require.NoError(t, err)
	lines := firstScreen(string(text))
	require.Len(t, lines, 3, "lines of the first console block with redis-cli")

	cli := redisCLI(t, broker(t))
	id := cli.shell(lines[0], "")
	require.Regexp(t, `^`+jobID+`$`, id)
	require.Equal(t, "mail\n"+id+"\nhello", cli.shell(lines[1], id))
	require.Equal(t, "1", cli.shell(lines[2], id))
}

var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// firstScreen returns the redis-cli lines of the first console block that has any.
func firstScreen(text string) (lines []string) {
	for _, block := range consoleBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
			if strings.HasPrefix(line, "redis-cli ") {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			break
		}
	}
	return lines
}

// shell gives a line of the README to sh.
func (c tool) shell(line, id string) string {
	c.t.Helper()
	port := c.host[len(c.host)-1]
	require.Contains(c.t, line, "-p 7711")
	line = strings.ReplaceAll(line, "-p 7711", "-p "+port)
	line = strings.ReplaceAll(line, "<id>", id)
	out, err := exec.CommandContext(c.t.Context(), "sh", "-c", line).CombinedOutput()
	require.NoError(c.t, err, "%s: %s", line, out)
	return strings.TrimSuffix(string(out), "\n")
}

func TestFirstScreen(t *testing.T) {
	t.Parallel()
	const text = "# D\n```sh\nredis-cli no\n```\n```console\n$ disqo &\n```\n```console\nredis-cli -p 7711 A\n$ redis-cli -p 7711 B\nprinted\n```\n" +
		"```console\nredis-cli too late\n```\n"
	require.Equal(t, []string{"redis-cli -p 7711 A", "redis-cli -p 7711 B"}, firstScreen(text))
	require.Empty(t, firstScreen("no block"))
}

// The example of dead mail is executed as it stands, as one script.
func TestReadmeMail(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for 15 s")
	}
	text, err := os.ReadFile("../../README.md")
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("DISQO_CI") != "1" {
		t.Skip("there is no README.md")
	}
	require.NoError(t, err)
	var script string
	for _, block := range consoleBlock.FindAllStringSubmatch(string(text), -1) {
		if strings.Contains(block[1], "MAXTRIES") {
			script = block[1]
		}
	}
	require.NotEmpty(t, script)
	cli := redisCLI(t, broker(t))
	lines := strings.Split(cli.shell("set -e; "+script, ""), "\n")
	next := func(want ...string) {
		t.Helper()
		for _, w := range want {
			require.NotEmpty(t, lines, w)
			require.Regexp(t, "^"+w+"$", lines[0])
			lines = lines[1:]
		}
	}
	next("mail", jobID, "password reset", "1")
	for range 5 {
		next("mail", jobID, "newsletter", "1")
	}
	next("0", jobID)
	rest := strings.Join(lines, "\n")
	require.Regexp(t, `(?s)^id\n`+jobID+`\nqueue\nmail\nstate\ndead\n.*\npriority\n2000\nmax-tries\n5\ntries\n5\nbackoff-base\n1\nbackoff-max\n3600\n`+
		`backing-off\n0\ngeneration\n1\nreason\n550 mailbox full\nname\nmail\nlen\n0\n.*\ndead\n1\n.*\nnacked\n5\n.*\npurged\n0\n1\n1$`, rest)
}
