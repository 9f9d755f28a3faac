package store

import (
	"flag"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// holds reports whether a node has a job, in memory or in its log.
func (n *worldNode) holds(id ID) bool {
	if n.alive || !n.logged {
		return n.s.index.find(&id) != 0
	}
	held := false
	for _, r := range n.log {
		switch r.rec[0] {
		case recPut, recPutSet:
			if p, err := ParseRecord(r.rec); err == nil && p.ID == id {
				held = true
			}
		case recDel:
			if ID(r.rec[1:delSize]) == id {
				held = false
			}
		}
	}
	return held
}

// forgetMemory counts the jobs that a node loses.
func (n *worldNode) forgetMemory() {
	for id, j := range n.w.jobs {
		if !n.holds(id) {
			continue
		}
		j.lost++
		left := false
		for _, o := range n.w.nodes {
			left = left || o != n && o.holds(id)
		}
		if j.lost >= j.sync || !left {
			j.excused = true
		}
		n.w.note(id, "%d lost its memory, excused %t", n.num, j.excused)
	}
	n.log = nil
}

func (n *worldNode) add(body string) {
	w := n.w
	q := fmt.Sprint("q", w.rnd.IntN(2))
	spec := n.spec(q, body)
	spec.Retry, spec.Repl = uint32(1+w.rnd.IntN(6)), uint16(1+w.rnd.IntN(3))
	if w.rnd.IntN(4) == 0 {
		spec.Retry, spec.Repl = 0, 1
	}
	spec.Sync = uint16(1 + w.rnd.IntN(int(spec.Repl)))
	if w.rnd.IntN(5) == 0 {
		spec.Delay = uint32(1 + w.rnd.IntN(5))
	}
	spec.External = n.leaving || n.low || w.rnd.IntN(10) == 0
	spec.ID = n.rig.id(q, spec.Retry == 0)
	copy(spec.ID[idNode:idTTL], w.m.nodes[n.num].id[:4])
	spec.Adder = adder{spec.ID}
	w.jobs[spec.ID] = &worldJob{once: spec.Retry == 0, sync: int(spec.Sync)}
	w.note(spec.ID, "added at %d: repl %d sync %d retry %d delay %d external %t", n.num, spec.Repl, spec.Sync, spec.Retry, spec.Delay, spec.External)
	var waits bool
	var err error
	safe := n.do(func(s *Shard) { waits, err = s.Add(n.clock(), spec, &n.fx) })
	if waits {
		n.waits[spec.ID] = true
	} else if err == nil {
		n.seen(safe, func() { w.jobs[spec.ID].accepted = true })
	}
}

func (n *worldNode) fetch(count int) (ids []ID) {
	w := n.w
	q := fmt.Sprint("q", w.rnd.IntN(2))
	back := w.rnd.IntN(12) == 0
	type lease struct {
		at   int64
		turn uint8
	}
	var leases []lease
	safe := n.do(func(s *Shard) {
		_, err := s.Fetch(n.clock(), []byte(q), count, &n.fx, func(j *Job) bool {
			ids, leases = append(ids, j.ID), append(leases, lease{j.NextQueue, j.Turn})
			return true
		})
		require.NoError(n.t, err)
	})
	for i, id := range ids {
		if back { // it never reached its consumer
			n.do(func(s *Shard) { s.Return(n.clock(), &id, leases[i].at, leases[i].turn, &n.fx) })
			w.note(id, "returned at %d", n.num)
			continue
		}
		j := w.jobs[id]
		w.note(id, "fetched at %d, safe in %d", n.num, safe-w.now)
		if !j.once {
			j.delivered++
			continue
		}
		n.seen(safe, func() {
			if j.delivered++; j.delivered > 1 {
				w.fail(id, "at most once, and delivered again")
			}
		})
	}
	if back {
		return nil
	}
	return ids
}

func (w *world) fail(id ID, what string) {
	for _, line := range w.history[id] {
		w.t.Log(line)
	}
	for _, n := range w.nodes {
		if h := n.s.index.find(&id); h != 0 {
			w.t.Logf("node %d alive %t: %+v %+v", n.num, n.alive, *n.s.slots.get(h), n.s.slots.copies(h))
		}
	}
	require.Fail(w.t, what, id.String())
}

func (w *world) known() (ids []ID) {
	for _, n := range w.nodes {
		if n.alive {
			n.s.ScanJobs(int64(w.rnd.IntN(20)), 50, func(j *Job) bool { ids = append(ids, j.ID); return true })
		}
	}
	return ids
}

func (w *world) step(step int) {
	n := w.nodes[w.rnd.IntN(len(w.nodes))]
	if !n.alive {
		if w.rnd.IntN(4) == 0 {
			n.revive()
		}
		w.pass(int64(w.rnd.IntN(100)))
		return
	}
	var id ID
	if ids := w.known(); len(ids) > 0 {
		id = ids[w.rnd.IntN(len(ids))]
	}
	j := w.jobs[id]
	if j == nil {
		j = &worldJob{once: true}
	}
	now := n.clock()
	switch k := w.rnd.IntN(130); {
	case k < 22:
		n.add(fmt.Sprint(step))
	case k < 45:
		n.fetch(1 + w.rnd.IntN(2))
	case k < 57:
		if j.delivered > 0 {
			n.do(func(s *Shard) { s.Ack(now, &id, &n.fx) })
			j.acked = true
			w.note(id, "acked at %d", n.num)
		}
	case k < 59:
		if j.delivered > 0 && w.rnd.IntN(2) == 0 {
			j.deleted = true
			w.note(id, "fastacked at %d", n.num)
			n.do(func(s *Shard) { s.FastAck(now, &id, &n.fx) })
		}
	case k < 60:
		j.deleted = true
		w.note(id, "deleted at %d", n.num)
		n.do(func(s *Shard) { s.Delete(now, &id, &n.fx) })
	case k < 64:
		w.note(id, "working at %d", n.num)
		n.do(func(s *Shard) { _, _ = s.Working(now, &id, &n.fx) })
	case k < 68:
		w.note(id, "nack at %d", n.num)
		n.do(func(s *Shard) { s.Nack(now, &id, nil, &n.fx) })
	case k < 71:
		if !j.once {
			w.note(id, "dequeue at %d", n.num)
			n.do(func(s *Shard) { s.Dequeue(now, &id, &n.fx) })
		}
	case k < 75:
		w.note(id, "enqueue at %d", n.num)
		n.do(func(s *Shard) { s.Enqueue(now, &id, &n.fx) })
	case k < 78:
		p := Pause(0)
		if w.rnd.IntN(3) == 0 {
			p = Pause(w.rnd.IntN(4))
		}
		n.do(func(s *Shard) {
			_ = s.SetPause(now, []byte(fmt.Sprint("q", w.rnd.IntN(2))), p, w.rnd.IntN(2) == 0, &n.fx)
		})
	case k < 82:
		n.do(func(s *Shard) { s.GiveUp(now, &id, &n.fx) })
		w.note(id, "given up at %d", n.num)
		delete(n.waits, id)
	case k < 84:
		n.kill()
		if w.rnd.IntN(3) == 0 {
			n.revive()
		}
	case k < 86:
		n.low = !n.low
	case k < 88:
		n.leaving = !n.leaving
		w.views()
	case k < 94:
		for _, o := range w.nodes {
			if o.alive && o.leaving {
				pos := int64(0)
				for pos >= 0 {
					o.do(func(s *Shard) { pos = s.Drain(o.clock(), pos, 20, &o.fx) })
				}
			}
		}
	case k < 96:
		a := w.rnd.Perm(len(w.nodes))
		c := 1 + w.rnd.IntN(len(w.nodes)-1)
		for _, x := range a[:c] {
			for _, y := range a[c:] {
				w.sever(x, y)
				w.sever(y, x)
			}
		}
	case k < 97:
		w.sever(w.rnd.IntN(len(w.nodes)), w.rnd.IntN(len(w.nodes)))
	case k < 102:
		clear(w.cut)
	case k < 104:
		w.views()
	case k < 105:
		if len(w.gone) == 0 && w.rnd.IntN(3) == 0 {
			w.forget(n)
		} else {
			clear(w.gone)
			w.views()
		}
	case k < 107:
		n.do(func(s *Shard) { s.WantForWaiters(now, &n.fx) })
	default:
		w.pass(int64(w.rnd.IntN(700)))
	}
}

func (w *world) sever(x, y int) {
	w.cut[[2]int{x, y}] = true
	w.epoch[[2]int{x, y}]++
}

// forget makes a node no member any more, for a while.
func (w *world) forget(n *worldNode) {
	w.gone[n.num] = true
	w.views()
	for _, o := range w.nodes {
		if o == n || !o.alive {
			continue
		}
		num, _ := o.s.limits.Roll.Number(w.m.nodes[n.num].id)
		for pos := int64(0); pos >= 0; {
			o.do(func(s *Shard) { pos = s.Forget(o.clock(), num, pos, 10, &o.fx) })
		}
	}
}

// revive starts a node that was killed: with its log, whole or not trusted, or
// with nothing.
func (n *worldNode) revive() {
	w := n.w
	n.skew += w.rnd.Int64N(3000) - 1500
	if !n.logged || w.rnd.IntN(12) == 0 {
		n.forgetMemory()
		n.start(nil)
	} else {
		n.start(&Trust{Complete: w.rnd.IntN(3) > 0, QueueAll: w.rnd.IntN(10) == 0})
	}
	w.views()
}

func runWorld(t *testing.T, seed uint64, size, steps int) {
	w := newWorld(t, seed, size)
	for step := range steps {
		w.step(step)
	}
	clear(w.cut)
	clear(w.gone)
	w.pass(3000) // what is on its way arrives
	for _, n := range w.nodes {
		if !n.alive {
			n.revive()
		}
		n.leaving, n.low = false, false
		for _, q := range []string{"q0", "q1"} {
			n.do(func(s *Shard) { require.NoError(t, s.SetPause(n.clock(), []byte(q), 0, false, &n.fx)) })
		}
	}
	left := func() (sum int) {
		for _, n := range w.nodes {
			sum += n.s.Jobs()
		}
		return sum
	}
	for round := 0; left() > 0; round++ {
		w.views()
		if round == 2500 {
			for _, n := range w.nodes {
				n.s.ScanJobs(0, 1e6, func(j *Job) bool {
					w.fail(j.ID, fmt.Sprintf("%d jobs stay", left()))
					return false
				})
			}
			require.Fail(t, "acknowledgements stay")
		}
		for _, n := range w.nodes {
			for _, id := range n.fetch(10) {
				n.do(func(s *Shard) { s.Ack(n.clock(), &id, &n.fx) })
				w.jobs[id].acked = true
				w.note(id, "acked at %d in the end", n.num)
			}
			if round > 1000 { // more copies may be wanted than there are nodes
				for id := range w.jobs {
					if h := n.s.index.find(&id); h != 0 && n.s.slots.get(h).state == WaitRepl {
						n.do(func(s *Shard) { s.GiveUp(n.clock(), &id, &n.fx) })
					}
				}
				n.do(func(s *Shard) { s.Evict(n.clock(), 1000, &n.fx) })
			}
		}
		w.pass(400)
	}
	accepted, once := 0, 0
	for id, j := range w.jobs {
		if !j.accepted {
			continue
		}
		if accepted++; j.once {
			once += min(1, j.delivered)
		}
		if !j.once && !j.acked && !j.deleted && !j.excused {
			w.fail(id, "lost")
		}
	}
	for _, n := range w.nodes {
		n.rig.sparse = false
		n.check()
		require.Empty(t, n.s.adders)
		require.Empty(t, n.s.wide)
	}
	require.Greater(t, accepted, steps/40)
	require.NotZero(t, once)
}

var worldFrom = flag.Uint64("world.from", 0, "first seed of TestWorld")

var worldSeeds = flag.Uint64("world.seeds", 6, "seeds of TestWorld")

// Whatever happens to nodes, links, logs and clocks: no accepted job is lost that
// is at least once, none comes twice that is at most once, and nothing stays.
func TestWorld(t *testing.T) {
	t.Parallel()
	for k := range *worldSeeds {
		seed := *worldFrom + k
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runWorld(t, seed, 3+int(seed%3), 2500)
		})
	}
}

// The same with more nodes than the small sets have room for.
func TestWideWorld(t *testing.T) {
	t.Parallel()
	runWorld(t, 3, 70, 300)
}
