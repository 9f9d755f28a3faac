package reference

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/disqo/disqo/server/servertest"
)

// TestUnit04Expiry: jobs end with their TTL, empty queues when memory is short.
func TestUnit04Expiry(t *testing.T) {
	u := long(t)
	u.alone("TTL", func(u *unit) {
		start := time.Now()
		j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "TTL", "5")
		u.must(j, u.copies(j, "active", "queued") >= 3, "three copies")
		u.gone(j)
		u.must(j, time.Since(start) >= 4*time.Second, "the job to live for about 5 s, not %s", time.Since(start))
	})
	u.alone("a thousand jobs expire", func(u *unit) {
		u.ok(0, "DEBUG", "FLUSHALL")
		u.must(job{}, u.info(0, "registered_jobs") == 0, "no jobs")
		u.pipeline(0, 1000, func(n int) []string {
			return []string{"ADDJOB", "myqueue", fmt.Sprintf("job-%d", n), "10000", "TTL", "5"}
		})
		n := u.info(0, "registered_jobs")
		u.must(job{}, n == 1000, "1000 jobs, not %d", n)
		u.eventually(job{}, "no job is left at node 0", func() bool { return u.info(0, "registered_jobs") == 0 })
	})
	u.alone("empty queues go when memory is short", func(u *unit) {
		u.ok(0, "DEBUG", "FLUSHALL")
		u.pipeline(0, 2000, func(n int) []string {
			queue := fmt.Sprintf("empty-%d", n/2)
			if n%2 == 0 {
				return []string{"ADDJOB", queue, "myjob", "5000", "REPLICATE", "1", "RETRY", "0"}
			}
			return []string{"GETJOB", "FROM", queue}
		})
		n := u.info(0, "registered_queues")
		u.must(job{}, n == 1000, "1000 queues, not %d", n)
		u.ok(0, "CONFIG", "SET", "maxmemory", "1")
		u.eventually(job{}, "no queue is left at node 0", func() bool { return u.info(0, "registered_queues") == 0 })
		u.ok(0, "CONFIG", "SET", "maxmemory", "1gb")
	})
}

// pipeline sends n commands in batches; none may fail.
func (u *unit) pipeline(i, n int, command func(int) []string) (replies []any) {
	u.t.Helper()
	const batch = 100
	for len(replies) < n {
		var raw strings.Builder
		for k := range min(batch, n-len(replies)) {
			raw.Write(servertest.Command(command(len(replies) + k)...))
		}
		u.client(i).Send(raw.String())
		for range min(batch, n-len(replies)) {
			reply := servertest.Decode(u.t, u.client(i).Raw())
			failure, failed := reply.(servertest.Failure)
			u.must(job{}, !failed, "command %s of %d not to fail: %s", strconv.Itoa(len(replies)), n, failure)
			replies = append(replies, reply)
		}
	}
	return replies
}
