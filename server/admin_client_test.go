package server_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// clientLine returns the line of CLIENT LIST about a client.
func clientLine(t *testing.T, c, about *servertest.Client) string {
	t.Helper()
	list := decode(t, c.Do("CLIENT", "LIST")).(string)
	m := regexp.MustCompile(`(?m)^.* addr=` + regexp.QuoteMeta(about.Conn.LocalAddr().String()) + ` .*$`).FindString(list)
	require.NotEmpty(t, m, "no line about %s in %s", about.Conn.LocalAddr(), list)
	return m
}

func TestClientListShowsWhatClientsDo(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, blocked, monitor := srv.Dial(t), srv.Dial(t), srv.Dial(t)
	require.Regexp(t, ` flags=N .* cmd=client\b`, clientLine(t, c, c))
	require.Equal(t, ok, blocked.Do("CLIENT", "SETNAME", "worker-7"))
	blocked.Send(bulks("GETJOB", "FROM", "q"))
	require.Equal(t, ok, monitor.Do("MONITOR"))
	blockedClients(t, c, 1)
	require.Regexp(t, ` name=worker-7 .* flags=b .* cmd=getjob\b`, clientLine(t, c, blocked))
	require.Regexp(t, ` name= .* flags=O .* cmd=monitor\b`, clientLine(t, c, monitor))
	list := decode(t, c.Do("CLIENT", "LIST", "TYPE", "normal")).(string)
	require.Equal(t, 3, strings.Count(list, "\n"))
	require.Regexp(t, `(?s)^id=1 .*\nid=2 .*\nid=3 .*\n$`, list)
	require.Equal(t, "-ERR Unknown client type 'bogus'\r\n", c.Do("CLIENT", "LIST", "TYPE", "bogus"))
}

func TestClientSetName(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for _, bad := range []string{"a b", "a\nb", "a\x00", "ä", " "} {
		require.Equal(t, "-ERR Client names cannot contain spaces, newlines or special characters.\r\n", c.Do("CLIENT", "SETNAME", bad), "%q", bad)
	}
	require.Equal(t, noBulk, c.Do("CLIENT", "GETNAME"))
	require.Equal(t, ok, c.Do("CLIENT", "SETNAME", "a-b:1"))
	require.Equal(t, bulk("a-b:1"), c.Do("CLIENT", "GETNAME"))
	require.Equal(t, ok, c.Do("CLIENT", "SETNAME", ""))
	require.Equal(t, noBulk, c.Do("CLIENT", "GETNAME"))
}

func TestClientKillChooses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		words []string // $id and $addr are the victim's
		want  string
		kills bool
	}{
		"address":           {[]string{"$addr"}, ok, true},
		"unknown address":   {[]string{"1.2.3.4:5"}, "-ERR No such client\r\n", false},
		"id":                {[]string{"ID", "$id"}, ":1\r\n", true},
		"unknown id":        {[]string{"ID", "999"}, ":0\r\n", false},
		"bad id":            {[]string{"ID", "0"}, "-ERR client-id should be greater than 0\r\n", false},
		"addr":              {[]string{"addr", "$addr"}, ":1\r\n", true},
		"id and other addr": {[]string{"ID", "$id", "ADDR", "1.2.3.4:5"}, ":0\r\n", false},
		"type":              {[]string{"TYPE", "normal"}, ":1\r\n", true},
		"type, not oneself": {[]string{"TYPE", "normal", "SKIPME", "yes"}, ":1\r\n", true},
		"unknown type":      {[]string{"TYPE", "slave"}, "-ERR Unknown client type 'slave'\r\n", false},
		"odd words":         {[]string{"ID", "$id", "ADDR"}, "-ERR syntax error\r\n", false},
		"unknown word":      {[]string{"BOGUS", "1"}, "-ERR syntax error\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := servertest.Start(t)
			c, victim := srv.Dial(t), srv.Dial(t)
			id := decode(t, victim.Do("CLIENT", "ID")).(int64)
			words := []string{"CLIENT", "KILL"}
			for _, w := range row.words {
				words = append(words, strings.NewReplacer("$id", fmt.Sprint(id), "$addr", victim.Conn.LocalAddr().String()).Replace(w))
			}
			require.Equal(t, row.want, c.Do(words...))
			require.Equal(t, pong, c.Do("PING"))
			if row.kills {
				victim.Closed()
			} else {
				require.Equal(t, pong, victim.Do("PING"))
			}
		})
	}
}

