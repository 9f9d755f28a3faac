package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// logRig is a rig whose shard journals into segments kept in memory.
type logRig struct {
	*rig
	first    uint32
	segments [][][]byte // records of segment first+i
}

func newLogRig(t testing.TB, seed uint64) *logRig {
	l := &logRig{rig: newRig(t), first: 3}
	l.rnd = rand.New(rand.NewPCG(seed, 5))
	l.s.limits.Roll = &listRoll{{1}, {2}, {3}}
	l.s.SetView(peers)
	l.rotate()
	return l
}

// peers is a view of two other nodes.
var peers = &View{Known: SetOf(1, 2), Reachable: SetOf(1, 2), Linked: SetOf(1, 2), Terms: SetOf(1, 2)}

func (l *logRig) head() uint32 { return l.first + uint32(len(l.segments)) - 1 }

func (l *logRig) rotate() {
	l.segments = append(l.segments, nil)
	l.s.Attach(1, l.head())
}

// take appends what was journalled to the newest segment.
func (l *logRig) take() (records int) {
	start := 0
	last := len(l.segments) - 1
	for _, end := range l.fx.Journal.Ends {
		l.segments[last] = append(l.segments[last], append([]byte(nil), l.fx.Journal.Buf[start:end]...))
		start = end
	}
	records = len(l.fx.Journal.Ends)
	l.fx.Journal.Reset()
	return records
}

// live sums what the shard says, by segment.
func (l *logRig) live() map[uint32]int64 {
	m := map[uint32]int64{}
	l.s.Live(func(segment uint32, bytes int64) { m[segment] = bytes })
	return m
}

// reclaim drops the oldest segments while nothing is live in them.
func (l *logRig) reclaim() {
	for live := l.live(); len(l.segments) > 1 && live[l.first] == 0; l.first++ {
		l.segments = l.segments[1:]
	}
}

// rewrite makes all segments but the newest needless.
func (l *logRig) rewrite() {
	l.rotate()
	room := 64
	for pos := int64(0); pos >= 0; {
		next, need := l.s.Rewrite(pos, 1+l.rnd.IntN(50), l.head(), room, &l.fx)
		require.LessOrEqual(l.t, len(l.fx.Journal.Buf), room)
		l.take()
		if need > 0 {
			require.Greater(l.t, need, room)
			room = need
		}
		pos = next
	}
	l.reclaim()
	require.Len(l.t, l.segments, 1)
}

// restart returns a shard made of the segments.
func (l *logRig) restart(trust Trust) (*rig, Settled) {
	fresh := &rig{t: l.t, s: NewShard(l.now, Limits{Roll: l.s.limits.Roll}), now: l.now, rnd: l.rnd}
	fresh.s.SetView(peers)
	for i, segment := range l.segments {
		for _, rec := range segment {
			require.NoError(l.t, fresh.s.Replay(rec, l.first+uint32(i)))
		}
	}
	fresh.s.Attach(1, l.head())
	var sum Settled
	for pos := int64(0); pos >= 0; {
		pos = fresh.s.Settle(l.now, pos, 7, trust, &fresh.fx, &sum)
	}
	fresh.check()
	return fresh, sum
}

// same compares what users can see of two shards.
func (l *logRig) same(fresh *rig) {
	l.t.Helper()
	require.Equal(l.t, l.s.slots.live, fresh.s.slots.live)
	require.Equal(l.t, l.live(), (&logRig{rig: fresh}).live())
	for h := uint32(1); h < l.s.slots.limit(); h++ {
		if l.s.slots.slabs[(h-1)/slabSlots] == nil || !l.s.slots.has(h) {
			continue
		}
		want := *l.s.look(h)
		got := fresh.get(want.ID)
		want.Turn, got.Turn = 0, 0
		if want.State == Queued || want.Holders.Len() > 1 && want.NextQueue < l.now+rejoin && want.Retry > 0 {
			want.NextQueue, got.NextQueue = 0, 0
		}
		require.Equal(l.t, want, got)
		a, b := l.s.slots.get(h), fresh.s.slots.get(fresh.s.index.find(&want.ID))
		require.Equal(l.t, a.flags&(keptFlags|flagSpent), b.flags&(keptFlags|flagSpent))
	}
	for _, q := range l.s.queues {
		if q != nil {
			require.Equal(l.t, q.pause, fresh.s.PauseState([]byte(q.name)), q.name)
			require.Equal(l.t, l.s.Len([]byte(q.name)), fresh.s.Len([]byte(q.name)))
		}
	}
}

// The kinds of steps; jobSteps leave the log as it is.
const jobSteps, allSteps = 15, 16

