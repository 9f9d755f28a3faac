package clients_test

import (
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

func redigo(t *testing.T, p *servertest.Process, options ...redis.DialOption) redis.Conn {
	c, err := redis.Dial("tcp", p.Addr, options...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedigo(t *testing.T) {
	t.Parallel()
	p := broker(t)
	c := redigo(t, p)

	added, err := c.Do("ADDJOB", "mail", "hello", 0)
	require.NoError(t, err)
	require.IsType(t, "", added, "a status, which redigo does not give as bytes")
	id := added.(string)
	require.Regexp(t, jobID, id)

	got, err := redis.Values(c.Do("GETJOB", "FROM", "mail"))
	require.NoError(t, err)
	require.Equal(t, []any{[]any{[]byte("mail"), []byte(id), []byte("hello")}}, got)
	acked, err := redis.Int(c.Do("ACKJOB", id))
	require.NoError(t, err)
	require.Equal(t, 1, acked)
	for _, nothing := range [][]any{{"SHOW", id}, {"QSTAT", "nobody"}, {"GETJOB", "NOHANG", "FROM", "mail"}, {"GETJOB", "TIMEOUT", 20, "FROM", "mail"}} {
		reply, err := c.Do(nothing[0].(string), nothing[1:]...)
		require.NoError(t, err)
		require.Nil(t, reply, "%v", nothing)
	}

	consumer := redigo(t, p)
	require.NoError(t, consumer.Send("GETJOB", "FROM", "later"))
	require.NoError(t, consumer.Flush())
	waitBlocked(t, p)
	id, err = redis.String(c.Do("ADDJOB", "later", "x", 0))
	require.NoError(t, err)
	got, err = redis.Values(consumer.Receive())
	require.NoError(t, err)
	require.Equal(t, []any{[]any{[]byte("later"), []byte(id), []byte("x")}}, got)
}

func TestRedigoTypes(t *testing.T) {
	t.Parallel()
	c := redigo(t, broker(t))
	id, err := redis.String(c.Do("ADDJOB", "q", "body", 0))
	require.NoError(t, err)
	show, err := redis.Values(c.Do("SHOW", id))
	requireShow(t, texts(show), err, id, "body")
	stat, err := redis.Values(c.Do("QSTAT", "q"))
	requireQStat(t, texts(stat), err)
	scan, err := redis.Values(c.Do("JSCAN", "BUSYLOOP"))
	require.NoError(t, err)
	require.Equal(t, []any{[]byte("0"), []any{id}}, scan, "the ids are statuses")
	settings, err := redis.StringMap(c.Do("CONFIG", "GET", "maxmemory-policy"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"maxmemory-policy": "acks"}, settings)
}

// texts makes strings of redigo's bytes, so that one check serves all libraries.
func texts(values []any) []any {
	all := make([]any, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case []byte:
			all[i] = string(v)
		case []any:
			all[i] = texts(v)
		default:
			all[i] = v
		}
	}
	return all
}

func TestRedigoPipelines(t *testing.T) {
	t.Parallel()
	c := redigo(t, broker(t))
	const n = 500
	for i := range n {
		require.NoError(t, c.Send("ADDJOB", "q", i, 0))
	}
	require.NoError(t, c.Flush())
	for range n {
		id, err := redis.String(c.Receive())
		require.NoError(t, err)
		require.Regexp(t, jobID, id)
	}

	require.NoError(t, c.Send("MULTI"))
	require.NoError(t, c.Send("ADDJOB", "q", "x", 0))
	require.NoError(t, c.Send("QLEN", "q"))
	both, err := redis.Values(c.Do("EXEC"))
	require.NoError(t, err)
	require.Len(t, both, 2)
	require.Regexp(t, jobID, both[0])
	require.Equal(t, int64(n+1), both[1])
}

func TestRedigoConnect(t *testing.T) {
	t.Parallel()
	p := broker(t, "--requirepass", "s3cret")
	for name, options := range map[string][]redis.DialOption{
		"password":          {redis.DialPassword("s3cret")},
		"user and password": {redis.DialUsername("default"), redis.DialPassword("s3cret")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redigo(t, p, append(options, redis.DialClientName("worker-1"), redis.DialDatabase(0))...)
			got, err := redis.String(c.Do("CLIENT", "GETNAME"))
			require.NoError(t, err)
			require.Equal(t, "worker-1", got)
		})
	}
	_, err := redis.Dial("tcp", p.Addr, redis.DialPassword("wrong"))
	require.ErrorContains(t, err, "WRONGPASS")
	_, err = redigo(t, p).Do("PING")
	require.ErrorContains(t, err, "NOAUTH")
}

// A pool that tests its connections on borrow is the library's own advice.
func TestRedigoPool(t *testing.T) {
	t.Parallel()
	p := broker(t)
	pool := &redis.Pool{MaxIdle: 2, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", p.Addr) },

		TestOnBorrow: func(c redis.Conn, _ time.Time) error { _, err := c.Do("PING"); return err }}
	defer pool.Close()
	for range 3 {
		c := pool.Get()
		_, err := redis.String(c.Do("ADDJOB", "q", "x", 0))
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
	require.Equal(t, 1, pool.Stats().IdleCount, "one connection served all three")
}
