package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// scan runs QSCAN or JSCAN until its cursor is 0 and returns how often each
// element came, and in how many replies. between runs after each reply.
func scan(t *testing.T, c *servertest.Client, between func(), command string, options ...string) (seen map[string]int, replies int) {
	t.Helper()
	seen = map[string]int{}
	cursor := "0"
	for {
		reply := decode(t, c.Do(append([]string{command, cursor}, options...)...)).([]any)
		replies++
		require.Less(t, replies, 100_000, "the scan does not end")
		for _, item := range reply[1].([]any) {
			seen[item.(string)]++
		}
		if cursor = reply[0].(string); cursor == "0" {
			return seen, replies
		}
		if between != nil {
			between()
		}
	}
}

// many adds jobs in one pipeline, n to each queue, and returns their ids.
func many(t *testing.T, c *servertest.Client, queues, n int) (ids []string) {
	t.Helper()
	var b strings.Builder
	for q := range queues {
		for range n {
			b.WriteString(bulks("ADDJOB", "q"+strconv.Itoa(q), "x", "0"))
		}
	}
	c.Send(b.String())
	for range queues * n {
		ids = append(ids, decode(t, c.Raw()).(string))
	}
	return ids
}

func TestQScanFindsEveryQueueOnce(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	many(t, c, 512, 1)
	for _, options := range [][]string{nil, {"COUNT", "1"}, {"COUNT", "7"}, {"COUNT", "0"}, {"COUNT", "100000"}, {"COUNT", "-1"}, {"BUSYLOOP"}, {"busyloop", "COUNT", "1"}} {
		seen, replies := scan(t, c, nil, "QSCAN", options...)
		require.Len(t, seen, 512, "%q", options)
		for name, times := range seen {
			require.Equal(t, 1, times, "%q %s", options, name)
		}
		if s := fmt.Sprint(options); strings.Contains(strings.ToUpper(s), "BUSYLOOP") || s == "[COUNT -1]" || s == "[COUNT 100000]" {
			require.Equal(t, 1, replies, "%q", options)
		}
	}
}

// COUNT says how much is wanted: a reply has so many elements while there are
// more, and few queues come in one reply, whatever their names.
func TestScansReturnAsMuchAsCountAsksFor(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	for _, name := range []string{"a", "mail", "s1", "orders", "z"} {
		id := c.Job(name, "x")
		require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n"+bulk(name), c.Do("QSCAN"))
		require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n+"+id+"\r\n", c.Do("JSCAN"))
		require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n+"+id+"\r\n", c.Do("JSCAN", "QUEUE", name))
		require.Equal(t, ok, c.Do("DEBUG", "FLUSHALL"))
	}
	many(t, c, 512, 2)
	for _, command := range []string{"QSCAN", "JSCAN"} {
		for _, count := range []int{1, 10, 100} {
			reply := decode(t, c.Do(command, "0", "COUNT", strconv.Itoa(count))).([]any)
			require.NotEqual(t, "0", reply[0])
			require.Len(t, reply[1], count, "%s COUNT %d", command, count)
		}
	}
}

func TestQScanFilters(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for q := range 60 { // lengths 0 to 5, ten queues each
		name := "q" + strconv.Itoa(q)
		require.Equal(t, noArray, c.Do("GETJOB", "NOHANG", "FROM", name))
		for range q % 6 {
			c.Job(name, "x")
		}
	}
	for _, row := range []struct {
		options string
		want    int
	}{
		{"MINLEN 0", 60}, {"MINLEN 1", 50}, {"MINLEN 5", 10}, {"MINLEN 6", 0}, {"MAXLEN 0", 10}, {"MAXLEN 4", 50},
		{"MINLEN 2 MAXLEN 3", 20}, {"MINLEN 3 MAXLEN 2", 0}, {"MINLEN -1 MAXLEN -1", 60}, {"IMPORTRATE 0", 60}, {"IMPORTRATE 1", 0},
	} {
		for _, more := range []string{"", " COUNT 3", " BUSYLOOP"} {
			seen, _ := scan(t, c, nil, "QSCAN", strings.Fields(row.options+more)...)
			require.Len(t, seen, row.want, row.options+more)
		}
	}
}

