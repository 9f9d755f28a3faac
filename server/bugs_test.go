package server_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The tests of this file are the reference's known bugs, by their number in
// section 9 of its specification, as far as one node can have them.

// The reference evicts one job per command while its latency monitor is off,
// however much memory is missing.
func TestB10OneCommandEvictsAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	body := strings.Repeat("x", 300)
	for range 1000 {
		c.Job("q", body, "RETRY", "0")
	}
	require.Len(t, fetchIDs(t, c, "q", 1000), 1000)
	used, err := strconv.Atoi(c.Info("memory", "used_memory"))
	require.NoError(t, err)
	require.Equal(t, ok, c.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(used/4)))
	require.Equal(t, pong, c.Do("PING"))
	left, err := strconv.Atoi(c.Info("jobs", "registered_jobs"))
	require.NoError(t, err)
	require.Less(t, left, 250, "a quarter of the memory holds a quarter of the jobs")
	require.Greater(t, left, 150, "much more was evicted than needed")
	require.Equal(t, ok, c.Do("CONFIG", "SET", "maxmemory", strconv.Itoa(used)))
	c.Job("q", body)
}

// The reference evicts whatever was acknowledged or delivered at most once;
// what may still be delivered is never given up.
func TestB10NothingThatCanBeDeliveredIsEvicted(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	waiting, leased := c.Job("once", "x", "RETRY", "0"), c.Job("q", "x")
	require.Len(t, fetchIDs(t, c, "q", 1), 1)
	require.Equal(t, ok, c.Do("CONFIG", "SET", "maxmemory", "1"))
	require.Equal(t, "-OOM command not allowed when used memory > 'maxmemory'.\r\n", c.Do("ADDJOB", "q", "x", "0"))
	require.Equal(t, "queued", showFields(t, c, waiting)["state"])
	require.Equal(t, "active", showFields(t, c, leased)["state"])
	require.Equal(t, []string{waiting}, fetchIDs(t, c, "once", 1), "consumers go on when memory is full")
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", leased))
}

// The reference makes a job id of 114 random bits: the fourth character of a
// group of four follows from the first two of the next.
func TestB13JobIDsAreAllRandom(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	c := servertest.Start(t).Dial(t)
	implied := 0
	for range 50 {
		random := c.Job("q", "x")[11:35]
		next := func(i int) int { return strings.IndexByte(alphabet, random[i]) }
		if next(11) == (next(12)&15)<<2|next(13)>>4 {
			implied++
		}
	}
	require.Less(t, implied, 25)
}

// The reference cuts RETRY, DELAY and TTL to 32 bits: RETRY 4294967296 becomes
// 0, TTL 4294967296 is accepted and the job is gone at once.
func TestB14TimesAreRefusedNotCut(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for _, option := range []string{"RETRY", "DELAY", "TTL"} {
		for _, value := range []string{"4294967296", "4294967297", "9223372036854775807"} {
			require.Equal(t, "-ERR "+option+" must be at most 4294967295 seconds\r\n", c.Do("ADDJOB", "q", "x", "0", option, value))
		}
	}
	for option, values := range map[string][]string{
		"REPLICATE": {"65536", "4294967297"}, "MAXLEN": {"9223372036854775808"}, "TTL": {"9223372036854775808"},
	} {
		for _, value := range values {
			require.Regexp(t, "^-ERR "+option+" must be ", c.Do("ADDJOB", "q", "x", "0", option, value))
		}
	}
	show := showFields(t, c, c.Job("q", "x", "TTL", "4294967295", "RETRY", "4294967295", "DELAY", "4294967294"))
	require.InDelta(t, 4294967295, show["ttl"], 1)
	require.Equal(t, int64(4294967295), show["retry"])
	require.Equal(t, int64(4294967294), show["delay"])
	require.InDelta(t, 4294967294000, show["next-requeue-within"], 1000)
	show = showFields(t, c, c.Job("q", "x", "TTL", "4294967295"))
	require.Equal(t, "queued", show["state"])
}

