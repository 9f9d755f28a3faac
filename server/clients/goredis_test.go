package clients_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// goRedis connects with the settings given and closes with the test.
func goRedis(t *testing.T, o redis.Options) *redis.Client {
	c := redis.NewClient(&o)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestGoRedis(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{0, 2, 3} { // 0 is the default: RESP3
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			t.Parallel()
			p := broker(t)
			goRedisJobLife(t, p, goRedis(t, redis.Options{Addr: p.Addr, Protocol: protocol}))
		})
	}
}

func goRedisJobLife(t *testing.T, p *servertest.Process, c *redis.Client) {
	ctx := testContext(t)
	pong, err := c.Ping(ctx).Result()
	require.NoError(t, err)
	require.Equal(t, "PONG", pong)

	id, err := c.Do(ctx, "ADDJOB", "mail", "hello", 0, "RETRY", 60).Text()
	require.NoError(t, err)
	require.Regexp(t, jobID, id)

	got, err := c.Do(ctx, "GETJOB", "FROM", "mail").Slice()
	require.NoError(t, err)
	require.Equal(t, []any{[]any{"mail", id, "hello"}}, got)

	acked, err := c.Do(ctx, "ACKJOB", id).Int()
	require.NoError(t, err)
	require.Equal(t, 1, acked)

	for _, nothing := range [][]any{{"SHOW", id}, {"QSTAT", "nobody"}, {"GETJOB", "NOHANG", "FROM", "mail"}, {"GETJOB", "TIMEOUT", 20, "FROM", "mail"}} {
		require.ErrorIs(t, c.Do(ctx, nothing...).Err(), redis.Nil, "%v", nothing)
	}

	blocked := c.Do
	done := make(chan []any, 1)
	go func() {
		got, _ := blocked(ctx, "GETJOB", "TIMEOUT", 4000, "FROM", "later").Slice()
		done <- got
	}()
	waitBlocked(t, p)
	id, err = c.Do(ctx, "ADDJOB", "later", "x", 0).Text()
	require.NoError(t, err)
	require.Equal(t, []any{[]any{"later", id, "x"}}, <-done)
}

func TestGoRedisPipelines(t *testing.T) {
	t.Parallel()
	p := broker(t)
	for name, begin := range map[string]func(*redis.Client) redis.Pipeliner{
		"pipeline":    (*redis.Client).Pipeline,
		"transaction": (*redis.Client).TxPipeline,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 500
			c, ctx := goRedis(t, redis.Options{Addr: p.Addr}), testContext(t)
			pipe := begin(c)
			for i := range n {
				pipe.Do(ctx, "ADDJOB", name, i, 0)
			}
			length := pipe.Do(ctx, "QLEN", name)
			all, err := pipe.Exec(ctx)
			require.NoError(t, err)
			require.Len(t, all, n+1)
			ids := map[string]bool{}
			for _, r := range all[:n] {
				id, err := r.(*redis.Cmd).Text()
				require.NoError(t, err)
				require.Regexp(t, jobID, id)
				ids[id] = true
			}
			require.Len(t, ids, n)
			require.Equal(t, int64(n), length.Val())
		})
	}
}

// A command that cannot be queued fails the transaction, and nothing of it runs.
func TestGoRedisTransactionRefused(t *testing.T) {
	t.Parallel()
	c, ctx := goRedis(t, redis.Options{Addr: broker(t).Addr}), testContext(t)
	_, err := c.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.Do(ctx, "ADDJOB", "q", "x", 0)
		pipe.Do(ctx, "LPUSH", "q", "x")
		return nil
	})
	require.ErrorContains(t, err, "EXECABORT")
	require.Equal(t, int64(0), c.Do(ctx, "QLEN", "q").Val())
}

func TestGoRedisConnect(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	p := broker(t, "--requirepass", "s3cret")

	c := goRedis(t, redis.Options{Addr: p.Addr, Password: "s3cret", ClientName: "worker-1"})
	name, err := c.ClientGetName(ctx).Result()
	require.NoError(t, err)
	require.Equal(t, "worker-1", name)
	require.Contains(t, c.ClientList(ctx).Val(), "name=worker-1")

	c = goRedis(t, redis.Options{Addr: p.Addr, Username: "default", Password: "s3cret"})
	require.NoError(t, c.Ping(ctx).Err())

	c = goRedis(t, redis.Options{Addr: p.Addr, Password: "wrong", MaxRetries: -1})
	require.ErrorContains(t, c.Ping(ctx).Err(), "WRONGPASS")
	c = goRedis(t, redis.Options{Addr: p.Addr, MaxRetries: -1})
	require.ErrorContains(t, c.Ping(ctx).Err(), "NOAUTH")
	c = goRedis(t, redis.Options{Addr: p.Addr, Password: "s3cret", DB: 1, MaxRetries: -1})
	require.ErrorContains(t, c.Ping(ctx).Err(), "DB index is out of range")
}

