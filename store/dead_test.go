package store

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestTermsSize(t *testing.T) { require.EqualValues(t, termsSize, unsafe.Sizeof(terms{})) }

// tried is a job that dies after so many tries, with a back-off in seconds.
func (r *rig) tried(body string, limit uint16, base, most uint32) ID {
	spec := r.spec("q", body)
	spec.Retry = 10
	spec.Terms = &Terms{Priority: DefaultPriority, Limit: limit, Base: base, Most: most}
	return r.add(spec)
}

func (r *rig) nack(id ID, how *Refusal) bool {
	ok := r.s.Nack(r.now, &id, how, &r.fx)
	r.check()
	return ok
}

// Deliveries that are given back and leases that run out count alike; those that
// never reached a client, and what a client queues, do not.
func TestDeath(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.tried("x", 3, 0, 0)
	r.fetch("q", 1)
	require.True(t, r.nack(id, &Refusal{Delay: -1, Reason: []byte("no route")}))
	require.EqualValues(t, 1, r.get(id).Terms.Tries)
	r.fetch("q", 1)
	j := r.get(id)
	require.True(t, r.s.Return(r.now, &id, j.NextQueue, j.Turn, &r.fx))
	r.fetch("q", 1)
	require.True(t, r.s.Enqueue(r.now, &id, &r.fx))
	require.EqualValues(t, 1, r.get(id).Terms.Tries)
	r.fetch("q", 1)
	r.pass(10)
	require.Equal(t, Queued, r.get(id).State)
	require.EqualValues(t, 2, r.get(id).Terms.Tries)
	require.False(t, r.nack(id, nil), "it is queued")
	r.fetch("q", 1)
	r.pass(10)
	j = r.get(id)
	require.Equal(t, Dead, j.State)
	require.EqualValues(t, 3, j.Terms.Tries)
	require.EqualValues(t, 1, j.Terms.Generation)
	require.Equal(t, "no route", string(j.Terms.Reason))
	require.EqualValues(t, 1, j.Nacks)
	r.pass(1000)
	require.Empty(t, r.fetch("q", 1))
	for name, refused := range map[string]bool{
		"NACK": r.nack(id, nil), "ENQUEUE": r.s.Enqueue(r.now, &id, &r.fx), "BURY": r.s.Bury(r.now, &id, nil, &r.fx), "DEQUEUE": r.s.Dequeue(r.now, &id, &r.fx),
	} {
		require.False(t, refused, name)
	}
	require.ErrorIs(t, second2(r.s.Working(r.now, &id, &r.fx)), ErrNoJob)
	r.s.Sweep(r.now+1<<40, 1000, 100)
	st, ok := r.s.Stat(r.now, []byte("q"))
	require.True(t, ok, "a queue with dead jobs stays")
	require.Equal(t, 1, st.Counts.Jobs[ClassDead])
	require.EqualValues(t, 1, st.Counts.Events[EventDied])
	require.EqualValues(t, 2, st.Counts.Events[EventRetried], "the last one, which led to death, is one, too")

	require.Equal(t, 1, r.kick("q", 10))
	r.check()
	j = r.get(id)
	require.Equal(t, Queued, j.State)
	require.Zero(t, int(j.Terms.Tries)+int(j.Nacks)+int(j.Extra))
	require.Equal(t, "no route", string(j.Terms.Reason))
	require.Zero(t, r.kick("q", 10))
	require.False(t, r.s.KickJob(r.now, &id, &r.fx))
	require.Equal(t, []string{"x"}, r.fetch("q", 1))
	require.True(t, r.s.Ack(r.now, &id, &r.fx))
	require.Zero(t, r.s.Jobs())
}

func second2(_ uint32, err error) error { return err }

// A dead job lives to the end of its TTL, may be acknowledged and deleted, and
// leaves nothing behind.
func TestEndsOfTheDead(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, id ID){
		"TTL":    func(r *rig, _ ID) { r.pass(86400) },
		"ACKJOB": func(r *rig, id ID) { require.True(t, r.s.Ack(r.now, &id, &r.fx)) },
		"DELJOB": func(r *rig, id ID) { require.True(t, r.s.Delete(r.now, &id, &r.fx)) },
		"purge":  func(r *rig, _ ID) { require.Equal(t, 1, r.purge("q", ClassDead.Of())) },
		"flush":  func(r *rig, _ ID) { r.s.Flush(r.now, 0, 1<<16-1, &r.fx) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			id := r.add(r.spec("q", "x"))
			require.True(t, r.s.Bury(r.now, &id, []byte(strings.Repeat("r", MaxReason)), &r.fx))
			r.check()
			require.Equal(t, MaxReason, len(r.get(id).Terms.Reason))
			end(r, id)
			r.check()
			r.s.Sweep(r.now+1<<40, 1000, 100)
			require.Zero(t, r.s.Jobs())
			require.Zero(t, r.s.Used())
		})
	}
}