// step does something at random.
func (l *logRig) step(kinds int, known *[]ID) {
	name := []byte(fmt.Sprint("q", l.rnd.IntN(4)))
	var id ID
	if len(*known) > 0 {
		id = (*known)[l.rnd.IntN(len(*known))]
	}
	switch l.rnd.IntN(kinds) {
	case 0, 1, 2, 3:
		spec := l.spec(string(name), fmt.Sprintf("%0*d", l.rnd.IntN(90), 7))
		spec.Retry, spec.Repl = uint32(l.rnd.IntN(3)*20), uint16(1+l.rnd.IntN(2))
		spec.Delay, spec.TTL = uint32(l.rnd.IntN(2)*l.rnd.IntN(50)), uint32(100+l.rnd.IntN(1000))
		spec.ID = l.id(string(name), spec.Retry == 0)
		if _, err := l.s.Add(l.now, spec, &l.fx); err == nil {
			*known = append(*known, spec.ID)
		}
	case 4, 5:
		lease, turn, last := int64(0), uint8(0), ID{}
		_, err := l.s.Fetch(l.now, name, 1+l.rnd.IntN(4), &l.fx, func(j *Job) bool {
			lease, turn, last = j.NextQueue, j.Turn, j.ID
			return true
		})
		require.NoError(l.t, err)
		if l.rnd.IntN(3) == 0 {
			l.s.Return(l.now, &last, lease, turn, &l.fx)
		}
	case 6:
		l.s.Ack(l.now, &id, &l.fx)
	case 7:
		l.s.Nack(l.now, &id, nil, &l.fx)
	case 8:
		l.s.Enqueue(l.now, &id, &l.fx)
	case 9:
		l.s.Dequeue(l.now, &id, &l.fx)
	case 10:
		_, _ = l.s.Working(l.now, &id, &l.fx)
	case 11:
		require.NoError(l.t, l.s.SetPause(l.now, name, Pause(l.rnd.IntN(4)), false, &l.fx))
	case 12:
		l.now += l.rnd.Int64N(10_000)
		for l.s.Tick(l.now, 5, &l.fx) {
		}
	case 13:
		l.s.Evict(l.now, l.rnd.IntN(2), &l.fx)
	case 14:
		l.s.Delete(l.now, &id, &l.fx)
	case 15:
		switch l.rnd.IntN(20) {
		case 0:
			l.s.Flush(l.now, 0, 65535, &l.fx)
			*known = nil
		case 1:
			l.rewrite()
		case 2, 3, 4:
			l.rotate()
			l.reclaim()
		}
	}
	l.take()
}

// Whatever is done, and however segments come and go: what is read back is what
// was there.
func TestJournalRestoresEverything(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			l := newLogRig(t, seed)
			var known []ID
			for step := range 3000 {
				l.step(allSteps, &known)
				if step%53 == 0 {
					l.rig.check()
					for l.s.Tick(l.now, 100, &l.fx) {
					}
					l.take()
					fresh, sum := l.restart(Trust{Complete: true, QueueAll: true})
					require.Zero(t, sum.Doubtful)
					l.same(fresh)
				}
			}
			l.s.Flush(l.now, 0, 65535, &l.fx)
			require.Equal(t, 1, l.take())
			require.Empty(t, l.live())
			fresh, _ := l.restart(Trust{})
			require.Zero(t, fresh.s.Jobs())
		})
	}
}

// An image that is taken while jobs change is what they are at its end.
func TestImageWhileJobsChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		l := newLogRig(t, seed)
		l.s.Detach()
		var known []ID
		work := func(n int) {
			for range n {
				l.step(jobSteps, &known)
			}
		}
		work(300)
		require.Empty(t, l.segments[0], "the log is off")
		l.first, l.segments = 100, [][][]byte{nil}
		l.s.Attach(100, 100)
		below := uint32(100)
		for pos := int64(0); pos >= 0; {
			pos, _ = l.s.Rewrite(pos, 3, below, 1<<20, &l.fx)
			l.take()
			work(l.rnd.IntN(3))
		}
		for l.s.Tick(l.now, 100, &l.fx) {
		}
		l.take()
		fresh, _ := l.restart(Trust{Complete: true, QueueAll: true})
		l.same(fresh)
	}
}

