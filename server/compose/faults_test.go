package compose_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stocked is how many jobs a node has that is drained.
const stocked = 50

// run is a cluster under load.
type run struct {
	t *testing.T
	p *project
	f *fleet
	l *load
}

// fault lets something happen, waits until it is over, and sees whether there
// is load: what is short may be over before many adds are answered, so it counts
// those that are answered soon after.
func (r *run) fault(name string, happen func()) {
	r.t.Helper()
	begun := time.Now()
	before, _ := r.l.check.Counts()
	happen()
	after, _ := r.l.check.Counts()
	r.t.Logf("%s: %.1fs, %d jobs were added meanwhile", name, time.Since(begun).Seconds(), after-before)
	eventually(r.t, enoughWithin, "void: adds answered since "+name, func() string {
		if now, _ := r.l.check.Counts(); now-before < atLeastFault {
			return strconv.Itoa(now - before)
		}
		return ""
	})
}

// last lets a fault go on for a while, and wants adds answered during it.
func (r *run) last(d time.Duration) {
	r.t.Helper()
	before, _ := r.l.check.Counts()
	time.Sleep(d) // the length of the fault
	after, _ := r.l.check.Counts()
	r.t.Logf("  %d jobs were added in %s of it", after-before, d)
	require.GreaterOrEqual(r.t, after-before, atLeastFault, "void: adds answered while the node is away")
}

// kill kills a node, and starts it again.
func (r *run) kill() {
	c := r.f.node(2)
	r.p.docker("kill", c.id)
	r.f.refresh()
	r.last(deadFor)
	r.p.start(c.id)
	r.t.Logf("  whole %.1fs after docker start", r.f.whole(3, startWithin).Seconds())
}

// cut takes a node off its network until the others have given it up. It comes
// back with another address, as its own was taken.
func (r *run) cut() {
	c := r.f.node(1)
	id := must(r.t, c.addr, "CLUSTER", "MYID")
	r.p.docker("network", "disconnect", r.p.network(), c.id)
	require.Empty(r.t, r.f.node(1).ip)
	r.p.docker("run", "-d", "--name", r.p.squatter(), "--network", r.p.network(), r.p.name)
	r.last(cutFor)
	eventually(r.t, failWithin, "the node is given up", func() string { return failed(r.f.node(2), id) })
	r.p.docker("network", "connect", "--alias", service, r.p.network(), c.id)
	r.t.Logf("  whole %.1fs after docker network connect", r.f.whole(3, startWithin).Seconds())
	require.NotEqual(r.t, c.ip, r.f.node(1).ip, "the address was taken")
	r.p.docker("rm", "-f", "-v", r.p.squatter())
}

// failed returns "" if a node has given up another, or else what it knows.
func failed(c container, id string) string {
	nodes, err := ask(c.addr, "CLUSTER", "NODES")
	if err != nil {
		return err.Error()
	}
	for line := range strings.Lines(nodes) {
		// id, address, flags, ...
		if f := strings.Fields(line); len(f) > 2 && f[0] == id && slices.Contains(strings.Split(f[2], ","), "fail") {
			return ""
		}
	}
	return nodes
}

// leave drains the newest node, removes it and has it forgotten. What it held
// has as many copies as before, elsewhere.
func (r *run) leave() {
	c := r.f.node(5)
	id := must(r.t, c.addr, "CLUSTER", "MYID")
	kept := r.stock(c)
	require.Equal(r.t, "OK", must(r.t, c.addr, "CLUSTER", "LEAVING", "yes"))
	took := eventually(r.t, startWithin, "the leaving node is empty", func() string {
		left, err := c.jobs()
		if err != nil {
			return err.Error()
		}
		return strings.TrimPrefix(left, "0")
	})
	r.t.Logf("  it was empty %.1fs after CLUSTER LEAVING", took.Seconds())
	r.p.scale(4)
	for _, other := range r.f.refresh() {
		require.NotEqual(r.t, c.id, other.id, "Compose removed another node than the newest")
		// While gossip calls it alive a node that starts would hear of it again.
		eventually(r.t, failWithin, "the removed node has failed", func() string { return failed(other, id) })
	}
	for _, other := range r.f.refresh() {
		require.Equal(r.t, "OK", must(r.t, other.addr, "CLUSTER", "FORGET", id))
	}
	r.f.whole(4, startWithin)
	copies := map[any]int{}
	for _, other := range r.f.refresh() {
		for _, id := range kept {
			if text, err := ask(other.addr, "SHOW", id); err == nil { // not redis.Nil
				require.Contains(r.t, text, id)
				copies[id]++
			}
		}
	}
	for _, id := range kept {
		require.GreaterOrEqual(r.t, copies[id], 3, "copies of %s: %v", id, copies)
	}
	must(r.t, r.f.node(1).addr, append([]any{"ACKJOB"}, kept...)...)
	eventually(r.t, restWithin, "no copy outlives its ACKJOB", func() string {
		for _, other := range r.f.refresh() {
			if left := must(r.t, other.addr, "JSCAN", "BUSYLOOP", "QUEUE", "later"); left != "[0 []]" {
				return other.name + " holds " + left
			}
		}
		return ""
	})
}

// stock adds jobs at a node that stay, as they are not yet due. The node and two
// others have a copy.
func (r *run) stock(c container) (ids []any) {
	for i := range stocked {
		ids = append(ids, must(r.t, c.addr, "ADDJOB", "later", i, 5000, "REPLICATE", 3, "DELAY", 3600))
	}
	return ids
}

// restart stops a node as an upgrade would, and starts it again.
func (r *run) restart(number int) {
	id := r.f.node(number).id
	r.p.docker("stop", "-t", "20", id)
	r.p.start(id)
	r.f.whole(4, startWithin)
}

// judge ends the load, once there was enough, and passes the verdict.
func (r *run) judge() {
	eventually(r.t, enoughWithin, "void: answered adds", func() string {
		if added, _ := r.l.check.Counts(); added < atLeast {
			return strconv.Itoa(added)
		}
		return ""
	})
	r.l.endProducers()
	took := eventually(r.t, drainWithin, "the end of deliveries", func() string {
		if r.l.idle() < quietFor {
			return "jobs still come"
		}
		return ""
	})
	r.l.endConsumers()
	r.t.Logf("drained in %.1fs", (took - quietFor).Seconds())
	rest := r.f.empty(restWithin)
	r.f.whole(4, restWithin-rest)
	r.t.Logf("no node held a job %.1fs later", rest.Seconds())

	v := r.l.check.Verdict(true)
	r.t.Logf("added %d, refused %d, unknown %d (%d NOREPL; %d came), delivered %d: %d were not the first, %d of them asked for after the ACKJOB was answered",
		v.Added, v.Refused, v.Unknown, r.l.noRepl.Load(), v.Recovered, v.Delivered, v.Duplicates, v.Undone.Count)
	require.Zero(r.t, v.Lost.Count, "lost: %v", v.Lost.Sample)
	require.Zero(r.t, v.Unexpected.Count, "unexpected: %v", v.Unexpected.Sample)
}