// The library's own typed commands must understand our replies.
func TestGoRedisTypes(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			t.Parallel()
			ctx := testContext(t)
			c := goRedis(t, redis.Options{Addr: broker(t).Addr, Protocol: protocol})
			id, err := c.Do(ctx, "ADDJOB", "q", "body", 0).Text()
			require.NoError(t, err)

			show, err := c.Do(ctx, "SHOW", id).Slice()
			requireShow(t, show, err, id, "body")
			stat, err := c.Do(ctx, "QSTAT", "q").Slice()
			requireQStat(t, stat, err)
			scan, err := c.Do(ctx, "JSCAN", "BUSYLOOP").Slice()
			require.NoError(t, err)
			require.Equal(t, []any{"0", []any{id}}, scan)
			hello, err := c.Do(ctx, "HELLO").Slice()
			require.NoError(t, err)
			require.Len(t, hello, 3)

			settings, err := c.ConfigGet(ctx, "maxmemory-policy").Result()
			require.NoError(t, err)
			require.Equal(t, map[string]string{"maxmemory-policy": "acks"}, settings)
			commands, err := c.Command(ctx).Result()
			require.NoError(t, err)
			require.Greater(t, len(commands), 30)
			require.Equal(t, int8(-4), commands["addjob"].Arity)
			require.NoError(t, c.ConfigSet(ctx, "slowlog-max-len", "64").Err())
			require.NoError(t, c.Time(ctx).Err())
			require.Positive(t, c.ClientID(ctx).Val())
			require.Equal(t, "x", c.Echo(ctx, "x").Val())
			sections := c.InfoMap(ctx)
			require.NoError(t, sections.Err())
			require.Equal(t, "1", sections.Item("Jobs", "registered_jobs"))
		})
	}
}

// requireShow checks the 15 pairs of SHOW in the form every library gives an
// array of strings, integers and arrays.
func requireShow(t *testing.T, show []any, err error, id, body string) {
	t.Helper()
	require.NoError(t, err)
	require.Len(t, show, 30)
	names := []string{"id", "queue", "state", "repl", "ttl", "ctime", "delay", "retry", "nacks", "additional-deliveries",
		"nodes-delivered", "nodes-confirmed", "next-requeue-within", "next-awake-within", "body"}
	for i, name := range names {
		require.Equal(t, name, show[2*i])
	}
	require.Equal(t, id, show[1])
	require.Equal(t, "queued", show[5])
	require.Equal(t, int64(1), show[7])
	require.IsType(t, int64(0), show[11], "ctime")
	require.Len(t, show[21], 1, "nodes-delivered has the node itself")
	require.Equal(t, body, show[29])
}

// requireQStat checks the 10 pairs of QSTAT of a queue with one job. The
// seconds of age and idle are those of a slow machine.
func requireQStat(t *testing.T, stat []any, err error) {
	t.Helper()
	require.NoError(t, err)
	require.Len(t, stat, 20)
	for _, i := range []int{5, 7} {
		require.Less(t, stat[i], int64(patience/time.Second))
		stat[i] = int64(0)
	}
	require.Equal(t, []any{"name", "q", "len", int64(1), "age", int64(0), "idle", int64(0), "blocked", int64(0),
		"import-from", []any{}, "import-rate", int64(0), "jobs-in", int64(1), "jobs-out", int64(0), "pause", "none"}, stat)
}

func TestGoRedisTLSAndUsers(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	ca := servertest.NewAuthority(t)
	cert, key := ca.Issue("broker")
	p := broker(t, "--tls-port", "0", "--tls-cert-file", cert, "--tls-key-file", key, "--user", "worker", "on", ">s3cret", "~mail", "+@produce", "+@consume", "+show", "+qlen")
	addr := "127.0.0.1:" + p.Dial(t).Info("server", "tls_port")
	for _, protocol := range []int{2, 3} {
		c := goRedis(t, redis.Options{Addr: addr, TLSConfig: ca.Client(""), Username: "worker", Password: "s3cret", Protocol: protocol})
		who, err := c.Do(ctx, "ACL", "WHOAMI").Text()
		require.NoError(t, err)
		require.Equal(t, "worker", who)
		pipe := c.Pipeline()
		for range 1000 {
			pipe.Do(ctx, "ADDJOB", "mail", "hello", 0)
		}
		denied := pipe.Do(ctx, "QPURGE", "mail")
		_, err = pipe.Exec(ctx)
		require.ErrorContains(t, err, "NOPERM")
		require.ErrorContains(t, denied.Err(), "NOPERM")
		jobs, err := c.Do(ctx, "GETJOB", "COUNT", 1000, "FROM", "mail").Slice()
		require.NoError(t, err)
		require.Len(t, jobs, 1000)
		for _, j := range jobs {
			require.NoError(t, c.Do(ctx, "ACKJOB", j.([]any)[1]).Err())
		}
	}
	c := goRedis(t, redis.Options{Addr: addr, TLSConfig: ca.Client(""), Username: "worker", Password: "no", MaxRetries: -1})
	require.ErrorContains(t, c.Ping(ctx).Err(), "WRONGPASS")
}