// What is not known to have stayed undelivered is not delivered again.
func TestDoubtfulJobs(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, 1)
	once, delayed, again := l.spec("q", "once"), l.spec("q", "delayed"), l.spec("q", "again")
	once.Retry, delayed.Retry, delayed.Delay = 0, 0, 50
	for _, spec := range []*Spec{once, delayed, again} {
		l.add(spec)
		l.take()
	}
	fresh, sum := l.restart(Trust{})
	require.Equal(t, Settled{Jobs: 3, Queued: 1, Doubtful: 2}, sum)
	require.Len(t, fresh.fx.Journal.Ends, 2, "the next restart must know")
	require.Equal(t, []string{"again"}, fresh.fetch("q", 9))
	fresh.pass(60)
	require.Empty(t, fresh.fetch("q", 9))
	require.Equal(t, 2, fresh.s.Evict(fresh.now, 9, &fresh.fx))

	fresh, sum = l.restart(Trust{Complete: true})
	require.Equal(t, Settled{Jobs: 3, Queued: 2}, sum)
	require.Equal(t, []string{"once", "again"}, fresh.fetch("q", 9))
	fresh.pass(60)
	require.Equal(t, []string{"delayed"}, fresh.fetch("q", 9))
}

// A job that others hold too waits for its retry clock, which began when it
// was queued.
func TestReplicatedJobWaits(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, 1)
	spec := l.spec("q", "shared")
	spec.Repl, spec.Retry = 2, 30
	l.add(spec)
	l.take()
	l.now += 20_000
	fresh, _ := l.restart(Trust{Complete: true})
	require.Empty(t, fresh.fetch("q", 1))
	fresh.pass(9)
	require.Empty(t, fresh.fetch("q", 1))
	fresh.pass(0.6) // the others are asked
	fresh.pass(0.5)
	require.Equal(t, []string{"shared"}, fresh.fetch("q", 1))

	require.True(t, l.s.Ack(l.now, &spec.ID, &l.fx))
	require.False(t, l.s.Ack(l.now, &spec.ID, &l.fx))
	require.Equal(t, Acked, l.get(spec.ID).State)
	l.take()
	l.rewrite()
	fresh, _ = l.restart(Trust{})
	require.Equal(t, Acked, fresh.get(spec.ID).State)
	fresh.pass(100)
	require.Empty(t, fresh.fetch("q", 1))
	_, err := fresh.s.Working(fresh.now, &spec.ID, &fresh.fx)
	require.ErrorIs(t, err, ErrNoJob)
	fresh.pass(86400)
	require.Zero(t, fresh.s.Jobs(), "its TTL is over")
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, 1)
	l.add(l.spec("q", "body"))
	l.fetch("q", 1)
	require.NoError(t, l.s.SetPause(l.now, []byte("q"), PauseIn, false, &l.fx))
	l.s.Flush(l.now, 3, 9, &l.fx)
	require.Equal(t, 4, l.take())
	for _, rec := range l.segments[0] {
		fresh := NewShard(t0, Limits{Roll: &listRoll{{1}}})
		require.NoError(t, fresh.Replay(rec, 1))
		require.ErrorIs(t, fresh.Replay(append([]byte{99}, rec[1:]...), 1), ErrCorrupt)
		require.ErrorIs(t, fresh.Replay(nil, 1), ErrCorrupt)
		if rec[0] != recQueue {
			require.ErrorIs(t, fresh.Replay(rec[:len(rec)-1], 1), ErrCorrupt)
		}
	}
	bad := []byte{recQueue, 4, 'q'}
	require.ErrorIs(t, NewShard(t0, Limits{Roll: &listRoll{{1}}}).Replay(bad, 1), ErrCorrupt)
	require.ErrorIs(t, NewShard(t0, Limits{Roll: &listRoll{{1}}}).Replay([]byte{recFlush, 9, 0, 3, 0}, 1), ErrCorrupt)
}

// FuzzReplay: no record makes a shard panic or breaks what it must keep.
func FuzzReplay(f *testing.F) {
	l := newLogRig(f, 1)
	l.add(l.spec("q", "body"))
	l.fetch("q", 1)
	dead := l.add(l.ranked("q", "body", 3))
	require.True(f, l.s.Bury(l.now, &dead, []byte("why"), &l.fx))
	held := l.add(l.ranked("q", "body", 4))
	l.fetch("q", 1)
	require.True(f, l.s.Nack(l.now, &held, &Refusal{Delay: 900}, &l.fx))
	require.NoError(f, l.s.SetPause(l.now, []byte("q"), PauseIn, false, &l.fx))
	l.take()
	for _, rec := range l.segments[0] {
		f.Add(rec)
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		r := &rig{t: t, s: NewShard(t0, Limits{Roll: &listRoll{{1}}}), now: t0, rnd: rand.New(rand.NewPCG(1, 1)), foreign: true}
		for _, known := range l.segments[0] {
			require.NoError(t, r.s.Replay(known, 1))
		}
		if r.s.Replay(rec, 2) != nil {
			return
		}
		var sum Settled
		for pos := int64(0); pos >= 0; {
			pos = r.s.Settle(r.now, pos, 7, Trust{Complete: true}, &r.fx, &sum)
		}
		r.check()
		r.pass(1e7)
	})
}