// In the reference WORKING or DEQUEUE on a queued RETRY 0 job loses it.
func TestB16AtMostOnceJobsAreNotLost(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("q", "x", "RETRY", "0")
	require.Equal(t, ":0\r\n", c.Do("WORKING", id))
	require.Equal(t, ":1\r\n", c.Do("QLEN", "q"), "WORKING leaves it where it is")
	require.Equal(t, ":1\r\n", c.Do("DEQUEUE", id))
	require.Equal(t, ":0\r\n", c.Do("QLEN", "q"))
	require.Equal(t, ":1\r\n", c.Do("ENQUEUE", id), "what was dequeued can be queued again")
	require.Equal(t, []string{id}, fetchIDs(t, c, "q", 1))
	require.Equal(t, ":0\r\n", c.Do("ENQUEUE", id), "what was delivered can not")
	require.Equal(t, ":0\r\n", c.Do("NACK", id))
}

// In the reference WORKING postpones an acknowledged job instead of refusing.
func TestB16WorkingOnAnAcknowledgedJobFails(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("q", "x")
	require.Equal(t, ":1\r\n", c.Do("ACKJOB", id))
	require.Regexp(t, `^-(NOJOB|ACKED) `, c.Do("WORKING", id))
}

// In the reference the retry clock runs from the enqueue: a consumer has
// anything between nothing and RETRY seconds.
func TestB20AConsumerHasTheWholeRetryTime(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	id := c.Job("q", "x", "RETRY", "2")
	within := func() int64 { return showFields(t, c, id)["next-requeue-within"].(int64) }
	eventually(t, "most of RETRY has passed in the queue", func() bool { return within() < 300 })
	before := time.Now()
	require.Equal(t, []string{id}, fetchIDs(t, c, "q", 1))
	require.Greater(t, within(), int64(1000))
	require.Equal(t, "*1\r\n"+bulks("q", id, "x"), c.Do("GETJOB", "FROM", "q"))
	require.GreaterOrEqual(t, time.Since(before), 1998*time.Millisecond)
}

// In the reference the timeouts of 50 clients and more are looked at once a
// second, and are late by half a second on average.
func TestB21TimeoutsAreExactWithManyClients(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	const n = 100
	late := make([]time.Duration, n)
	var done sync.WaitGroup
	for i := range n {
		c := srv.Dial(t)
		timeout := time.Duration(100+i) * time.Millisecond
		done.Go(func() {
			sent := time.Now()
			if _, err := c.Conn.Write([]byte(bulks("GETJOB", "TIMEOUT", fmt.Sprint(timeout.Milliseconds()), "FROM", "q"))); err == nil {
				_, _ = c.Conn.Read(make([]byte, 64))
			}
			late[i] = time.Since(sent) - timeout
		})
	}
	done.Wait()
	slices.Sort(late)
	require.GreaterOrEqual(t, late[0], -2*time.Millisecond, "none is early")
	require.Less(t, late[n/2], 100*time.Millisecond, "%v", late)
}

// In the reference a client that disconnects just when CLIENT PAUSE ends may
// crash the server.
func TestB24DisconnectingAtTheEndOfAPause(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	idle := []*servertest.Client{}
	for range 60 {
		idle = append(idle, srv.Dial(t))
	}
	require.Equal(t, ok, c.Do("CLIENT", "PAUSE", "150"))
	end := time.Now().Add(150 * time.Millisecond)
	for i, o := range idle {
		o.Send(bulks("PING") + bulks("GETJOB", "FROM", "q") + bulks("PING"))
		at := end.Add(time.Duration(i-30) * time.Millisecond)
		eventually(t, "its turn to go has come", func() bool { return !time.Now().Before(at) })
		require.NoError(t, o.Conn.Close())
	}
	require.Equal(t, pong, c.Do("PING"))
	eventually(t, "nobody is left", func() bool { return c.Info("clients", "connected_clients") == "1" })
	require.Equal(t, "0", c.Info("clients", "blocked_clients"))
	id := c.Job("q", "x")
	require.Equal(t, []string{id}, fetchIDs(t, c, "q", 1))
}