func TestJScanFindsEveryJobOnce(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	ids := many(t, c, 8, 300)
	for _, options := range [][]string{nil, {"COUNT", "13"}, {"COUNT", "100000"}, {"BUSYLOOP"}} {
		seen, _ := scan(t, c, nil, "JSCAN", options...)
		require.Len(t, seen, len(ids))
		for _, id := range ids {
			require.Equal(t, 1, seen[id], "%q", options)
		}
	}
	seen, _ := scan(t, c, nil, "JSCAN", "QUEUE", "q3", "COUNT", "5")
	require.Len(t, seen, 300)
	for _, id := range ids[900:1200] {
		require.Contains(t, seen, id)
	}
	seen, _ = scan(t, c, nil, "JSCAN", "QUEUE", "")
	require.Empty(t, seen, "the empty name is a name")
}

func TestJScanStates(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	many(t, c, 4, 50)
	active := append(fetchIDs(t, c, "q0", 50), c.Job("q9", "x", "DELAY", "100"))
	for _, row := range []struct {
		options string
		want    int
	}{
		{"STATE active", 51}, {"STATE QUEUED", 150}, {"STATE queued STATE Active", 201}, {"STATE acked", 0}, {"STATE wait-repl", 0},
		{"STATE active QUEUE q0", 50}, {"STATE queued QUEUE q0", 0}, {"STATE queued QUEUE q1", 50}, {"QUEUE q9", 1}, {"QUEUE nope", 0},
	} {
		for _, more := range []string{"", " COUNT 7", " BUSYLOOP"} {
			seen, _ := scan(t, c, nil, "JSCAN", strings.Fields(row.options+more)...)
			require.Len(t, seen, row.want, row.options+more)
		}
	}
	seen, _ := scan(t, c, nil, "JSCAN", "STATE", "active")
	for _, id := range active {
		require.Contains(t, seen, id)
	}
}

func TestJScanReplyAllIsShow(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("q", "body", "RETRY", "0")
	reply := decode(t, c.Do("JSCAN", "REPLY", "all", "QUEUE", "q", "BUSYLOOP")).([]any)
	require.Equal(t, "0", reply[0])
	row, show := reply[1].([]any)[0].([]any), decode(t, c.Do("SHOW", id)).([]any)
	require.Len(t, row, 30)
	for i := range row {
		if i > 0 && row[i-1] == "next-awake-within" {
			require.InDelta(t, show[i], row[i], 1000)
			continue
		}
		require.Equal(t, show[i], row[i])
	}
	require.Equal(t, "*2\r\n$1\r\n0\r\n*1\r\n+"+id+"\r\n", c.Do("JSCAN", "REPLY", "all", "REPLY", "id", "BUSYLOOP"))
}

// What is there during the whole scan is returned, whatever comes and goes.
func TestScansMissNothingWhileOthersComeAndGo(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, other := srv.Dial(t), srv.Dial(t)
	ids := many(t, c, 200, 5)
	var stay, leave []string
	for i, id := range ids {
		if i%2 == 0 {
			stay = append(stay, id)
		} else {
			leave = append(leave, id)
		}
	}
	step := 0
	churn := func() {
		for range 10 {
			if len(leave) > 0 {
				require.Equal(t, ":1\r\n", other.Do("ACKJOB", leave[0]))
				leave = leave[1:]
			}
			other.Job(fmt.Sprintf("new%d", step), "x")
			step++
		}
	}
	seen, _ := scan(t, c, churn, "JSCAN", "COUNT", "20")
	for _, id := range stay {
		require.Contains(t, seen, id)
	}
	seen, _ = scan(t, c, churn, "QSCAN", "COUNT", "20")
	for q := range 200 {
		require.Contains(t, seen, "q"+strconv.Itoa(q))
	}
}

// A cursor is the client's and may be anything.
func TestScansTakeAnyCursor(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	many(t, c, 20, 20)
	for _, command := range []string{"QSCAN", "JSCAN"} {
		for _, cursor := range []string{"", "1", "-1", "+5", "18446744073709551615", "9223372036854775808", "1099511627776", "2199023255551", "17592186044416"} {
			require.Regexp(t, `^\*2\r\n\$\d+\r\n\d+\r\n\*`, c.Do(command, cursor), "%s %q", command, cursor)
		}
		for _, cursor := range []string{"x", "1.5", "18446744073709551616", "1\x00"} {
			require.Equal(t, "-ERR invalid cursor or option name\r\n", c.Do(command, cursor), "%s %q", command, cursor)
		}
		require.Equal(t, "-ERR syntax error\r\n", c.Do(command, "0", "COUNT", "5", "1"))
		require.Regexp(t, `^\*2\r\n`, c.Do(command, "COUNT", "5", "0"), "the cursor may come last")
	}
}
