package cli_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// Each line of docs/http.md is executed as it stands, but for the port.
func TestCurl(t *testing.T) {
	t.Parallel()
	servertest.Need(t, "curl")
	text, err := os.ReadFile("../../docs/http.md")
	require.NoError(t, err)
	blocks := consoleBlock.FindAllStringSubmatch(string(text), -1)
	require.Len(t, blocks, 2, "how to start it, and the lines")
	p := broker(t, "--http-port", "0")
	port := p.Dial(t).Info("server", "http_port")
	const each = `curl() { command curl --silent --show-error --fail-with-body "$@" || exit 1; }
`
	script := each + strings.ReplaceAll(blocks[1][1], ":8711/", ":"+port+"/")
	require.NotContains(t, script, "8711")
	out, err := exec.CommandContext(t.Context(), "sh", "-ec", script).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Regexp(t, `(?s)^\{"id":"`+jobID+`"\}\n\[\{"queue":"mail","id":"`+jobID+`","body":"hello","encoding":"text"\}\]\n\{.*"priority":10.*"cursor":"0","jobs":\[\{.*"reason":"no such user".*`+
		`"acked":1,.*\{"pause":"in"\}\n\{"pause":"none"\}\n\{"changed":3\}\n`, string(out))
}