// The k-th failed try waits base*2^(k-1) seconds, at most the longest, within a
// tenth; the delay of a NACK goes before it.
func TestBackOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.tried("x", 0, 2, 30)
	for k, want := range []int64{2, 4, 8, 16, 30, 30, 30} {
		require.Equal(t, []string{"x"}, r.fetch("q", 1))
		if k%2 == 0 {
			require.True(t, r.nack(id, nil))
		} else {
			r.pass(10)
		}
		j := r.get(id)
		require.Equal(t, Active, j.State)
		require.True(t, j.Terms.Held)
		require.InDelta(t, want*1000, j.NextQueue-r.now, float64(want*100))
		require.False(t, r.nack(id, nil), "it waits already")
		st, _ := r.s.Stat(r.now, []byte("q"))
		require.Equal(t, 1, st.Counts.Jobs[ClassDelayed])
		r.pass(float64(want) * 1.1)
		require.Equal(t, Queued, r.get(id).State)
	}
	require.EqualValues(t, 4, r.get(id).Nacks)
	require.EqualValues(t, 3, r.get(id).Extra)
	r.fetch("q", 1)
	require.True(t, r.nack(id, &Refusal{Delay: 100}))
	require.Equal(t, r.now+100_000, r.get(id).NextQueue)
	require.True(t, r.nack(id, &Refusal{Delay: 1}), "another delay")
	require.Equal(t, r.now+1000, r.get(id).NextQueue)
	require.True(t, r.nack(id, &Refusal{}), "none")
	require.Equal(t, Queued, r.get(id).State)
	require.EqualValues(t, 8, r.get(id).Terms.Tries, "it was delivered once")
	r.fetch("q", 1)
	require.True(t, r.nack(id, nil))
	require.True(t, r.s.Enqueue(r.now, &id, &r.fx), "a client's word ends the wait")
	require.Equal(t, Queued, r.get(id).State)
}

// An at-most-once job can be buried until it is delivered, and is not delivered
// again however it is kicked.
func TestBuryAtMostOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	spec := r.spec("q", "x")
	spec.Retry = 0
	id := r.add(spec)
	require.True(t, r.s.Bury(r.now, &id, nil, &r.fx))
	r.check()
	require.Empty(t, r.fetch("q", 1))
	require.True(t, r.s.KickJob(r.now, &id, &r.fx))
	require.Equal(t, []string{"x"}, r.fetch("q", 1))
	require.False(t, r.s.Bury(r.now, &id, nil, &r.fx))
	require.False(t, r.nack(id, &Refusal{Delay: 5}))
	require.False(t, r.s.KickJob(r.now, &id, &r.fx))
}

// An at-most-once job that a log says is dead, though it may have been put back
// and delivered since, is not delivered again.
func TestDeadAndDoubtful(t *testing.T) {
	t.Parallel()
	for _, complete := range []bool{true, false} {
		l := newLogRig(t, 1)
		spec := l.spec("q", "x")
		spec.Retry = 0
		id := l.add(spec)
		require.True(t, l.s.Bury(l.now, &id, nil, &l.fx))
		l.take()
		fresh, sum := l.restart(Trust{Complete: complete})
		if complete {
			require.Equal(t, Dead, fresh.get(id).State)
			require.Equal(t, 1, fresh.kick("q", 5))
			require.Equal(t, []string{"x"}, fresh.fetch("q", 1))
			continue
		}
		require.Equal(t, 1, sum.Doubtful)
		require.Zero(t, fresh.kick("q", 5))
		require.Empty(t, fresh.fetch("q", 1))
	}
}

// Reasons live in the log like bodies: once all is rewritten nothing is garbage.
func TestReasonsAreCounted(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, 1)
	for i := range 50 {
		id := l.add(l.spec("q", fmt.Sprint(i)))
		require.True(t, l.s.Bury(l.now, &id, []byte(strings.Repeat("r", 10*i)), &l.fx))
	}
	l.take()
	l.rewrite()
	written := int64(0)
	for _, rec := range l.segments[0] {
		written += int64(len(rec))
	}
	require.InDelta(t, written, l.live()[l.head()], 50*8)
	l.check()
}

func TestKickIsOldestFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []ID
	for i := range 20 {
		ids = append(ids, r.add(r.ranked("q", fmt.Sprint(i), uint32(DefaultPriority-i%3))))
	}
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(20) {
		require.True(t, r.s.Bury(r.now, &ids[i], nil, &r.fx))
	}
	r.check()
	require.Equal(t, 4, r.kick("q", 4))
	require.Equal(t, []string{"2", "1", "0", "3"}, r.fetch("q", 10))
	require.Equal(t, 16, r.kick("q", 100))
	require.Zero(t, r.kick("nosuch", 100))
}

func (r *rig) kick(queue string, n int) int {
	done, _ := r.s.Kick(r.now, []byte(queue), 0, n, &r.fx)
	r.check()
	return done
}

func (r *rig) purge(queue string, which Classes) (deleted int) {
	for pos := int64(0); pos >= 0; {
		k := 0
		pos, k = r.s.Purge(r.now, []byte(queue), which, r.s.Newest(r.now, true), pos, 7, &r.fx)
		deleted += k
	}
	r.check()
	return deleted
}

func TestPurge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fill := func() {
		for i := range 30 {
			spec := r.ranked("q", fmt.Sprint(i), uint32(DefaultPriority+i%5-2))
			spec.Delay = uint32(i % 2 * 100)
			id := r.add(spec)
			if i%6 == 0 {
				require.True(t, r.s.Bury(r.now, &id, nil, &r.fx))
			}
		}
		r.fetch("q", 4)
	}
	other := r.add(r.spec("other", "x"))
	fill()
	require.Equal(t, 5, r.purge("q", ClassDead.Of()))
	require.Equal(t, 6, r.purge("q", ClassQueued.Of()))
	require.Equal(t, 15, r.purge("q", ClassDelayed.Of()))
	require.Equal(t, 4, r.purge("q", ClassActive.Of()))
	require.Equal(t, 1, r.s.Jobs())
	fill()
	require.Equal(t, 30, r.purge("q", Purgeable))
	require.Zero(t, r.purge("nosuch", Purgeable))
	require.Equal(t, Queued, r.get(other).State)
	fill()
	r.now += 10
	late := r.add(r.spec("q", "late"))
	pos, deleted := r.s.Purge(r.now, []byte("q"), Purgeable, (r.now-10)*1e6+999_999, 0, 1000, &r.fx)
	require.Negative(t, pos)
	require.Equal(t, 30, deleted)
	require.Equal(t, Queued, r.get(late).State)
	st, _ := r.s.Stat(r.now, []byte("q"))
	require.EqualValues(t, 90, st.Counts.Events[EventPurged])
}

// What a log says of terms, deaths and delays is what a restart makes of it, from
// the records as they came, and rewritten.
func TestTermsAreLogged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		l := newLogRig(t, seed)
		var ids []ID
		for i := range 60 {
			spec := l.ranked("q", fmt.Sprint(i), uint32(DefaultPriority+i%3-1))
			if i%2 == 0 {
				spec.Terms = &Terms{Priority: uint32(i), Limit: uint16(i % 4), Base: uint32(i % 3), Most: uint32(i % 3 * 4)}
			}
			ids = append(ids, l.add(spec))
			l.take()
		}
		for range 400 {
			id := ids[l.rnd.IntN(len(ids))]
			switch l.rnd.IntN(8) {
			case 0:
				l.s.Bury(l.now, &id, []byte(fmt.Sprint("because ", l.rnd.IntN(100))), &l.fx)
			case 1:
				l.s.KickJob(l.now, &id, &l.fx)
			case 2, 3:
				l.s.Nack(l.now, &id, &Refusal{Delay: int64(l.rnd.IntN(100) - 50), Reason: []byte("n")}, &l.fx)
			case 4:
				l.s.Promote(l.now, &id, l.rnd.Uint32N(2000), &l.fx)
			case 5:
				l.pass(1)
			default:
				l.fetch("q", 2)
			}
			l.take()
			if l.rnd.IntN(50) == 0 {
				l.rotate()
			}
		}
		l.s.Nack(l.now, &ids[0], nil, &l.fx)
		l.take()
		for _, rewritten := range []bool{false, true} {
			if rewritten {
				l.rewrite()
			}
			fresh, _ := l.restart(Trust{Complete: true})
			for _, id := range ids {
				want, got := l.get(id), fresh.get(id)
				require.Equal(t, want.State, got.State, id)
				require.Equal(t, want.Terms == nil, got.Terms == nil)
				if want.Terms == nil {
					continue
				}
				a, b := *want.Terms, *got.Terms
				require.Equal(t, string(a.Reason), string(b.Reason))
				a.Reason, b.Reason = nil, nil
				require.Equal(t, a, b)
			}
		}
	}
}
