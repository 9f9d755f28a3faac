package cli_test

import (
	"context"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The console blocks of all pages are executed as they stand, those of a page by one
// shell from the first to the last, in a network of its own that has the documented
// ports free: the first run of a reader on a new machine. Those that cannot be are
// these, by page and first line.
var notByTestConsole = map[string]map[string]string{
	"README.md": {
		`redis-cli -p 7711 ADDJOB mail "hello" 0`: "TestReadme, which knows the id",
		"go test ./...": "this is it",
		`reset=$(redis-cli -p 7711 ADDJOB mail "password reset" 0 PRIORI`:  "TestReadmeMail, which knows what it prints",
		"cp .env.example .env                      # set DISQO_CLUSTER_SE": "needs Docker: the tests of server/compose do so",
	},
	"docs/compose.md": {
		"cp .env.example .env          # and set DISQO_CLUSTER_SECRET, sa": "needs Docker: the tests of server/compose do so",
		"make build":                               "needs Docker: the tests of server/compose build and use the image",
		"docker compose up -d --scale disqo=5":     "needs Docker: the tests of server/compose scale to 5",
		"docker compose port --index 5 disqo 7711": "needs Docker: the tests of server/compose scale to 4 while nodes leave",
	},
	"docs/deploy/README.md": {
		"make build":                          "needs systemd and changes the machine: TestSystemd of docs looks at the files",
		"kubectl apply -f kubernetes.yaml":    "needs Kubernetes: TestKubernetes of docs looks at the file",
		"kubectl port-forward pod/disqo-4 77": "needs Kubernetes",
	},
	"docs/from-disque.md": {
		"redis-cli -p 7711 SHUTDOWN REWRITE-AOF": "is said to Disque: testdata/README.md of server/disqueaof has how its files were made",
	},
	"docs/http.md": {
		"curl -d 'hello' http://127.0.0.1:8711/v1/queues/mail/jobs": "TestCurl, which knows what it prints",
	},
	"docs/operations.md": {
		"redis-cli -p 7711 BACKUP backup-monday                          ": "TestBackupAsDocumented of server/durable, which has other directories",
		"disqo-check-aof /mnt/backups/monday/backup-monday":                "the same",
		"disqo top                                        # the broker on": "needs a terminal, and brokers elsewhere: the tests of cmd/disqo/top have each of these options",
		"disqo completion bash > /etc/bash_completion.d/disqo            ": "changes the machine: TestCompletion of cmd/disqo has each of these shells",
	},
	"docs/performance.md": {
		"make performance AGAINST=reference:disque=path/to/disque-server,": "takes an hour and a half, and Disque",
		"make compare AGAINST=list":                                        "takes minutes: the tests of bench/compare compare with less",
	},
	"docs/security.md": {
		"redis-cli -p 7712 --tls --cacert ca.pem": "is interactive, and needs certificates: TestTLSAndUsers says so",
	},
	"docs/testing.md": {
		"go test ./server/sim                          # 10 seconds of s": "takes an hour: the steps tests and simulator of .ci/run have the short form",
		"go test -tags planted -v -run Planted ./server/sim":              "the step planted faults of .ci/run",
	},
}

// before is what a page takes for granted.
var before = map[string]string{
	"README.md":           "touch disqo.conf",
	"docs/check-aof.md":   "disqo --appendonly yes; redis-cli -p 7711 ADDJOB mail hello 0; stop 7711",
	"docs/from-disque.md": `for d in a b c; do mkdir $d; gunzip -c "$root/server/disqueaof/testdata/stopped.aof.gz" >$d/disque.aof; done; disqo`,
}

// shorter is what takes a machine longer than a test may.
var shorter = strings.NewReplacer("-jobs 1000000 ", "-jobs 1000 ", "sim -for 1m", "sim -for 1s")

// consoleShell starts what a reader would leave running in another terminal, in the
// place of what ran on that port, and waits until it serves.
const consoleShell = `set -e
exec 2>&1
ip link set lo up
stop() {
	[[ -e $run/$1.pid ]] || return 0
	kill "$(<"$run/$1.pid")"
	wait "$(<"$run/$1.pid")" || true
	rm "$run/$1.pid"
}
disqo() {
	case ${1-} in top | completion | import-disque | --help | --version | --healthcheck | --readycheck)
		command disqo "$@"
		return
		;;
	esac
	local port=7711 last= word
	for word in "$@"; do
		[[ $last != --port ]] || port=$word
		last=$word
	done
	stop "$port"
	command disqo "$@" >"$run/$port.log" 2>&1 &
	echo $! >"$run/$port.pid"
	until command disqo --healthcheck "$@" >/dev/null 2>&1; do
		kill -0 $! || { cat "$run/$port.log"; return 1; }
		sleep 0.05
	done
}
go() {
	[[ $1 == run && $2 == ./cmd/* ]]
	"${2#./cmd/}" "${@:3}"
}
curl() { command curl -sSf "$@"; }
redis-cli() { command redis-cli -e "$@"; }
`

func TestConsole(t *testing.T) {
	t.Parallel()
	servertest.Need(t, "redis-cli")
	servertest.Need(t, "curl")
	servertest.Need(t, "ip")
	apart := alone(t)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/...")
	build.Dir = root
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	pages, tested := documents(t), 0
	for _, list := range []iter.Seq[string]{maps.Keys(notByTestConsole), maps.Keys(before)} {
		for page := range list {
			require.Contains(t, pages, page)
		}
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join(root, page))
		require.NoError(t, err)
		script := ""
		elsewhere := notByTestConsole[page]
		for _, block := range fences(t, page, string(text)) {
			if block.lang != "console" {
				continue
			}
			if !listed(elsewhere, block.text) {
				script += block.text
				tested++
			}
		}
		for first := range elsewhere {
			require.Contains(t, string(text), first, "%s has no such block any more", page)
		}
		if script == "" {
			continue
		}
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			all := consoleShell + before[page] + "\nset -v\n" + shorter.Replace(script)
			cmd := exec.CommandContext(ctx, apart[0], append(apart[1:], "bash", "-c", all)...)
			cmd.Dir, cmd.WaitDelay = t.TempDir(), time.Second
			cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "root="+root, "run="+t.TempDir())
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
	require.GreaterOrEqual(t, tested, 12, "blocks")
}

