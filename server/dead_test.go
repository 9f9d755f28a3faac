package server_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// What cannot be is refused by an error that says why, and changes nothing.
func TestTermsThatCannotBe(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := strings.TrimSpace(c.Do("ADDJOB", "q", "b", "0"))[1:]
	const (
		syntax   = "-ERR syntax error\r\n"
		priority = "-ERR PRIORITY must be between 0 and 4294967295; 0 is the most urgent\r\n"
		tries    = "-ERR MAXTRIES must be between 0 and 65535; 0 is no limit\r\n"
		backOff  = "-ERR BACKOFF takes two times in seconds, the first and the longest, from 1 to 4294967295\r\n"
	)
	for words, want := range map[string]string{
		"ADDJOB q b 0 PRIORITY -1":                           priority,
		"ADDJOB q b 0 PRIORITY 4294967296":                   priority,
		"ADDJOB q b 0 PRIORITY x":                            priority,
		"ADDJOB q b 0 PRIORITY":                              syntax,
		"ADDJOB q b 0 MAXTRIES -1":                           tries,
		"ADDJOB q b 0 MAXTRIES 65536":                        tries,
		"ADDJOB q b 0 BACKOFF 1":                             syntax,
		"ADDJOB q b 0 BACKOFF 0 1":                           backOff,
		"ADDJOB q b 0 BACKOFF 1 x":                           backOff,
		"ADDJOB q b 0 BACKOFF 5 4":                           "-ERR BACKOFF 5 4: the longest time is shorter than the first\r\n",
		"ADDJOB q b 0 RETRY 0 MAXTRIES 1":                    "-ERR MAXTRIES needs RETRY above 0: a job with RETRY 0 is delivered once at most\r\n",
		"ADDJOB q b 0 RETRY 0 BACKOFF 1 2":                   "-ERR BACKOFF needs RETRY above 0: a job with RETRY 0 is delivered once at most\r\n",
		"NACK " + id + " DELAY":                              syntax,
		"NACK " + id + " DELAY -1":                           "-ERR DELAY time must be a non negative number\r\n",
		"NACK " + id + " DELAY 4294967296":                   "-ERR DELAY must be at most 4294967295 seconds\r\n",
		"NACK " + id + " REASON":                             syntax,
		"NACK " + id + " REASON a b":                         syntax,
		"NACK nonsense":                                      "-BADID Invalid Job ID format.\r\n",
		"BURY " + id + " DELAY 1":                            "-BADID Invalid Job ID format.\r\n",
		"BURY":                                               "-ERR wrong number of arguments for 'bury' command\r\n",
		"KICK q COUNT 0":                                     "-ERR COUNT must be a number greater than zero\r\n",
		"KICK q 5":                                           syntax,
		"PROMOTE " + id + " 5":                               syntax,
		"PROMOTE " + id + " PRIORITY -5":                     priority,
		"QPURGE q STATE acked":                               "-ERR STATE must be queued, active, delayed, wait-repl or dead\r\n",
		"QPURGE q now":                                       syntax,
		"SHOW " + id + " WHOLE":                              "-ERR wrong number of arguments for 'show' command\r\n",
		"QSTAT q FULL FULL":                                  "-ERR wrong number of arguments for 'qstat' command\r\n",
		"JSCAN STATE dying":                                  "-ERR Invalid job state name\r\n",
		"BURY " + id + " REASON " + strings.Repeat("r", 513): "-ERR REASON of 513 bytes exceeds 512\r\n",
	} {
		require.Equal(t, want, c.Do(strings.Fields(words)...), words)
	}
	require.Equal(t, ":1\r\n", c.Do("QLEN", "q"))
	require.Equal(t, ":0\r\n", c.Do("KICKJOB", id))
	require.Equal(t, ":0\r\n", c.Do("NACK", id))
	require.Equal(t, ":1\r\n", c.Do("PROMOTE", id))
	require.Equal(t, ":0\r\n", c.Do("QPURGE", "none"))
}

// Options in any case and order; those that say what is so anyhow cost nothing.
func TestTermsOfPlainJobs(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.Regexp(t, `^\+D-`, c.Do("ADDJOB", "q", "b", "0", "priority", "1024", "maxtries", "0"))
	plain := used(c)
	require.Regexp(t, `^\+D-`, c.Do("ADDJOB", "q", "b", "0"))
	job := used(c) - plain
	require.Regexp(t, `^\+D-`, c.Do("ADDJOB", "q", "b", "0", "backoff", "1", "1", "ASYNC", "PRIORITY", "4294967295", "MAXTRIES", "65535"))
	require.Equal(t, job+40, used(c)-plain-job, "a few bytes more")
}

func used(c *servertest.Client) (n int) {
	for line := range strings.Lines(c.Do("INFO", "memory")) {
		if rest, ok := strings.CutPrefix(line, "used_memory:"); ok {
			for _, d := range strings.TrimSpace(rest) {
				n = n*10 + int(d-'0')
			}
		}
	}
	return n
}
