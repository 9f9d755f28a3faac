package store

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// steady returns the steps of a job's life on a shard whose queue holds as many
// jobs: in memory, no other nodes.
func steady(t testing.TB, jobs int) (add, get, ack func()) {
	r := newRig(t)
	spec := r.spec("queue", string(make([]byte, 128)))
	var last ID
	take := func(j *Job) bool { last = j.ID; return true }
	add = func() {
		spec.ID = NewID(7, [2]uint64{r.rnd.Uint64(), r.rnd.Uint64()}, [4]byte{}, 86400, false)
		_, _ = r.s.Add(r.now, spec, &r.fx)
	}
	get = func() { _, _ = r.s.Fetch(r.now, spec.Queue, 1, &r.fx, take) }
	ack = func() { r.s.Ack(r.now, &last, &r.fx) }
	for range jobs {
		add()
	}
	return add, get, ack
}

// BenchmarkShard is the life of a 128-byte job in a shard that holds a million.
func BenchmarkShard(b *testing.B) {
	add, get, ack := steady(b, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		add()
		get()
		ack()
	}
}

// A job's life makes no garbage: bodies, slots and entries of the index take the
// places of those that went.
func TestShardAllocatesNothing(t *testing.T) {
	add, get, ack := steady(t, 20_000)
	life := func() { add(); get(); ack() }
	for range 40_000 {
		life()
	}
	require.Zero(t, testing.AllocsPerRun(10_000, life))
	require.Zero(t, testing.AllocsPerRun(5_000, add), "one more: the body and its slot, a page and a slab at a time")
	require.Zero(t, testing.AllocsPerRun(5_000, func() { get(); ack() }), "one less")
}

// BenchmarkIndex finds, inserts and removes among so many entries.
func BenchmarkIndex(b *testing.B) {
	for _, entries := range []int{1_000, 1_000_000} {
		b.Run(strconv.Itoa(entries), func(b *testing.B) {
			r := newRig(b)
			x := newIndex(&r.s.slots)
			var ids []ID
			for range entries {
				id := r.id("queue", false)
				x.take(id)
				ids = append(ids, id)
			}
			b.ReportAllocs()
			for b.Loop() {
				id := &ids[r.rnd.IntN(entries)]
				h := x.find(id)
				x.remove(id)
				x.insert(h)
			}
		})
	}
}
