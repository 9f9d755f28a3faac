//go:build linux

package torture

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// What is just too large is refused in words; what is just not is done.
func TestOversizedEverything(t *testing.T) {
	p := start(t, "--command-timeout", "5")
	c := p.Dial(t)
	id := c.Job("q", "body")
	before := standing(t, p, c)
	x := func(n int) string { return strings.Repeat("x", n) }
	cmd := func(args ...string) string { return string(servertest.Command(args...)) }
	many := func(n int, arg string) []string { return strings.Split(strings.Repeat(arg+" ", n-1)+arg, " ") }
	const name = "-ERR queue name of %d bytes exceeds max-queue-name 1024"
	tooMany := func(n int) string {
		return protocol + fmt.Sprintf("too many arguments (%d), the limit is 65536 (max-arguments)", n)
	}
	const badID = "-BADID Invalid Job ID format."
	nack := func(n int) string { return cmd(append([]string{"NACK"}, many(n-1, absent)...)...) }
	for _, test := range []struct {
		name, in, want string // the reply's first line; "" is one that no error begins
		closed         bool
	}{
		{"ADDJOB: queue of 1,024", cmd("ADDJOB", x(1024), "b", "0"), "", false},
		{"ADDJOB: queue of 1,025", cmd("ADDJOB", x(1025), "b", "0"), fmt.Sprintf(name, 1025), false},
		{"ADDJOB: queue of 65,536", cmd("ADDJOB", x(65536), "b", "0"), fmt.Sprintf(name, 65536), false},
		{"ADDJOB: queue of 4 MiB", cmd("ADDJOB", x(4*mib), "b", "0"), fmt.Sprintf(name, 4*mib), false},
		{"GETJOB: queue of 1,025", cmd("GETJOB", "NOHANG", "FROM", "q2", x(1025)), fmt.Sprintf(name, 1025), false},
		{"GETJOB: queue of 4 MiB", cmd("GETJOB", "NOHANG", "FROM", x(4*mib)), fmt.Sprintf(name, 4*mib), false},
		{"PAUSE: queue of 4 MiB", cmd("PAUSE", x(4*mib), "in"), fmt.Sprintf(name, 4*mib), false},
		{"QLEN: queue of 4 MiB", cmd("QLEN", x(4*mib)), ":0", false},
		{"QPEEK: queue of 4 MiB", cmd("QPEEK", x(4*mib), "1"), "*0", false},
		{"QSTAT: queue of 4 MiB", cmd("QSTAT", x(4*mib)), "*-1", false},
		{"QLEN: queue of 5 MiB", cmd("QLEN", x(5*mib)), "-ERR job of 5242880 bytes exceeds max-job-size 4194304", false},

		{"65,536 arguments", nack(65536), ":0", false},
		{"65,537 arguments", nack(65537), tooMany(65537), true},
		{"65,537 arguments, inline", strings.Repeat("a ", 65537) + "\r\n", protocol + "too big inline request", true},
		{"65,536 queues", cmd(append([]string{"GETJOB", "NOHANG", "FROM"}, many(65533, "none")...)...), "*-1", false},
		{"2^20 arguments", "*1048576\r\n", tooMany(1 << 20), true},
		{"2^20+1 arguments", "*1048577\r\n", protocol + "invalid multibulk length", true},
		{"2^31 arguments", "*2147483648\r\n", protocol + "invalid multibulk length", true},

		{"inline of 64 KiB", "QLEN " + x(64*kib-5-1) + "\r\n", ":0", false},
		{"inline above 64 KiB", "QLEN " + x(64*kib-5+1) + "\r\n", protocol + "too big inline request", true},

		{"body of max-job-size", cmd("ADDJOB", "large", x(4*mib), "0"), "", false},
		{"body above it", cmd("ADDJOB", "large", x(4*mib+1), "0"), "-ERR job of 4194305 bytes exceeds max-job-size 4194304", false},
		{"bulk above 512 MiB", "*4\r\n$6\r\nADDJOB\r\n$1\r\nq\r\n$536870913\r\n", protocol + "invalid bulk length", true},
		{"bulk of 2^32", "*1\r\n$4294967296\r\n", protocol + "invalid bulk length", true},
		{"command of many large arguments", cmd(append([]string{"QLEN"}, many(20, x(mib))...)...), "-ERR command of ", false},

		{"name of a command of 1 MiB", cmd(x(mib)), "-ERR unknown command '" + x(128) + "'", false},
		{"COUNT 2^63-1", cmd("GETJOB", "NOHANG", "COUNT", fmt.Sprint(math.MaxInt64), "FROM", "none"), "*-1", false},
		{"COUNT 2^63", cmd("GETJOB", "NOHANG", "COUNT", "9223372036854775808", "FROM", "none"), "-ERR COUNT must be a number greater than zero", false},
		{"COUNT of 1 MiB digits", cmd("GETJOB", "NOHANG", "COUNT", strings.Repeat("9", mib), "FROM", "none"), "-ERR COUNT must be a number greater than zero", false},
		{"TIMEOUT 2^63-1", cmd("GETJOB", "NOHANG", "TIMEOUT", fmt.Sprint(math.MaxInt64), "FROM", "none"), "*-1", false},
		{"QPEEK of 2^63-1", cmd("QPEEK", "q", fmt.Sprint(math.MaxInt64)), "*1", false},
		{"QPEEK of -2^63", cmd("QPEEK", "q", fmt.Sprint(math.MinInt64)), "-ERR value is not an integer or out of range", false},
		{"QSCAN COUNT 2^63-1", cmd("QSCAN", "0", "COUNT", fmt.Sprint(math.MaxInt64)), "*2", false},
		{"JSCAN COUNT 2^63-1", cmd("JSCAN", "0", "COUNT", fmt.Sprint(math.MaxInt64)), "*2", false},
		{"JSCAN of a cursor of 1 MiB", cmd("JSCAN", strings.Repeat("9", mib)), "-ERR invalid cursor or option name", false},

		{"id of nothing", cmd("ACKJOB", ""), badID, false},
		{"id of 39", cmd("ACKJOB", id[:39]), badID, false},
		{"id of 41", cmd("ACKJOB", id+"0"), badID, false},
		{"id of 4 MiB", cmd("ACKJOB", x(4*mib)), badID, false},
		{"id of 4 MiB among others", cmd("SHOW", x(4*mib)), badID, false},
		{"a good id and one of 1 MiB", cmd("ACKJOB", id, x(mib)), badID, false},
		{"MAXLEN 2^63-1", cmd("ADDJOB", "q", "b", "0", "MAXLEN", fmt.Sprint(math.MaxInt64)), "", false},
		{"MAXLEN 2^63", cmd("ADDJOB", "q", "b", "0", "MAXLEN", "9223372036854775808"), "-ERR MAXLEN must be a positive number", false},
		{"REPLICATE 65,536", cmd("ADDJOB", "q", "b", "0", "REPLICATE", "65536"), "-ERR REPLICATE must be between 1 and 65535", false},
		{"REPLICATE 65,535", cmd("ADDJOB", "q", "b", "0", "REPLICATE", "65535"), "-NOREPL ", false},
		{"name of a client of 1 MiB", cmd("CLIENT", "SETNAME", x(mib)), "", false},
		{"a pipeline of 100,000 refusals", strings.Repeat("ADDJOB q\r\n", 100_000), "-ERR wrong number of arguments for 'addjob' command", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			used := cpu(t, p)
			w := dial(t, p.Addr)
			written := make(chan error, 1)
			go func() {
				_, err := io.WriteString(w, test.in)
				written <- err
			}()
			line, err := w.line()
			require.NoError(t, err)
			if test.want == "" {
				require.NotEqual(t, byte('-'), line[0], "%s", line)
			} else {
				require.True(t, strings.HasPrefix(line, test.want), "%.300s", line)
			}
			if test.closed {
				_, err := w.rest()
				require.NoError(t, err, "not closed")
			} else {
				require.NoError(t, <-written)
			}
			require.Less(t, cpu(t, p)-used, 2*time.Second)
			w.reset()
			well(t, p)
		})
	}
	require.Contains(t, c.Do("SHOW", id), "queued", "an id beside a wrong one")
	before.recovers(t, p, c, 64*mib)
}