// listed reports whether a block begins with a key of a list.
func listed(list map[string]string, block string) bool {
	for first := range list {
		if strings.HasPrefix(block, first) {
			return true
		}
	}
	return false
}

// alone returns the command that gives another one a network and a process tree of its
// own, so that all it has started ends with it.
func alone(t *testing.T) []string {
	t.Helper()
	cmd := []string{servertest.Need(t, "unshare"), "--net", "--pid", "--fork", "--kill-child"}
	if os.Getuid() != 0 {
		cmd = append(cmd, "--map-root-user")
	}
	if out, err := exec.CommandContext(t.Context(), cmd[0], append(cmd[1:], "true")...).CombinedOutput(); err != nil {
		servertest.Missing(t, "there is no network namespace to be had: %v %s", err, out)
	}
	return cmd
}

// documents returns the pages, by their paths in the repository.
func documents(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		more, err := filepath.Glob("../../" + pattern)
		require.NoError(t, err)
		for _, path := range more {
			pages = append(pages, strings.TrimPrefix(filepath.ToSlash(path), "../../"))
		}
	}
	require.Greater(t, len(pages), 10)
	return pages
}

// fence is a block of a page, without the indent that it has within a list.
type fence struct{ lang, text string }

var (
	anyFence    = regexp.MustCompile("(?ms)^( *)```(\\w*)\n(.*?)^ *```$")
	shellLine   = regexp.MustCompile(`(?m)^(?:    )? *(?:\$ |sudo |[A-Z_]+=\S* )*(?:(?:bin/)?disqo(?:-bench|-check-aof)?|redis-\w+|curl|nc|docker|docker-compose|kubectl|systemctl|go (?:run|test|build)|make|bash|sh) .*$`)
	indentation = regexp.MustCompile(`(?m)^ {4,}\S.*$`)
)

// fences returns the blocks of a page. What is typed into a shell stands in one that
// says so, sh or console, for only these are executed.
func fences(t *testing.T, page, text string) (list []fence) {
	t.Helper()
	for _, m := range anyFence.FindAllStringSubmatch(text, -1) {
		f := fence{m[2], m[3]}
		if m[1] != "" {
			f.text = strings.TrimPrefix(strings.ReplaceAll("\n"+f.text, "\n"+m[1], "\n"), "\n")
		}
		list = append(list, f)
		if f.lang != "console" && f.lang != "sh" {
			require.Empty(t, shellLine.FindAllString(f.text, -1), "%s: a block with commands is a ```console block, or sh", page)
		}
	}
	for _, line := range indentation.FindAllString(anyFence.ReplaceAllString(text, ""), -1) {
		require.NotRegexp(t, shellLine, line, "%s: a block with commands is a ```console block, or sh", page)
	}
	return list
}

func TestFences(t *testing.T) {
	t.Parallel()
	const text = "a\n\n```console\ndisqo\n```\n1. b\n\n   ```sh\n   x \\\n     y\n   ```\n```\nport 1\n```\n"
	require.Equal(t, []fence{{"console", "disqo\n"}, {"sh", "x \\\n  y\n"}, {"", "port 1\n"}}, fences(t, "page", text))
	for _, command := range []string{"$ redis-cli -p 7711 PING", "DISQO_PASSWORD=x disqo top", "sudo systemctl start disqo", "curl http://127.0.0.1", "bin/disqo-bench load"} {
		require.Regexp(t, shellLine, command)
	}
	for _, other := range []string{"cmd/disqo      main", "port 7711", "disqo-check-aof", "make"} {
		require.NotRegexp(t, shellLine, other)
	}
}
