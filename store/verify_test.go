package store

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// verified is a shard with something of everything that Verify looks at.
func verified(t testing.TB) *rig {
	r, _ := messageShard(t)
	big := r.spec("q", string(bytes.Repeat([]byte("b"), 2*maxShared)))
	big.Delay = 50
	r.add(big)
	for _, name := range []string{"w1", "w2", "w2"} {
		_, err := r.s.Block(r.now, []byte(name), &blocked{}, &r.fx)
		require.NoError(t, err)
	}
	require.NoError(t, r.s.Receive(r.now, 1, &Message{Kind: MsgNeedJobs, Queue: []byte("h"), Flags: FlagWaiting, Count: 1}, &r.fx))
	require.NoError(t, r.s.SetPause(r.now, []byte("p"), PauseIn, false, &r.fx))
	roll := r.s.limits.Roll.(*listRoll)
	for n := len(*roll); n <= 70; n++ {
		*roll = append(*roll, NodeID{byte(n), 1})
	}
	far := r.add(r.spec("q", "far"))
	require.NoError(t, r.s.Receive(r.now, 1, &Message{Kind: MsgHolders, ID: far, Holders: SetOf(1, 70)}, &r.fx))
	r.check()
	return r
}

// one returns the first job for which is holds.
func (r *rig) one(is func(j *slot, c *copies) bool) (uint32, *slot, *copies) {
	for h := range r.s.slots.all {
		if j, c := r.s.slots.get(h), r.s.slots.copies(h); is(j, c) {
			return h, j, c
		}
	}
	require.Fail(r.t, "no such job")
	return 0, nil, nil
}

func (r *rig) in(state State) (uint32, *slot, *copies) {
	return r.one(func(j *slot, _ *copies) bool { return j.state == state })
}

