package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestSlotSize(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, slotSize, unsafe.Sizeof(slot{}))
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for n := 1; n <= maxShared; n++ {
		c := classOf(n)
		require.Less(t, c, numClasses)
		require.GreaterOrEqual(t, classSize(c), n)
		if c > 0 {
			require.Less(t, classSize(c-1), n, "%d bytes fit a smaller class", n)
		}
		if n > 128 {
			require.LessOrEqual(t, float64(classSize(c)-n), float64(classSize(c))/8+1)
		}
	}
	require.Equal(t, maxShared, classSize(numClasses-1))
}

// Bodies of all sizes come and go; none is overwritten, and memory goes back.
func TestArena(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var a arena
	type chunk struct {
		ref  uint32
		n    int
		fill byte
	}
	var live []chunk
	free := func(i int) {
		got := a.get(live[i].ref, live[i].n)
		require.Len(t, got, live[i].n)
		require.Equal(t, len(got), bytes.Count(got, []byte{live[i].fill}), "overwritten")
		a.release(live[i].ref)
		live = slices.Delete(live, i, i+1)
	}
	for step := range 30_000 {
		if len(live) > 0 && rnd.IntN(100) < 48 {
			free(rnd.IntN(len(live)))
			continue
		}
		n := rnd.IntN(300)
		if rnd.IntN(10) == 0 {
			n = rnd.IntN(2 * maxShared)
		}
		ref, mem := a.alloc(n)
		require.Len(t, mem, n)
		require.Equal(t, n == 0, ref == 0)
		for i := range mem {
			mem[i] = byte(step)
		}
		live = append(live, chunk{ref, n, byte(step)})
	}
	for len(live) > 0 {
		free(len(live) - 1)
	}
	kept := 0
	for _, p := range a.pages {
		if p != nil {
			kept++
		}
	}
	require.LessOrEqual(t, kept, numClasses, "at most one empty page a class")
}

// take gives an id a slot, and an entry.
func (x *index) take(id ID) uint32 {
	h, j := x.slots.alloc()
	j.id = id
	x.insert(h)
	return h
}

// The index agrees with a map while it grows and shrinks.
func TestIndex(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	var s slots
	x := newIndex(&s)
	model := map[ID]uint32{}
	var ids []ID
	for _, target := range []int{20_000, 10, 3_000, 0} {
		for len(ids) != target {
			if len(ids) < target {
				id := NewID(7, [2]uint64{rnd.Uint64(), rnd.Uint64()}, [4]byte{}, 60, false)
				model[id] = x.take(id)
				ids = append(ids, id)
			} else {
				i := rnd.IntN(len(ids))
				id := ids[i]
				ids[i] = ids[len(ids)-1]
				ids = ids[:len(ids)-1]
				require.Equal(t, model[id], x.find(&id))
				x.remove(&id)
				s.release(model[id])
				delete(model, id)
				require.Zero(t, x.find(&id))
			}
			if len(ids) > 0 {
				id := ids[rnd.IntN(len(ids))]
				require.Equal(t, model[id], x.find(&id))
			}
		}
		for id, h := range model {
			require.Equal(t, h, x.find(&id))
		}
		require.NoError(t, x.verify())
		require.Equal(t, len(ids), s.live)
	}
	require.LessOrEqual(t, x.cur.n+x.old.n, 3*segBuckets, "an empty index is small")
	require.LessOrEqual(t, len(s.slabs)-len(s.free), 1, "empty slabs were handed back")
}

// Ids with the same hash, the least and the highest among them, stand behind each
// other and beyond the end of the table.
func TestIndexOfEqualHashes(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	var s slots
	x := newIndex(&s)
	model := map[ID]uint32{}
	for round := range 4000 {
		if growing := round/1000%2 == 0; growing || len(model) == 0 {
			id := NewID(7, [2]uint64{rnd.Uint64(), rnd.Uint64()}, [4]byte{}, 60, false)
			sum := []uint32{0, 1 << 31, ^uint32(0), rnd.Uint32()}[rnd.IntN(4)]
			binary.LittleEndian.PutUint32(id[idRand+4:], sum)
			require.Equal(t, sum, id.sum())
			model[id] = x.take(id)
		} else {
			for id, h := range model {
				x.remove(&id)
				s.release(h)
				delete(model, id)
				require.Zero(t, x.find(&id))
				break
			}
		}
		if round%20 == 0 {
			for id, h := range model {
				require.Equal(t, h, x.find(&id))
			}
			require.NoError(t, x.verify())
		}
	}
}

// The wheel fires every timer at its time, in order, as a sorted list would.
func TestWheelAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 5))
			now := int64(1_700_000_000_000) + rnd.Int64N(1<<20)
			var s slots
			w := wheel{slots: &s, cur: now}
			due := map[uint32]int64{}
			add := func() {
				h, j := s.alloc()
				j.id[0], j.state = 1, Queued
				j.etime = now + rnd.Int64N(1<<uint(1+rnd.IntN(40)))
				due[h] = j.etime
				w.start(h)
			}
			for range 1_500 {
				for range rnd.IntN(4) {
					add()
				}
				if rnd.IntN(3) == 0 {
					for h := range due {
						w.stop(h)
						delete(due, h)
						s.release(h)
						break
					}
				}
				now += rnd.Int64N(1 << uint(1+rnd.IntN(24)))
				last := int64(0)
				for {
					more := w.advance(now, 1+rnd.IntN(5), func(h uint32) {
						at, ok := due[h]
						require.True(t, ok, "fired a stopped timer")
						require.LessOrEqual(t, at, now, "fired early")
						require.GreaterOrEqual(t, w.cur, last)
						last = w.cur
						delete(due, h)
						s.release(h)
					})
					if !more {
						break
					}
				}
				first, ok := w.next()
				require.Equal(t, len(due) > 0, ok)
				for _, at := range due {
					if at <= now || first > at {
						require.Greater(t, at, now, "a due timer did not fire")
						require.LessOrEqual(t, first, at, "next is after a timer")
					}
				}
			}
		})
	}
}
