package store

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// sound holds what must be true of the jobs of a shard that has peers.
func sound(t testing.TB, s *Shard, now int64) {
	t.Helper()
	wides, adders := 0, 0
	for h := uint32(1); h < s.slots.limit(); h++ {
		if s.slots.slabs[(h-1)/slabSlots] == nil || !s.slots.has(h) {
			continue
		}
		j, c := s.slots.get(h), s.slots.copies(h)
		say := fmt.Sprintf("%s %+v %+v", j.id, *j, c)
		if s.adders[h] != nil {
			adders++
			require.Equal(t, WaitRepl, j.state, say)
		}
		if _, ok := s.wide[h]; ok {
			wides++
			require.NotNil(t, c, say)
			require.NotZero(t, c.flags&flagWide, say)
		}
		require.True(t, s.holders(h).Has(Self) || c.flags&flagExternal != 0, say)
		if j.state == Active && j.retry > 0 {
			require.NotZero(t, j.qtime, say)
		}
		if j.retry == 0 && j.state == Active && j.qtime != 0 {
			require.Zero(t, j.flags&flagDelivered, say)
		}
		if j.retry > 0 {
			require.Zero(t, j.flags&flagSpent, say)
		} else if j.state == Active {
			require.Equal(t, j.flags&flagDelivered != 0, j.flags&flagSpent != 0, say)
		}
		switch {
		case c == nil:
			require.NotEqual(t, Acked, j.state, say)
			require.NotEqual(t, WaitRepl, j.state, say)
			continue
		case j.state == Acked:
			require.Zero(t, c.flags&(flagOrigin|flagMoved|flagDrain), say)
			require.NotZero(t, c.ptime, say)
			require.Zero(t, j.bodyLen, say)
			require.False(t, s.others(h).Empty(), say)
		case j.state == WaitRepl:
			require.NotZero(t, c.flags&flagOrigin, say)
		}
		if c.flags&(flagDrain|flagMoved) != 0 {
			require.NotZero(t, c.ptime, say)
		}
		if c.flags&flagOrigin != 0 {
			require.True(t, c.ptime != 0 || s.owing, say)
		}
		if c.flags&flagMoved != 0 {
			require.Zero(t, j.retry, say)
			require.Equal(t, Active, j.state, say)
			require.NotZero(t, j.flags&flagDelivered, say)
		}
	}
	require.Equal(t, len(s.adders), adders, "adders of jobs that are gone")
	require.Equal(t, len(s.wide), wides, "wide sets of jobs that are gone")
	wheelSound(t, s)
	for _, n := range s.live.bytes {
		require.GreaterOrEqual(t, n, int64(0))
	}
}

// wheelSound holds that each job is on the wheel, in no later place than its
// deadline.
func wheelSound(t testing.TB, s *Shard) {
	t.Helper()
	w, timers := &s.wheel, 0
	for b := range numBuckets {
		at := w.cur
		if b != dueBucket {
			level := b >> wheelBits
			shift := level * wheelBits
			at = w.cur>>(shift+wheelBits)<<(shift+wheelBits) | int64(b&wheelMask)<<shift
			require.Equal(t, w.head[b] != 0, w.set[level]>>(b&wheelMask)&1 != 0)
		}
		for h := w.head[b]; h != 0; h = s.slots.get(h).next {
			timers++
			require.LessOrEqual(t, at, max(w.cur, s.slots.deadline(h)), "a deadline changed on the wheel: %+v", *s.slots.get(h))
		}
	}
	require.Equal(t, s.slots.live, timers)
}
