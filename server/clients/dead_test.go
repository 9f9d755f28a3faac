package clients_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// What goes past Disque, by a library that knows nothing of it.
func TestGoRedisTermsOfJobs(t *testing.T) {
	t.Parallel()
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("protocol %d", protocol), func(t *testing.T) {
			t.Parallel()
			p := broker(t)
			c, ctx := goRedis(t, redis.Options{Addr: p.Addr, Protocol: protocol}), testContext(t)
			number := func(args ...any) int {
				t.Helper()
				n, err := c.Do(ctx, args...).Int()
				require.NoError(t, err, "%v", args)
				return n
			}
			add := func(args ...any) string {
				t.Helper()
				id, err := c.Do(ctx, append([]any{"ADDJOB", "q"}, args...)...).Text()
				require.NoError(t, err)
				return id
			}
			// fields are those of SHOW FULL and QSTAT FULL.
			fields := func(args ...any) map[any]any {
				t.Helper()
				list, err := c.Do(ctx, args...).Slice()
				require.NoError(t, err)
				m := map[any]any{}
				for i := 0; i < len(list); i += 2 {
					m[list[i]] = list[i+1]
				}
				return m
			}
			get := func() string {
				t.Helper()
				got, err := c.Do(ctx, "GETJOB", "NOHANG", "FROM", "q").Slice()
				require.NoError(t, err)
				return got[0].([]any)[2].(string)
			}
			late := add("late", 0, "PRIORITY", 5000)
			plain := add("plain", 0)
			add("urgent", 0, "PRIORITY", 1)
			require.Equal(t, 1, number("PROMOTE", late, "PRIORITY", 0))
			require.Equal(t, []string{"late", "urgent", "plain"}, []string{get(), get(), get()})
			require.EqualValues(t, 0, fields("SHOW", late, "FULL")["priority"])
			require.EqualValues(t, 1024, fields("SHOW", plain, "FULL")["priority"])

			require.Equal(t, 2, number("NACK", late, plain, "REASON", "no way", "DELAY", 1000))
			require.Equal(t, "no way", fields("SHOW", plain, "FULL")["reason"])
			require.EqualValues(t, 1, fields("SHOW", plain, "FULL")["backing-off"])
			stat := fields("QSTAT", "q", "FULL")
			require.EqualValues(t, 2, stat["delayed"])
			require.EqualValues(t, 1, stat["active"])
			require.EqualValues(t, 3, stat["delivered"])
			require.EqualValues(t, 2, stat["nacked"])

			require.Equal(t, 2, number("BURY", late, plain, "REASON", "enough"))
			ids, err := c.Do(ctx, "JSCAN", 0, "QUEUE", "q", "STATE", "dead").Slice()
			require.NoError(t, err)
			require.ElementsMatch(t, []any{late, plain}, ids[1])
			require.Equal(t, 1, number("KICKJOB", plain))
			require.Equal(t, 1, number("KICK", "q", "COUNT", 10))
			require.Equal(t, 2, number("QPURGE", "q", "STATE", "queued"))
			require.Equal(t, 1, number("QPURGE", "q", "bcast"))
			info, err := c.Info(ctx, "stats").Result()
			require.NoError(t, err)
			for _, line := range []string{"jobs_dead:0", "total_jobs_died:2", "total_jobs_kicked:2", "total_jobs_purged:3", "total_jobs_nacked:2"} {
				require.Contains(t, info, line+"\r\n")
			}
		})
	}
}