// Whatever is wrong with a shard is found, and named.
func TestVerifyFindsFaults(t *testing.T) {
	t.Parallel()
	again := func(j *slot, _ *copies) bool { return j.state == Queued && j.retry > 0 }
	leased := func(j *slot, c *copies) bool { return j.state == Active && j.retry > 0 && c == nil }
	shared := func(j *slot, c *copies) bool { return j.state == Active && j.retry > 0 && c != nil }
	has := func(flag uint8) func(*slot, *copies) bool {
		return func(_ *slot, c *copies) bool { return c != nil && c.flags&flag != 0 }
	}
	counts := map[string]func(r *rig){ // VerifyCounts finds them too
		`queue "q": it outlived its use`: func(r *rig) { r.s.names["q"].refs = -1 },
		`jobs, the queues count`:         func(r *rig) { r.s.names["q"].refs++ },
		`queues are live`:                func(r *rig) { r.s.liveQueues++ },
		`has jobs and waiters`: func(r *rig) {
			q := r.s.names["q"]
			q.waiters.push(&Ticket{waiter: &blocked{}, queue: q})
		},
		`has jobs, and other nodes wait`:      func(r *rig) { r.s.hungry["q"] = hunger{{1, r.now}} },
		`"w2": its place among`:               func(r *rig) { r.s.names["w2"].waitedPrev = r.s.names["q"] },
		`2 queues have waiters, 0 are listed`: func(r *rig) { r.s.waited = nil },
		`listed as one with waiters`:          func(r *rig) { r.s.names["q"].waitedNext = r.s.names["w1"] },
		`names, 1 free of`:                    func(r *rig) { r.s.freeQueues = append(r.s.freeQueues, 0) },
		`its name is another's`:               func(r *rig) { r.s.names["w1"] = r.s.names["w2"] },
		`bytes accounted, `:                   func(r *rig) { r.s.used = 1 },
		`-5 live bytes in segment 1`:          func(r *rig) { r.s.live.bytes[0] = -5 },
		`in the index`:                        func(r *rig) { h, _, _ := r.in(Queued); r.s.index.remove(&r.s.slots.get(h).id) },
		`first and last waiter`:               func(r *rig) { r.s.names["w1"].waiters.last = nil },
		`nobody sees it`: func(r *rig) {
			q := r.s.names["q"]
			q.live, q.jobs, q.pause = false, nil, PauseIn
		},
	}
	jobs := map[string]func(r *rig){
		`bytes are used`:              func(r *rig) { r.s.used++ },
		`bytes are live in segment 1`: func(r *rig) { r.s.live.bytes[0]++ },
		`are live in segment 1, none`: func(r *rig) { r.s.live = tally{} },
		`is not in the index`: func(r *rig) {
			h, _, _ := r.in(Queued)
			other, _, _ := r.in(Active)
			id := &r.s.slots.get(h).id
			r.s.index.cur.segs[0][r.s.index.probe(&r.s.index.cur, id)] = newEntry(id, other)
		},
		`of the index has 999, which is gone`: func(r *rig) {
			h, _, _ := r.in(Queued)
			id := &r.s.slots.get(h).id
			r.s.index.cur.segs[0][r.s.index.probe(&r.s.index.cur, id)] = newEntry(id, 999)
		},
		`"q": it has`:            func(r *rig) { r.s.names["q"].refs--; r.s.names["p"].refs++ },
		`of its jobs are queued`: func(r *rig) { r.s.names["q"].jobs.PopMin() },
		`not one of that order`:  func(r *rig) { h, _, _ := r.one(leased); r.s.names["q"].jobs.Load(h) },
		`out of order`:           func(r *rig) { h, _, _ := r.in(Queued); r.s.slots.get(h).ctime = 1 << 62 },
		`jobs are spent`:         func(r *rig) { r.s.spent.PopMin() },
		`its TTL was over`: func(r *rig) {
			h, j, _ := r.in(Queued)
			r.s.wheel.stop(h)
			j.etime = r.now - 1
			r.s.wheel.start(h)
		},
		`it has no timer`: func(r *rig) { h, _, _ := r.in(Queued); r.s.wheel.stop(h) },
		`its deadline is`: func(r *rig) { _, j, _ := r.in(Queued); j.etime = r.now + 1 },
		`was due at`: func(r *rig) {
			h, j, _ := r.in(Queued)
			w := &r.s.wheel
			w.stop(h)
			now := int(w.cur>>(5*wheelBits)) & wheelMask
			w.set[5] |= 1 << now
			w.push(5<<wheelBits|now, h, j)
		},
		`is of no job or there twice`:      func(r *rig) { h, j, _ := r.in(Queued); j.next = h },
		`the bitmap denies it`:             func(r *rig) { r.s.wheel.set[3] = ^r.s.wheel.set[3] },
		`its adder waits, and it does not`: func(r *rig) { h, _, _ := r.in(Queued); r.s.adders[h] = adder{} },
		`jobs have adders, of`:             func(r *rig) { r.s.adders[999] = adder{} },
		`its sets is gone`:                 func(r *rig) { h, _, _ := r.one(has(flagWide)); delete(r.s.wide, h) },
		`its sets is not in order`: func(r *rig) {
			h, _, _ := r.one(has(flagWide))
			r.s.wide[h] = wide{holders: []uint16{71, 70}}
		},
		`this node is no holder`: func(r *rig) {
			_, _, c := r.one(func(_ *slot, c *copies) bool { return c != nil && c.flags == flagHas })
			c.holders &^= 1
		},
		`its body is gone`: func(r *rig) { _, j, _ := r.in(Queued); j.body += 1 << chunkBits << 8 },
		`or another's`: func(r *rig) {
			_, a, _ := r.in(Queued)
			_, b, _ := r.one(func(j *slot, _ *copies) bool { return j != a && j.bodyLen == a.bodyLen && j.flags&flagDelay == 0 })
			b.body = a.body
		},
		`large body 1 is nobody's`:       func(r *rig) { r.s.arena.allocLarge(maxShared + 1) },
		`1 chunks are nobody's`:          func(r *rig) { r.s.arena.alloc(4) },
		`the list of free chunks`:        func(r *rig) { r.s.arena.pages[0].free = 77 },
		`slab 0: the list of free slots`: func(r *rig) { r.s.slots.slabs[0].free = 1 },
		`slab 0: slot`:                   func(r *rig) { h, j, _ := r.one(leased); r.s.wheel.stop(h); *j = slot{} },
		`slots are live,`:                func(r *rig) { r.s.slots.live++; r.s.names["q"].refs++; r.s.index.count++ },
		`has no state or no queue`:       func(r *rig) { _, j, _ := r.in(Queued); j.queue = 99 },
		`is not in its place`:            func(r *rig) { r.s.names["w2"].waiters.first.queue = nil },
		`waiters are in line`:            func(r *rig) { r.s.names["w2"].waiters.len = 3 },
		`and looked at from`:             func(r *rig) { r.s.dummyNext = mostTime },
		`as of an unknown one`: func(r *rig) {
			h, _, _ := r.in(Queued)
			r.s.dummies[r.s.slots.get(h).id] = &dummy{etime: mostTime, ptime: mostTime}
		},
		`0 nodes wait for its jobs`: func(r *rig) { r.s.hungry["x"] = nil },
		`queue "x": node 1 waits`:   func(r *rig) { r.s.hungry["x"] = hunger{{1, 0}, {1, 0}} },
		`of another RETRY`:          func(r *rig) { _, j, _ := r.one(again); j.retry, j.qtime = 0, 0 },
		`never comes back`:          func(r *rig) { _, j, _ := r.one(leased); j.qtime = 0 },
		`may be evicted, and delivered`: func(r *rig) {
			h, j, _ := r.one(leased)
			j.flags |= flagSpent
			r.s.spent.Load(h)
		},
		`cannot be evicted`: func(r *rig) {
			h, _ := r.s.spent.PopMin()
			r.s.slots.get(h).flags &^= flagSpent
		},
		`it is queued, and was not`: func(r *rig) { _, j, _ := r.one(again); j.qtime = 0 },
		`queued again, at most once`: func(r *rig) {
			_, j, _ := r.one(func(j *slot, _ *copies) bool { return j.state == Queued && j.retry == 0 })
			j.flags |= flagDelivered
		},
		`no other node knows it`: func(r *rig) {
			h, j, _ := r.one(leased)
			r.s.count(h, -1)
			j.state, j.qtime = WaitRepl, 0
			r.s.count(h, 1)
		},
		`jobs are counted as`: func(r *rig) { r.s.names["q"].counts.Jobs[ClassDelayed]++ },
		`and has a body`: func(r *rig) {
			h, j, _ := r.in(Acked)
			j.bodyLen = 4
			j.body, _ = r.s.arena.alloc(4)
			r.s.used += int64(chunkSize(4))
			r.s.live.add(r.s.slots.home(h), 4)
		},
		`more to do than to tell`:      func(r *rig) { _, _, c := r.in(Acked); c.flags |= flagDrain },
		`nobody is to be told`:         func(r *rig) { _, _, c := r.in(Acked); c.confirmed |= c.holders },
		`copies that nobody makes`:     func(r *rig) { _, _, c := r.in(WaitRepl); c.flags &^= flagOrigin },
		`waits for copies that it has`: func(r *rig) { _, _, c := r.in(WaitRepl); c.sync = 0 },
		`and nobody makes them`: func(r *rig) {
			_, _, c := r.one(func(j *slot, c *copies) bool { return c != nil && j.state == Queued && c.flags&flagOrigin != 0 })
			c.ptime = 0
		},
		`its time away has no end`: func(r *rig) { _, _, c := r.one(has(flagMoved)); c.ptime = 0 },
		`and so does this one`:     func(r *rig) { _, _, c := r.one(shared); c.flags |= flagMoved; c.ptime = mostTime },
	}
	for says, spoil := range counts {
		r := verified(t)
		spoil(r)
		require.ErrorContains(t, r.s.VerifyCounts(), says)
		require.ErrorContains(t, r.s.Verify(r.now), says)
	}
	for says, spoil := range jobs {
		r := verified(t)
		require.NoError(t, r.s.VerifyCounts())
		spoil(r)
		require.ErrorContains(t, r.s.Verify(r.now), says)
	}
}