func TestClientKillOneselfIsAnswered(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	c.Send(bulks("CLIENT", "KILL", c.Conn.LocalAddr().String()) + bulks("ADDJOB", "q", "x", "0"))
	require.Equal(t, ok, c.Raw())
	c.Closed()
	c = srv.Dial(t)
	require.Equal(t, ":0\r\n", c.Do("QLEN", "q"), "nothing runs after it")
	eventually(t, "it is gone", func() bool { return c.Info("clients", "connected_clients") == "1" })
	require.Equal(t, ":1\r\n", c.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"))
	c.Closed()
}

func TestClientKillOfABlockedConsumerLosesNoJob(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, blocked := srv.Dial(t), srv.Dial(t)
	blocked.Send(bulks("GETJOB", "FROM", "q"))
	blockedClients(t, c, 1)
	require.Equal(t, ":1\r\n", c.Do("CLIENT", "KILL", "TYPE", "normal"))
	blocked.Closed()
	blockedClients(t, c, 0)
	id := c.Job("q", "x", "RETRY", "0")
	require.Equal(t, []string{id}, fetchIDs(t, c, "q", 1))
}

func TestClientPauseHoldsEveryoneForAsLong(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, other := srv.Dial(t), srv.Dial(t)
	require.Equal(t, pong, other.Do("PING"))
	start := time.Now()
	require.Equal(t, ok, c.Do("CLIENT", "PAUSE", "600"))
	require.Less(t, time.Since(start), 500*time.Millisecond, "the pause is answered at once")
	late := srv.Dial(t)
	late.Send(bulks("ADDJOB", "q", "x", "0") + bulks("PING"))
	require.Equal(t, pong, other.Do("PING"))
	require.GreaterOrEqual(t, time.Since(start), 599*time.Millisecond)
	require.Regexp(t, `^\+D-`, late.Raw())
	require.Equal(t, pong, late.Raw())
	require.Equal(t, "-ERR timeout is not an integer or out of range\r\n", c.Do("CLIENT", "PAUSE", "x"))
	require.Equal(t, "-ERR timeout is negative\r\n", c.Do("CLIENT", "PAUSE", "-1"))
}

// what is asked between CLIENT REPLY modes, and what alone is heard.
func TestClientReplyModes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ ask, hear []string }{
		"off":            {[]string{"CLIENT REPLY OFF", "PING", "NOSUCH", "ECHO x", "CLIENT REPLY ON", "PING"}, []string{ok, pong}},
		"skip":           {[]string{"CLIENT REPLY SKIP", "ECHO x", "PING"}, []string{pong}},
		"skip an error":  {[]string{"CLIENT REPLY SKIP", "NOSUCH", "PING"}, []string{pong}},
		"skip twice":     {[]string{"CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "ECHO x", "PING"}, []string{pong}},
		"skip while off": {[]string{"CLIENT REPLY OFF", "CLIENT REPLY SKIP", "ECHO x", "ECHO y", "CLIENT REPLY ON"}, []string{ok}},
		"on":             {[]string{"CLIENT REPLY ON", "ECHO x"}, []string{ok, bulk("x")}},
		"bad":            {[]string{"CLIENT REPLY MAYBE", "PING"}, []string{"-ERR syntax error\r\n", pong}},
		"multi":          {[]string{"CLIENT REPLY SKIP", "MULTI", "PING", "EXEC"}, []string{queued, "*1\r\n" + pong}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := servertest.Start(t).Dial(t)
			for _, line := range row.ask {
				c.Send(bulks(strings.Fields(line)...))
			}
			for _, want := range append(row.hear, bulk("the end")) {
				if want == bulk("the end") {
					c.Send(bulks("ECHO", "the end"))
				}
				require.Equal(t, want, c.Raw())
			}
		})
	}
}

// A reply that is to be skipped is skipped when it comes later, too.
func TestClientReplySkipsABlockedGetJob(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"SKIP", "OFF"} {
		for _, end := range []string{"job", "leaving", "flush"} {
			t.Run(mode+" "+end, func(t *testing.T) {
				t.Parallel()
				srv := servertest.Start(t)
				c, blocked := srv.Dial(t), srv.Dial(t)
				blocked.Send(bulks("CLIENT", "REPLY", mode) + bulks("GETJOB", "FROM", "q"))
				blockedClients(t, c, 1)
				switch end {
				case "job":
					c.Job("q", "x")
				case "leaving":
					require.Equal(t, ok, c.Do("CLUSTER", "LEAVING", "yes"))
				case "flush":
					require.Equal(t, ok, c.Do("DEBUG", "FLUSHALL"))
				}
				blockedClients(t, c, 0)
				blocked.Send(bulks("CLIENT", "REPLY", "ON") + bulks("ECHO", "next"))
				require.Equal(t, ok, blocked.Raw())
				require.Equal(t, bulk("next"), blocked.Raw())
			})
		}
	}
}
