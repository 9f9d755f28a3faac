package reference

import (
	"fmt"
	"strconv"
	"testing"
	"time"
)

// TestUnit03Queueing: a job is queued at one node, again if it was not
// acknowledged in time, and by another node if its own died.
func TestUnit03Queueing(t *testing.T) {
	u := begin(t)
	u.alone("replicas are active", func(u *unit) {
		j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3")
		u.must(j, u.copies(j, "active") >= 2, "two active copies")
	})
	u.alone("first in, first out", fifo)
	u.alone("MAXLEN", func(u *unit) {
		queue := u.queue()
		u.add(0, queue, "myjob", 5000, "MAXLEN", "1")
		u.refused(0, "MAXLEN", "ADDJOB", queue, "myjob", "5000", "MAXLEN", "1")
	})
	u.together(map[string]func(*unit){
		"not consumed":           notConsumed,
		"not acknowledged":       notAcknowledged,
		"at most once":           atMostOnce,
		"queued by one of three": queuedByOne,
	})
	if testing.Short() {
		return
	}
	u.alone("the queueing node dies", func(u *unit) {
		j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "1")
		u.must(j, len(u.where(j, "queued")) == 1, "the job to be queued at one node")
		u.kill(0)
		u.eventually(j, "another node queues the job", func() bool { return u.copies(j, "queued") > 0 })
		u.recover(0)
	})
	u.alone("two of three die", func(u *unit) {
		for round := range 10 {
			twoDie(u, round)
		}
	})
}

// fifo takes 100 jobs of one node in the order in which they came.
func fifo(u *unit) {
	queue := u.queue()
	for i := range 100 {
		u.add(0, queue, strconv.Itoa(i), 5000, "REPLICATE", "1", "RETRY", "0")
	}
	for i := range 100 {
		got := u.get(0, queue)
		u.must(job{}, len(got) == 3 && got[2] == strconv.Itoa(i), "job %d, not %q", i, got)
	}
}

// notConsumed: a job that nobody takes stays where it is.
func notConsumed(u *unit) {
	j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "1")
	u.always(2500*time.Millisecond, j, "the job is queued at one node", func() bool { return len(u.where(j, "queued")) == 1 })
}

// notAcknowledged: a job that was taken and not acknowledged comes back.
func notAcknowledged(u *unit) {
	j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "1")
	u.receive(0, j)
	u.eventually(j, "the job is queued again", func() bool { return u.copies(j, "queued") > 0 })
}

// atMostOnce: a job with RETRY 0 does not come back.
func atMostOnce(u *unit) {
	j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "1", "RETRY", "0")
	u.receive(0, j)
	u.always(2*time.Second, j, "the job is not queued", func() bool { return len(u.where(j, "queued")) == 0 })
}

// queuedByOne: a job that comes back is queued by one of its three nodes, not
// by all of them.
func queuedByOne(u *unit) {
	const retry = 5 * time.Second
	start := time.Now()
	j := u.held(0, u.queue(), "myjob", 5000, "REPLICATE", "3", "RETRY", "5")
	u.receive(0, j)
	u.must(j, len(u.where(j, "queued")) == 0, "the job not to be queued")
	u.must(j, u.copies(j, "active") >= 3, "three active copies")
	u.always(retry*4/5-time.Since(start), j, "the job is not queued", func() bool { return len(u.where(j, "queued")) == 0 })
	u.eventually(j, "the job is queued at one node after RETRY", func() bool {
		return time.Since(start) > retry+time.Second && len(u.where(j, "queued")) == 1
	})
}

// twoDie kills two nodes at random once a job has three copies.
func twoDie(u *unit, round int) {
	j := u.held(u.rand.IntN(size), u.queue(), fmt.Sprintf("xxxyyy%d", round), 5000, "REPLICATE", "3", "RETRY", "1")
	dead := u.rand.Perm(size)[:2]
	u.kill(dead...)
	u.eventually(j, fmt.Sprintf("round %d: the job is queued after nodes %d died", round, dead), func() bool { return u.copies(j, "queued") > 0 })
	queuing := u.where(j, "queued")
	u.must(j, len(queuing) > 0, "round %d: the job to stay queued", round)
	u.receive(queuing[0], j)
	u.recover(dead...)
}