// The reference ends options and integers at a NUL byte.
func TestB25ANulEndsNothing(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for _, row := range []struct {
		words []string
		want  string
	}{
		{[]string{"ADDJOB", "q", "x", "10\x00abc"}, "-ERR timeout is not an integer or out of range\r\n"},
		{[]string{"ADDJOB", "q", "x", "0", "ASYNC\x00zz"}, "-ERR syntax error\r\n"},
		{[]string{"ADDJOB", "q", "x", "0", "TTL\x00", "1"}, "-ERR syntax error\r\n"},
		{[]string{"ADDJOB", "q", "x", "0", "TTL", "1\x00"}, "-ERR TTL must be a number > 0\r\n"},
		{[]string{"QPEEK", "q", "1\x00"}, "-ERR value is not an integer or out of range\r\n"},
		{[]string{"GETJOB", "COUNT", "1\x00", "FROM", "q"}, "-ERR COUNT must be a number greater than zero\r\n"},
		{[]string{"GETJOB", "FROM\x00", "q"}, "-ERR syntax error\r\n"},
		{[]string{"PING\x00"}, "-ERR unknown command 'PING\x00'\r\n"},
		{[]string{"CONFIG", "SET", "maxclients", "5\x00"}, "-ERR Invalid argument '5\x00' for CONFIG SET 'maxclients'\r\n"},
	} {
		require.Equal(t, row.want, c.Do(row.words...), "%q", row.words)
	}
	c.Job("q\x00a", "1")
	c.Job("q\x00b", "2")
	require.Equal(t, ":1\r\n", c.Do("QLEN", "q\x00a"), "names are compared whole")
	require.Equal(t, ":0\r\n", c.Do("QLEN", "q"))
}

// The reference's jobs-out ignores DEQUEUE and WORKING, though its README says
// that all dequeues count.
func TestB27JobsOutCountsEveryWayOut(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	out := func() any { return statFields(t, c, "q")["jobs-out"] }
	id := c.Job("q", "x")
	require.Equal(t, ":300\r\n", c.Do("WORKING", id))
	require.Equal(t, int64(1), out())
	require.Equal(t, ":1\r\n", c.Do("ENQUEUE", id))
	require.Equal(t, ":1\r\n", c.Do("DEQUEUE", id))
	require.Equal(t, int64(2), out())
	require.Equal(t, ":1\r\n", c.Do("ENQUEUE", id))
	require.Len(t, fetchIDs(t, c, "q", 1), 1)
	require.Equal(t, int64(3), out())
	require.Equal(t, int64(3), statFields(t, c, "q")["jobs-in"])
}

// Not mended: the options of PAUSE say what the pause shall be, as the wire
// API has it and clients rely on.
func TestB28PauseOptionsStayAbsolute(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for _, row := range [][2]string{
		{"in", "in"}, {"out", "out"}, {"in out", "all"}, {"state", "all"}, {"in", "in"}, {"bcast", "in"},
		{"all none", "none"}, {"none OUT", "out"}, {"out state", "out"}, {"NONE", "none"},
	} {
		require.Equal(t, "+"+row[1]+"\r\n", c.Do(append([]string{"PAUSE", "q"}, strings.Fields(row[0])...)...), row[0])
	}
	require.Equal(t, "+none\r\n", c.Do("PAUSE", "other", "none"))
	require.Nil(t, decode(t, c.Do("QSTAT", "other")), "a queue is made only to be paused")
}

// In the reference CONFIG SET requirepass locks out the client that says it.
func TestB29WhoSetsThePasswordStaysIn(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c, other := srv.Dial(t), srv.Dial(t)
	require.Equal(t, pong, other.Do("PING"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "one"))
	require.Equal(t, pong, c.Do("PING"))
	require.Equal(t, noAuth, other.Do("PING"), "others are locked out at once")
	require.Equal(t, ok, other.Do("AUTH", "one"))
	require.Equal(t, ok, other.Do("CONFIG", "SET", "requirepass", "two"))
	require.Equal(t, pong, other.Do("PING"))
	require.Equal(t, noAuth, c.Do("PING"), "the password that c gave is no longer the password")
	require.Equal(t, ok, other.Do("CONFIG", "SET", "requirepass", ""))
	require.Equal(t, pong, c.Do("PING"))
}

// A login that falls between the change and its coming into force counts for
// the old password only.
func TestB29TheOldPasswordDoesNotOpenTheNewDoor(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--requirepass", "old")
	c, thief := srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "old"))
	var during string
	srv.Config.OnChange(func(_ string, _, _ *configSnapshot) error {
		during = thief.Do("AUTH", "old")
		return nil
	})
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "new"))
	require.NotEmpty(t, during)
	require.Equal(t, noAuth, thief.Do("PING"))
}

// The reference swallows a byte after an inline command that ends in a bare
// line feed.
func TestB31BareLineFeedSwallowsNothing(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	c.Send("PING\nPING a\n\n\r\n\nPING\r\n" + bulks("ECHO", "b") + "PING\n")
	for _, want := range []string{pong, bulk("a"), pong, bulk("b"), pong} {
		require.Equal(t, want, c.Raw())
	}
}
