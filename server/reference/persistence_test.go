package reference

import (
	"fmt"
	"testing"
)

// TestUnit07Persistence: with a log on disk, a job survives the death of all
// nodes right after ADDJOB answered.
func TestUnit07Persistence(t *testing.T) {
	u := long(t)
	defer u.log("no")
	u.log("yes")
	for i := range u.nodes {
		u.eventually(job{}, fmt.Sprintf("the log of node %d is on", i), func() bool {
			return u.client(i).Info("persistence", "aof_state") == "on"
		})
	}
	all := make([]int, size)
	for i := range all {
		all[i] = i
	}
	for round := range 5 {
		j := u.held(u.rand.IntN(size), u.queue(), fmt.Sprintf("xxxyyy%d", round), 5000, "REPLICATE", "3", "RETRY", "1")
		u.kill(all...)
		u.start(all...)
		u.eventually(j, fmt.Sprintf("restart %d: the job is queued", round), func() bool { return u.copies(j, "queued") > 0 })
		queuing := u.where(j, "queued")
		u.must(j, len(queuing) > 0, "restart %d: the job to stay queued", round)
		u.receive(queuing[0], j)
	}
}

// log switches the log of every node on or off, for its next start as well.
func (u *unit) log(on string) {
	u.t.Helper()
	u.start()
	for i := range u.nodes {
		u.ok(i, "CONFIG", "SET", "appendonly", on)
		u.ok(i, "CONFIG", "REWRITE")
	}
}
