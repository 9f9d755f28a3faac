package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// redis-benchmark asks for two parameters of Redis' and complains, on either
// stream, where it does not get them.
func TestRedisBenchmark(t *testing.T) {
	t.Parallel()
	p := broker(t)
	bench := redisTool(t, "redis-benchmark", p)
	const figure = `\d+\.\d+ requests per second, p50=\d+\.\d+ msec`
	out := bench.run("", "-q", "-n", "2000", "ADDJOB", "q", "x", "0")
	require.Regexp(t, `ADDJOB q x 0: `+figure, out)
	require.NotContains(t, out, "WARNING")
	require.Equal(t, ":2000\r\n", p.Dial(t).Do("QLEN", "q"))

	out = bench.run("", "-q", "-n", "2000", "-c", "10", "-P", "16", "-t", "ping")
	require.Regexp(t, `PING_INLINE: `+figure, out)
	require.Regexp(t, `PING_MBULK: `+figure, out)
	out = bench.run("", "-q", "-3", "-n", "2000", "GETJOB", "FROM", "q")
	require.Regexp(t, `GETJOB FROM q: `+figure, out)
	require.Equal(t, ":0\r\n", p.Dial(t).Do("QLEN", "q"))
}
