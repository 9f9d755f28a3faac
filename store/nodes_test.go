package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Sets do what maps would.
func TestSets(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	some := func() (list []uint16, all map[uint16]bool) {
		all = map[uint16]bool{}
		for range rng.IntN(20) {
			n := uint16(rng.IntN(150))
			list, all[n] = append(list, n), true
		}
		return list, all
	}
	same := func(s Set, all map[uint16]bool) {
		t.Helper()
		require.Equal(t, len(all), s.Len())
		list := slices.Collect(s.Each)
		require.True(t, slices.IsSorted(list))
		for _, n := range list {
			require.True(t, all[n] && s.Has(n))
		}
	}
	for range 500 {
		a, inA := some()
		b, inB := some()
		x, y := SetOf(a...), SetOf(b...)
		union := x.Or(y)
		same(x, inA)
		same(y, inB)
		require.Equal(t, slices.Collect(union.Each), slices.Collect(y.Or(x).Each))
		for n := range inB {
			inA[n] = true
		}
		same(union, inA)
		require.True(t, x.In(union) && y.In(union))
		same(x.Or(Set{}), mapOf(a))
		same(Set{}.Or(x), mapOf(a))
	}
}

func mapOf(list []uint16) map[uint16]bool {
	all := map[uint16]bool{}
	for _, n := range list {
		all[n] = true
	}
	return all
}

// Who waits for jobs of a queue is remembered by its name, if that is short.
func TestLongNamesAreNotRemembered(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]uint8{LongName: FlagWaiting, LongName + 1: 0} {
		m := &Message{Kind: MsgNeedJobs, Flags: FlagWaiting, Count: 1, Queue: []byte(strings.Repeat("x", length))}
		got, err := DecodeMessage(m.Kind, appendMessage(nil, 0, m, &listRoll{{1}}), &listRoll{{1}})
		require.NoError(t, err)
		require.Equal(t, want, got.Flags)
		require.Equal(t, m.Queue, got.Queue)
	}
}

// The end of a pause goes to the nodes that were told of the pause, though their
// links have become silent meanwhile.
func TestPauseIsToldToSilentLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.s.SetView(&View{Known: SetOf(1, 2), Reachable: SetOf(1), Linked: SetOf(1)})
	for _, p := range []Pause{PauseOut, 0} {
		require.NoError(t, r.s.SetPause(r.now, []byte("q"), p, true, &r.fx))
		require.Len(t, r.fx.Outbox.Mail, 1)
		require.Equal(t, SetOf(1, 2), r.fx.Outbox.Mail[0].To)
		r.fx.Outbox.Reset()
	}
}
