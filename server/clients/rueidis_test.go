package clients_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"
)

func rueidisClient(t *testing.T, o rueidis.ClientOption) rueidis.Client {
	c, err := rueidis.NewClient(o)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// words makes a command of its words.
func words(c rueidis.Client, name string, args ...string) rueidis.Completed {
	return c.B().Arbitrary(name).Args(args...).Build()
}

func TestRueidis(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]rueidis.ClientOption{
		"defaults": {},
		"RESP2":    {AlwaysRESP2: true, DisableCache: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, ctx := broker(t), testContext(t)
			option.InitAddress = []string{p.Addr}
			c := rueidisClient(t, option)
			id, err := c.Do(ctx, words(c, "ADDJOB", "mail", "hello", "0")).ToString()
			require.NoError(t, err)
			require.Regexp(t, jobID, id)

			rueidisTypes(ctx, t, c, id)

			got, err := c.Do(ctx, words(c, "GETJOB", "FROM", "mail")).ToAny()
			require.NoError(t, err)
			require.Equal(t, []any{[]any{"mail", id, "hello"}}, got)
			acked, err := c.Do(ctx, words(c, "ACKJOB", id)).AsInt64()
			require.NoError(t, err)
			require.Equal(t, int64(1), acked)
			for _, nothing := range [][]string{{"SHOW", id}, {"QSTAT", "nobody"}, {"GETJOB", "NOHANG", "FROM", "mail"}} {
				require.ErrorIs(t, c.Do(ctx, words(c, nothing[0], nothing[1:]...)).Error(), rueidis.Nil, "%v", nothing)
			}

			blocking := func(timeout string) rueidis.Completed {
				return c.B().Arbitrary("GETJOB", "TIMEOUT", timeout, "FROM", "later").Blocking()
			}
			require.ErrorIs(t, c.Do(ctx, blocking("20")).Error(), rueidis.Nil)
			done := make(chan any, 1)
			go func() {
				got, _ := c.Do(ctx, blocking("4000")).ToAny()
				done <- got
			}()
			waitBlocked(t, p)
			id, err = c.Do(ctx, words(c, "ADDJOB", "later", "x", "0")).ToString()
			require.NoError(t, err)
			require.Equal(t, []any{[]any{"later", id, "x"}}, <-done)
		})
	}
}

func rueidisTypes(ctx context.Context, t *testing.T, c rueidis.Client, id string) {
	t.Helper()
	show, err := c.Do(ctx, words(c, "SHOW", id)).ToAny()
	require.NoError(t, err)
	requireShow(t, show.([]any), nil, id, "hello")
	stat, err := c.Do(ctx, words(c, "QSTAT", "mail")).ToAny()
	require.NoError(t, err)
	require.Len(t, stat, 20)
	scan, err := c.Do(ctx, words(c, "JSCAN", "BUSYLOOP")).ToAny()
	require.NoError(t, err)
	require.Equal(t, []any{"0", []any{id}}, scan)
	settings, err := c.Do(ctx, c.B().ConfigGet().Parameter("maxmemory-policy").Build()).AsStrMap()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"maxmemory-policy": "acks"}, settings)
}

func TestRueidisPipelines(t *testing.T) {
	t.Parallel()
	const n = 500
	c, ctx := rueidisClient(t, rueidis.ClientOption{InitAddress: []string{broker(t).Addr}}), testContext(t)
	adds := make([]rueidis.Completed, n)
	for i := range adds {
		adds[i] = words(c, "ADDJOB", "q", strconv.Itoa(i), "0")
	}
	for _, r := range c.DoMulti(ctx, adds...) {
		id, err := r.ToString()
		require.NoError(t, err)
		require.Regexp(t, jobID, id)
	}
	require.NoError(t, c.Dedicated(func(d rueidis.DedicatedClient) error {
		replies := d.DoMulti(ctx, c.B().Multi().Build(), words(c, "ADDJOB", "q", "x", "0"), words(c, "QLEN", "q"), c.B().Exec().Build())
		both, err := replies[3].ToArray()
		require.NoError(t, err)
		require.Len(t, both, 2)
		length, err := both[1].AsInt64()
		require.NoError(t, err)
		require.Equal(t, int64(n+1), length)
		return nil
	}))
}

func TestRueidisConnect(t *testing.T) {
	t.Parallel()
	p, ctx := broker(t, "--requirepass", "s3cret"), testContext(t)
	c := rueidisClient(t, rueidis.ClientOption{InitAddress: []string{p.Addr}, Password: "s3cret", ClientName: "worker-1"})
	name, err := c.Do(ctx, c.B().ClientGetname().Build()).ToString()
	require.NoError(t, err)
	require.Equal(t, "worker-1", name)

	_, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.Addr}, Password: "wrong"})
	require.ErrorContains(t, err, "WRONGPASS")
	_, err = rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{p.Addr}})
	require.ErrorContains(t, err, "NOAUTH")
}
