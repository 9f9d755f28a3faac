package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/servertest"
)

// completionScript returns the script of a shell.
func completionScript(t *testing.T, shell string) string {
	t.Helper()
	code, out, complaint := call("completion", shell)
	require.Equal(t, 0, code)
	require.Empty(t, complaint)
	for _, d := range config.Directives() {
		require.Contains(t, out, d.Name)
	}
	return out
}

func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	servertest.Need(t, "bash")
	// What bash does when a tab is pressed behind the last word, but for compgen's
	// name of the function: it asks complete for that.
	const tab = `
eval "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
[[ $(complete -p disqo) == *" -F _disqo disqo" ]] && _disqo
printf '%s\n' "${COMPREPLY[@]}"`
	script := completionScript(t, "bash")
	var directives []string
	for _, d := range config.Directives() {
		directives = append(directives, "--"+d.Name)
	}
	for line, want := range map[string][]string{
		"disqo t":                                {"top"},
		"disqo --he":                             {"--healthcheck", "--help"},
		"disqo --append":                         {"--appendfilename", "--appendfsync", "--appendonly"},
		"disqo --appendfsync ":                   {"always", "everysec", "no"},
		"disqo --appendfsync e":                  {"everysec"},
		"disqo disqo.conf --dashboard ":          {"yes", "ro", "no"},
		"disqo --healthcheck --port 1 --loglev":  {"--loglevel"},
		"disqo --healthcheck --port 1 ":          directives,
		"disqo disqo.conf ":                      directives,
		"disqo ":                                 append(directives, "top", "completion", "import-disque", "--healthcheck", "--readycheck", "--version", "--help"),
		"disqo disq":                             {""}, // a file
		"disqo --version --p":                    {""},
		"disqo completion ":                      {"bash", "zsh", "fish"},
		"disqo completion bash ":                 {""},
		"disqo top --":                           {"--cacert", "--cert", "--insecure", "--interval", "--key", "--once", "--password", "--sni", "--tls", "--user"},
		"disqo top 127.0.0.1:7711 --once --in":   {"--insecure", "--interval"},
		"disqo top --tls --cacert ":              {""}, // a file
		"disqo import-disque --c":                {"--cacert", "--cert"},
		"disqo import-disque --tls --re":         {"--replicate", "--resume", "--rewritten"},
		"disqo import-disque --dry-run ":         {""}, // a file
		"disqo --syslog-facility local7 --hz":    {"--hz"},
		"disqo --requirepass $(false) --timeout": {"--timeout"},
	} {
		words := append([]string{"-uc", tab, "bash", script}, strings.Split(line, " ")...)
		out, err := exec.CommandContext(t.Context(), "bash", words...).CombinedOutput()
		require.NoError(t, err, "%s: %s", line, out)
		require.Equal(t, want, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), line)
	}
}

// Not every machine has these: there it is the lines that are looked at.
func TestCompletionInOtherShells(t *testing.T) {
	t.Parallel()
	for shell, lines := range map[string][]string{
		"zsh": {"#compdef disqo\n", "\n\t--appendfsync) compadd always everysec no ;;\n", "'--once:", "'--dry-run:", `start with '\''&'\''`},
		"fish": {"\ncomplete -c disqo -n __fish_use_subcommand -a top -d '", "from top' -s n -r -d '", "from top' -l once -d '", "from import-disque' -l cacert -r -d '",
			" -l appendfsync -x -a 'always everysec no' -d '", " -l port -r -d '", `start with \'&\'`},
	} {
		script := completionScript(t, shell)
		for _, l := range lines {
			require.Contains(t, script, l)
		}
		if _, err := exec.LookPath(shell); err == nil {
			cmd := exec.CommandContext(t.Context(), shell, "-n", "/dev/stdin")
			cmd.Stdin = strings.NewReader(script)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
	}
}

func TestCompletionOfAnUnknownShell(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"tcsh"}, {"bash", "zsh"}} {
		code, out, complaint := call(append([]string{"completion"}, args...)...)
		require.Equal(t, 1, code)
		require.Empty(t, out)
		require.Equal(t, "disqo: completion takes the name of a shell: bash, zsh, fish\n", complaint)
	}
}
