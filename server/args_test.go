package server

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/redcon"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

func words(line string) (args [][]byte) {
	for _, w := range strings.Fields(line) {
		if w == `""` {
			w = ""
		}
		args = append(args, []byte(w))
	}
	return args
}

func TestParseAddJob(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	for line, want := range map[string]addJob{
		"addjob q b 0":                              {spec: node.Spec{TTL: 86400, Retry: 300}},
		"addjob q b 5 async":                        {spec: node.Spec{TTL: 86400, Retry: 300}, timeout: 5, async: true},
		`addjob q b "" ttl 1`:                       {spec: node.Spec{TTL: 1, Retry: 1}},
		"addjob q b 0 TTL 20 MAXLEN 7":              {spec: node.Spec{TTL: 20, Retry: 2, MaxLen: 7}},
		"addjob q b 0 ttl 2999":                     {spec: node.Spec{TTL: 2999, Retry: 299}},
		"addjob q b 0 ttl 1 ttl 4294967295 retry 0": {spec: node.Spec{TTL: math.MaxUint32}},
		"addjob q b 0 Delay +5 replicate 3 retry 7": {spec: node.Spec{Repl: 3, TTL: 86400, Retry: 7, Delay: 5}},
	} {
		want.spec.Queue, want.spec.Body = []byte("q"), []byte("b")
		got, err := parseAddJob(words(line), cfg, 1)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
	}
}

// B14: what the reference cuts to 32 bits is refused by name.
func TestParseAddJobRefuses(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.MaxQueueName, cfg.MaxJobSize = 4, 4
	for line, text := range map[string]string{
		"addjob q b 0 retry 4294967296":         "ERR RETRY must be at most 4294967295 seconds",
		"addjob q b 0 ttl 4294967296":           "ERR TTL must be at most 4294967295 seconds",
		"addjob q b 0 delay 4294967296":         "ERR DELAY must be at most 4294967295 seconds",
		"addjob q b 0 ttl 99999999999999999999": "ERR TTL must be a number > 0",
		"addjob q b 0 delay 5 ttl 5":            "ERR The specified DELAY is greater than TTL. Job refused since would never be delivered",
		"addjob q b 0 retry 0 replicate 2":      "ERR With RETRY set to 0 please explicitly set  REPLICATE to 1 (at-most-once delivery)",
		"addjob q b 0 async what":               "ERR syntax error",
		"addjob longer b 0":                     "ERR queue name of 6 bytes exceeds max-queue-name 4",
		"addjob q bbbbb 0":                      "ERR job of 5 bytes exceeds max-job-size 4",
	} {
		_, err := parseAddJob(words(line), cfg, 1)
		require.EqualError(t, err, text, line)
	}
}

func TestParseInt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"": 0, "+5": 5, "-5": -5, "007": 7, "9223372036854775807": math.MaxInt64} {
		n, ok := parseInt([]byte(text))
		require.True(t, ok, text)
		require.Equal(t, want, n)
	}
	// B25: the reference stops at a NUL and takes what comes before it.
	for _, text := range []string{" 5", "5 ", "5x", "0x5", "1_0", "9223372036854775808", "10\x00abc", "1.5", "-", "+"} {
		_, ok := parseInt([]byte(text))
		require.False(t, ok, "%q", text)
	}
}

// FuzzArgs: whatever the words, parsing ends in a request within its bounds or
// in a one-line error.
func FuzzArgs(f *testing.F) {
	for _, line := range []string{
		"addjob q b 0 REPLICATE 3 TTL 5 RETRY 1 DELAY 1 MAXLEN 1 ASYNC", "getjob NOHANG TIMEOUT 5 COUNT 2 WITHCOUNTERS FROM a b",
		"ackjob D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1", "jscan 0 COUNT 5 BUSYLOOP", `addjob q b ""`,
	} {
		var b []byte
		w := words(line)
		b = redcon.AppendArray(b, len(w))
		for _, a := range w {
			b = redcon.AppendBulk(b, a)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		args := split(raw)
		if len(args) < 4 {
			return
		}
		cfg := config.Default()
		oneLine := func(err error) {
			if err != nil {
				require.NotContains(t, faultText(err), "\n")
			}
		}
		add, err := parseAddJob(args, cfg, 1)
		oneLine(err)
		if err == nil {
			require.Positive(t, add.spec.TTL)
			require.Less(t, add.spec.Delay, add.spec.TTL)
			require.LessOrEqual(t, add.spec.Sync, max(1, add.spec.Repl), "0 copies are the default, here 1")
			require.True(t, add.timeout >= 0 && add.spec.MaxLen >= 0)
		}
		get, err := parseGetJob(args, cfg)
		oneLine(err)
		if err == nil {
			require.NotEmpty(t, get.queues)
			require.True(t, get.count > 0 && get.timeout >= 0)
		}
		_, err = parseIDs(nil, args[1:])
		oneLine(err)
		var scan scanArgs
		oneLine(scan.parse(args, func([]byte, [][]byte) (int, error) { return 0, nil }))
	})
}

// split makes words of arbitrary bytes: at line feeds.
func split(raw []byte) (args [][]byte) {
	for _, w := range strings.Split(strings.ReplaceAll(string(raw), "\r", ""), "\n") {
		args = append(args, []byte(w))
	}
	return args
}
