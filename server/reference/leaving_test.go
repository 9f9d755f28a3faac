package reference

import (
	"slices"
	"testing"
)

// TestUnit10Leaving: a node that is leaving takes no jobs for itself, and says
// so to clients and peers.
func TestUnit10Leaving(t *testing.T) {
	u := begin(t)
	u.must(job{}, u.do(0, "CLUSTER", "LEAVING") == "no", "node 0 not to leave")
	u.ok(0, "CLUSTER", "LEAVING", "yes")
	u.must(job{}, u.do(0, "CLUSTER", "LEAVING") == "yes", "node 0 to leave")
	u.eventually(job{}, "node 1 flags node 0 with leaving", func() bool { return slices.Contains(u.flagged(1, "leaving"), u.ids[0]) })
	u.must(job{}, u.info(0, "registered_jobs") == 0, "node 0 to have no jobs")

	j := u.add(0, "myqueue", "myjob", 0, "REPLICATE", "3")
	n := u.info(0, "registered_jobs")
	u.must(j, n == 0, "node 0 to take no copy, not %d", n)
	copies := u.where(j, "queued", "active")
	u.must(j, len(copies) >= 3, "three copies at other nodes")
	u.refused(0, "LEAVING", "GETJOB", "FROM", "myqueue")

	u.ok(0, "CLUSTER", "LEAVING", "no")
	j = u.held(0, u.queue(), "myjob", 0, "REPLICATE", "1", "RETRY", "0")
	u.ok(0, "CLUSTER", "LEAVING", "yes")
	u.receive(0, j)
	u.refused(0, "LEAVING", "GETJOB", "FROM", j.queue)
	u.eventually(job{}, "HELLO of node 1 gives node 0 priority 100", func() bool { return u.hello(1)[u.ids[0]] == "100" })
}