// absent is an id of a job that is not there.
const absent = "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"

// Before AUTH little is read.
func TestOversizedBeforeAuth(t *testing.T) {
	p := start(t, "--requirepass", "secret")
	w := dial(t, p.Addr)
	require.NoError(t, w.say("AUTH secret\r\n", "+OK"))
	before := peak(t, p)
	for _, test := range []struct{ name, in, want string }{
		{"11 arguments", "*11\r\n", protocol + "unauthenticated multibulk length"},
		{"65,536 arguments", "*65536\r\n", protocol + "unauthenticated multibulk length"},
		{"bulk above 16 KiB", "*1\r\n$16385\r\n", protocol + "unauthenticated bulk length"},
		{"bulk of 512 MiB", "*1\r\n$536870912\r\n", protocol + "unauthenticated bulk length"},
	} {
		for range 50 {
			s := dial(t, p.Addr)
			_, err := io.WriteString(s, test.in)
			require.NoError(t, err)
			heard, err := s.rest()
			require.NoError(t, err)
			require.Equal(t, test.want+"\r\n", heard, test.name)
		}
	}
	s := dial(t, p.Addr)
	require.NoError(t, s.say(string(servertest.Command("AUTH", strings.Repeat("x", 16*kib))), "-WRONGPASS invalid username-password pair or user is disabled."))
	require.NoError(t, w.say("PING\r\n", "+PONG"))
	require.Less(t, peak(t, p)-before, int64(16*mib))
}