// Whatever is in the memory of a shard: Verify comes to an end.
func TestVerifyOfRubbish(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	found := 0
	const rounds = 1000
	for range rounds {
		r := verified(t)
		s := r.s
		sl, p := s.slots.slabs[0], s.arena.pages[0]
		spoil := []func(){
			func() { rubbish(rnd, sl.slot[:40]) },
			func() { rubbish(rnd, sl.copies[:40]) },
			func() { rubbish(rnd, s.index.cur.segs[0][:]) },
			func() { rubbish(rnd, s.wheel.head[:]) },
			func() { rubbish(rnd, s.wheel.set[:]) },
			func() { sl.free, sl.bump, sl.at = rnd.Uint32N(2000), rnd.Uint32N(2000), rnd.IntN(3)-1 },
			func() { p.class, p.free, p.at = uint8(rnd.Uint32()), uint16(rnd.Uint32()), rnd.IntN(3)-1 },
			func() { p.bump = uint16(rnd.Uint32()) },
			func() { s.wheel.cur = rnd.Int64() },
		}
		for range 1 + rnd.IntN(3) {
			spoil[rnd.IntN(len(spoil))]()
		}
		if s.Verify(r.now) != nil {
			found++
		}
	}
	require.Greater(t, found, rounds/2)
}

// rubbish changes a byte of values that hold no pointers.
func rubbish[T any](rnd *rand.Rand, values []T) {
	mem := unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(values)*int(unsafe.Sizeof(values[0])))
	mem[rnd.IntN(len(mem))] = byte(rnd.Uint32())
}
