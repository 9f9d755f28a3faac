package reference

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/disqo/disqo/server/servertest"
)

// TestUnit02Replication: ADDJOB puts a job on as many nodes as were asked for,
// or says that it cannot.
func TestUnit02Replication(t *testing.T) {
	u := long(t)
	u.alone("one copy", func(u *unit) {
		j := u.held(0, "myqueue", "myjob", 5000, "REPLICATE", "1")
		u.must(j, len(j.holders) == 1, "one node in nodes-delivered")
		u.must(j, j.shown["state"] == "queued", "the job to be queued")
	})
	for copies := 1; copies <= 2; copies++ {
		u.alone(fmt.Sprintf("short of memory, %d copies elsewhere", copies), func(u *unit) { shortOfMemory(u, copies) })
	}
	u.alone("three copies", func(u *unit) {
		j := u.held(0, "myqueue", "myjob", 5000, "REPLICATE", "3")
		u.must(j, len(j.holders) >= 3, "three nodes in nodes-delivered")
		u.must(j, j.shown["state"] == "queued", "the job to be queued")
		u.must(j, u.copies(j, "queued", "active") >= 3, "three copies at once")
	})
	u.alone("three copies, asynchronously", func(u *unit) {
		j := u.held(0, "myqueue", "myjob", 5000, "REPLICATE", "3", "ASYNC")
		u.must(j, len(j.holders) >= 3, "three nodes in nodes-delivered")
		u.must(j, j.shown["state"] == "queued", "the job to be queued")
		u.eventually(j, "there are three copies", func() bool { return u.copies(j, "queued", "active") >= 3 })
	})
	u.alone("more copies than nodes", func(u *unit) {
		u.refused(0, "NOREPL", "ADDJOB", "myqueue", "myjob", "5000", "REPLICATE", "100")
	})
	u.alone("more copies than living nodes", func(u *unit) {
		u.kill(1, 2, 3)
		u.refused(0, "NOREPL", "ADDJOB", "myqueue", "myjob", "2000", "REPLICATE", strconv.Itoa(size-3+1))
		u.recover(1, 2, 3)
	})
	for try := range 3 {
		u.alone(fmt.Sprintf("as many copies as living nodes, %d", try), func(u *unit) {
			u.kill(1, 2, 3)
			j := u.held(0, "myqueue", "myjob", 5000, "REPLICATE", strconv.Itoa(size-3))
			u.must(j, u.copies(j, "queued", "active") >= size-3, "a copy at each living node")
			u.recover(1, 2, 3)
		})
	}
	u.alone("the job expires before there are copies enough", func(u *unit) {
		u.kill(1)
		u.refused(0, "NOREPL", "ADDJOB", "myqueue", "myjob", "15000", "REPLICATE", strconv.Itoa(size), "TTL", "1")
		u.recover(1)
	})
	u.alone("a replica that comes back is asked again", comesBack)
}

// recover starts nodes and waits until the others can reach them: the failure
// of one test must not be what the next one sees.
func (u *unit) recover(which ...int) {
	u.t.Helper()
	u.start(which...)
	u.whole()
}

// shortOfMemory adds jobs to a node until it keeps none any more.
func shortOfMemory(u *unit, copies int) {
	const batch, most = 32, 100_000 // jobs
	u.ok(0, "CONFIG", "SET", "maxmemory", strconv.Itoa(3<<20))
	one := string(servertest.Command("ADDJOB", "myqueue", "myjob", "5000", "REPLICATE", strconv.Itoa(copies)))
	last := job{}
	for added := 0; ; added += batch {
		u.must(last, added < most, "node 0 to be short of memory after %d jobs", added)
		u.client(0).Send(strings.Repeat(one, batch))
		for range batch {
			id, ok := servertest.Decode(u.t, u.client(0).Raw()).(string)
			u.must(last, ok, "job %d not to be refused", added)
			last.id = id
		}
		if u.look(&last); last.shown == nil {
			break
		}
	}
	u.eventually(last, "the job is at other nodes", func() bool { return len(u.where(last, "queued", "active")) >= copies })
	u.ok(0, "CONFIG", "SET", "maxmemory", "1gb")
	for i := range u.nodes {
		u.ok(i, "DEBUG", "FLUSHALL")
	}
}

// comesBack adds a job that needs all nodes while one is dead.
func comesBack(u *unit) {
	queue := u.queue()
	u.kill(1)
	c := u.dial(0)
	c.Send(string(servertest.Command("ADDJOB", queue, "myjob", "25000", "REPLICATE", strconv.Itoa(size))))
	for i := 2; i < size; i++ {
		u.eventually(job{}, fmt.Sprintf("node %d has the copy", i), func() bool { return len(u.scan(i, "JSCAN", "QUEUE", queue)) == 1 })
	}
	u.start(1)
	id, ok := servertest.Decode(u.t, c.Raw()).(string)
	j := job{id: id, at: 0}
	u.must(j, ok, "the job to be added once all nodes are back")
	u.look(&j)
	u.must(j, u.copies(j, "queued", "active") == size, "a copy at every node")
}
