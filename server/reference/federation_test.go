package reference

import (
	"fmt"
	"testing"
)

// TestUnit06Federation: jobs go to where the consumers are.
func TestUnit06Federation(t *testing.T) {
	const jobs = 100
	u := begin(t)
	u.alone("at least once, added everywhere", func(u *unit) {
		queue := u.queue()
		for n := range jobs {
			j := u.held(u.rand.IntN(size), queue, fmt.Sprintf("job_%d", n), 5000, "REPLICATE", "3")
			u.must(j, u.copies(j, "active") >= 2, "two active copies")
		}
		n := u.do(0, "QLEN", queue)
		u.must(job{}, n != int64(jobs), "node 0 not to have all jobs queued")
		consume(u, queue, jobs)
	})
	u.alone("at most once, added at node 1", func(u *unit) {
		queue := u.queue()
		for n := range jobs {
			u.held(1, queue, fmt.Sprintf("job_%d", n), 5000, "REPLICATE", "1", "RETRY", "0")
		}
		consume(u, queue, jobs)
	})
}

// consume takes jobs with different bodies from node 0 and acknowledges them.
func consume(u *unit, queue string, jobs int) {
	seen := map[any]bool{}
	for len(seen) < jobs {
		got := u.get(0, queue, "TIMEOUT", "5000")
		u.must(job{}, got != nil, "another job within 5 s after %d of %d", len(seen), jobs)
		seen[got[2]] = true
		u.do(0, "ACKJOB", got[1].(string))
	}
}
