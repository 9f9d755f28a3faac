package reference

import (
	"testing"
	"time"
)

// TestUnit11Working: WORKING puts off the next delivery.
func TestUnit11Working(t *testing.T) {
	u := long(t)
	j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "123")
	u.must(j, u.do(0, "WORKING", j.id) == int64(123), "WORKING to answer RETRY")
	u.do(0, "ACKJOB", j.id)

	j = u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "3")
	u.receive(0, j)
	for range 10 {
		u.do(0, "WORKING", j.id)
		u.always(time.Second, j, "the job is not queued", func() bool { return len(u.where(j, "queued")) == 0 })
	}
}

// TestUnit12Counters: NACK puts a job back, and deliveries are counted.
func TestUnit12Counters(t *testing.T) {
	u := long(t)
	u.together(map[string]func(*unit){
		"NACK": func(u *unit) {
			j := taken(u)
			u.do(0, "NACK", j.id)
			u.eventually(j, "the job is queued", func() bool { return u.copies(j, "queued") > 0 })
			nacks := u.counters(j)[4]
			u.must(j, nacks.(int64) > 0, "nacks to be counted, not %d", nacks)
		},
		"timeout": func(u *unit) {
			j := taken(u)
			u.eventually(j, "the job is queued", func() bool { return u.copies(j, "queued") > 0 })
			deliveries := u.counters(j)[6]
			u.must(j, deliveries.(int64) > 0, "additional deliveries to be counted, not %d", deliveries)
		},
	})
}

// taken adds a job and fetches it.
func taken(u *unit) job {
	u.t.Helper()
	j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "3")
	u.receive(0, j)
	u.must(j, len(u.where(j, "queued")) == 0, "the job not to be queued")
	return j
}

// counters fetches a job with its counters.
func (u *unit) counters(j job) []any {
	u.t.Helper()
	got := u.get(0, j.queue, "WITHCOUNTERS")
	u.must(j, len(got) == 7 && got[1] == j.id, "the job with counters, not %q", got)
	return got
}
