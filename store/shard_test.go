package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

const t0 = int64(1_700_000_000_000)

// rig is a shard with a clock and convenient words.
type rig struct {
	sparse  bool // check only now and then
	foreign bool // the log is none that a node wrote: its jobs may be impossible
	checks  int
	t       testing.TB
	s       *Shard
	now     int64
	rnd     *rand.Rand
	fx      Effects
}

func newRig(t testing.TB) *rig {
	return &rig{t: t, s: NewShard(t0, Limits{Roll: &listRoll{{1}}}), now: t0, rnd: rand.New(rand.NewPCG(1, 1))}
}

func (r *rig) id(queue string, once bool) ID {
	return NewID(Hash16([]byte(queue)), [2]uint64{r.rnd.Uint64(), r.rnd.Uint64()}, [4]byte{}, 86400, once)
}

func (r *rig) spec(queue, body string) *Spec {
	return &Spec{ID: r.id(queue, false), Queue: []byte(queue), Body: []byte(body), Retry: 300, TTL: 86400, Repl: 1}
}

func (r *rig) add(spec *Spec) ID {
	r.t.Helper()
	spec.ID = r.id(string(spec.Queue), spec.Retry == 0)
	require.NoError(r.t, second(r.s.Add(r.now, spec, &r.fx)))
	r.check()
	return spec.ID
}

// second returns the error of an Add.
func second(_ bool, err error) error { return err }

// fetch returns the bodies it got.
func (r *rig) fetch(queue string, n int) (bodies []string) {
	_, err := r.s.Fetch(r.now, []byte(queue), n, &r.fx, func(j *Job) bool {
		bodies = append(bodies, string(j.Body))
		return true
	})
	require.NoError(r.t, err)
	r.check()
	return bodies
}

func (r *rig) get(id ID) Job {
	j, ok := r.s.Get(&id)
	if !ok {
		require.Fail(r.t, "job is gone")
	}
	return *j
}

func (r *rig) pass(seconds float64) {
	r.now += int64(seconds * 1000)
	for r.s.Tick(r.now, 3, &r.fx) {
	}
	r.check()
}

// check holds the invariants of the shard against a recount.
func (r *rig) check() {
	r.t.Helper()
	require.NoError(r.t, r.s.VerifyCounts())
	if r.checks++; r.sparse && r.checks%40 != 0 {
		return
	}
	if r.foreign {
		require.NoError(r.t, r.s.verifyStructure(r.now))
		return
	}
	require.NoError(r.t, r.s.Verify(r.now))
}

// blocked is a waiter that remembers what it got.
type blocked struct {
	claimed bool
	body    string
	lease   int64
	id      ID
}

func (b *blocked) Claim() bool { won := !b.claimed; b.claimed = true; return won }

func (b *blocked) Wake() {}

func (b *blocked) Deliver(j *Job) { b.body, b.lease, b.id = string(j.Body), j.NextQueue, j.ID }

func TestOrderIsCreation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var want []string
	for i := range 500 {
		r.add(r.spec("q", fmt.Sprint(i)))
		want = append(want, fmt.Sprint(i))
	}
	require.Equal(t, want[:3], r.fetch("q", 3))
	require.Equal(t, want[3:], r.fetch("q", 1000))
	require.Empty(t, r.fetch("q", 1))
	require.Empty(t, r.fetch("other", 1))
}

// B20: a consumer has the whole retry time, however long the job was queued.
func TestRetryRunsFromDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	spec := r.spec("q", "x")
	spec.Retry = 3
	id := r.add(spec)
	r.pass(2.4)
	require.Equal(t, []string{"x"}, r.fetch("q", 1))
	r.pass(2.9)
	require.Equal(t, Active, r.get(id).State)
	r.pass(0.1)
	require.Equal(t, Queued, r.get(id).State)
	require.EqualValues(t, 1, r.get(id).Extra)
	require.EqualValues(t, 0, r.get(id).Nacks)
}

func TestDelay(t *testing.T) {
	t.Parallel()
	for _, retry := range []uint32{0, 2, 300} {
		r := newRig(t)
		spec := r.spec("q", "later")
		spec.Delay, spec.Retry = 10, retry
		id := r.add(spec)
		require.Equal(t, Active, r.get(id).State)
		require.EqualValues(t, 10, r.get(id).Delay)
		require.Equal(t, "later", string(r.get(id).Body))
		_, live := r.s.Stat(r.now, []byte("q"))
		require.False(t, live, "a delayed job makes no queue")
		r.pass(9.999)
		require.Empty(t, r.fetch("q", 1))
		r.pass(0.001)
		require.Equal(t, []string{"later"}, r.fetch("q", 1))
		require.EqualValues(t, 0, r.get(id).Extra, "the first time counts as nothing")
	}
}

// WORKING postpones; it never brings a delivery forward, so a DELAY holds.
func TestWorkingKeepsDelay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	spec := r.spec("q", "x")
	spec.Delay, spec.Retry = 100, 5
	id := r.add(spec)
	_, err := r.s.Working(r.now, &id, &r.fx)
	require.NoError(t, err)
	r.pass(99)
	require.Equal(t, Active, r.get(id).State)
	r.pass(1)
	require.Equal(t, Queued, r.get(id).State)
}

func TestWorking(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	spec := r.spec("q", "x")
	spec.Retry, spec.TTL = 3, 20
	id := r.add(spec)
	for range 3 {
		retry, err := r.s.Working(r.now, &id, &r.fx)
		require.NoError(t, err)
		require.EqualValues(t, 3, retry)
		require.Equal(t, Active, r.get(id).State)
		r.pass(2.9)
		require.Equal(t, Active, r.get(id).State)
	}
	r.pass(1.4)
	_, err := r.s.Working(r.now, &id, &r.fx)
	require.ErrorIs(t, err, ErrTooLate)
	unknown := r.id("q", false)
	_, err = r.s.Working(r.now, &unknown, &r.fx)
	require.ErrorIs(t, err, ErrNoJob)
}

// B16: at-most-once jobs that were never delivered are not lost by WORKING or
// DEQUEUE; delivered ones never come back.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	spec := r.spec("q", "once")
	spec.Retry = 0
	id := r.add(spec)
	retry, err := r.s.Working(r.now, &id, &r.fx)
	require.NoError(t, err)
	require.Zero(t, retry)
	require.Equal(t, Queued, r.get(id).State)
	require.True(t, r.s.Dequeue(r.now, &id, &r.fx))
	require.True(t, r.s.Enqueue(r.now, &id, &r.fx))
	require.Equal(t, []string{"once"}, r.fetch("q", 1))
	require.False(t, r.s.Enqueue(r.now, &id, &r.fx))
	require.False(t, r.s.Nack(r.now, &id, nil, &r.fx))
	r.pass(3600)
	require.Equal(t, Active, r.get(id).State)
	r.pass(83000)
	_, known := r.s.Get(&id)
	require.False(t, known)
}

func TestReturnCostsNothing(t *testing.T) {
	t.Parallel()
	for _, retry := range []uint32{0, 60} {
		r := newRig(t)
		spec := r.spec("q", "x")
		spec.Retry = retry
		id := r.add(spec)
		r.fetch("q", 1)
		lease, turn := r.get(id).NextQueue, r.get(id).Turn
		require.False(t, r.s.Return(r.now, &id, lease+1, turn, &r.fx), "another delivery's lease")
		require.False(t, r.s.Return(r.now, &id, lease, turn-1, &r.fx), "another delivery of the same millisecond")
		require.True(t, r.s.Return(r.now, &id, lease, turn, &r.fx))
		require.False(t, r.s.Return(r.now, &id, lease, turn, &r.fx), "twice")
		j := r.get(id)
		require.Equal(t, Queued, j.State)
		require.Zero(t, j.Nacks+j.Extra)
		st, _ := r.s.Stat(r.now, []byte("q"))
		require.EqualValues(t, 1, st.Counts.Events[EventQueued])
		require.EqualValues(t, 0, st.Counts.Events[EventLeft])
		require.Equal(t, []string{"x"}, r.fetch("q", 1))
	}
}

func TestCounters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.add(r.spec("m", "1"))
	require.True(t, r.s.Dequeue(r.now, &id, &r.fx))
	require.False(t, r.s.Dequeue(r.now, &id, &r.fx))
	require.True(t, r.s.Enqueue(r.now, &id, &r.fx))
	require.False(t, r.s.Enqueue(r.now, &id, &r.fx))
	r.fetch("m", 1)
	require.True(t, r.s.Nack(r.now, &id, nil, &r.fx))
	j := r.get(id)
	require.EqualValues(t, 1, j.Nacks)
	require.EqualValues(t, 1, j.Extra)
	for range math.MaxUint16 + 10 {
		r.s.Dequeue(r.now, &id, &r.fx)
		r.s.Nack(r.now, &id, nil, &r.fx)
	}
	require.EqualValues(t, math.MaxUint16, r.get(id).Nacks, "counters saturate")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add(r.spec("q", "1"))
	spec := r.spec("q", "2")
	spec.MaxLen = 1
	require.ErrorIs(t, second(r.s.Add(r.now, spec, &r.fx)), ErrMaxLen)
	spec.MaxLen = 2
	require.NoError(t, second(r.s.Add(r.now, spec, &r.fx)))
	require.NoError(t, r.s.SetPause(r.now, []byte("q"), PauseIn, false, &r.fx))
	require.ErrorIs(t, second(r.s.Add(r.now, r.spec("q", "3"), &r.fx)), ErrPaused)
	r.check()
}

func TestPause(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.s.SetPause(r.now, []byte("none"), 0, false, &r.fx))
	require.Zero(t, r.s.Queues())
	require.NoError(t, r.s.SetPause(r.now, []byte("q"), PauseOut, false, &r.fx))
	r.add(r.spec("q", "x"))
	require.Empty(t, r.fetch("q", 1))
	w := &blocked{}
	ticket, err := r.s.Block(r.now, []byte("q"), w, &r.fx)
	require.NoError(t, err)
	require.NotNil(t, ticket)
	r.pass(1000)
	require.Equal(t, 1, r.s.Queues(), "a paused queue with a waiter stays")
	require.NoError(t, r.s.SetPause(r.now, []byte("q"), 0, false, &r.fx))
	require.Equal(t, "x", w.body)
	require.Len(t, r.fx.Wakes, 1)
	// A due job of a queue that is paused in waits for another retry time.
	require.NoError(t, r.s.SetPause(r.now, []byte("q"), PauseIn, false, &r.fx))
	r.pass(301)
	require.Equal(t, Active, r.get(w.id).State)
	require.NoError(t, r.s.SetPause(r.now, []byte("q"), 0, false, &r.fx))
	r.pass(300)
	require.Equal(t, Queued, r.get(w.id).State)
}

func TestWaitersAreServedInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ws []*blocked
	var ts []*Ticket
	for range 5 {
		w := &blocked{}
		tk, err := r.s.Block(r.now, []byte("q"), w, &r.fx)
		require.NoError(t, err)
		ws, ts = append(ws, w), append(ts, tk)
	}
	r.s.Unblock(ts[1])
	ws[2].Claim() // it left, and its ticket is still in the queue
	for i, want := range []int{0, 3, 4} {
		r.add(r.spec("q", fmt.Sprint(i)))
		require.Equal(t, fmt.Sprint(i), ws[want].body)
	}
	require.Empty(t, ws[1].body)
	require.Empty(t, ws[2].body)
	r.s.Unblock(ts[0])
	r.add(r.spec("q", "left"))
	require.Equal(t, []string{"left"}, r.fetch("q", 9))
	w := &blocked{}
	r.add(r.spec("q", "there"))
	tk, err := r.s.Block(r.now, []byte("q"), w, &r.fx)
	require.NoError(t, err)
	require.Nil(t, tk)
	require.Equal(t, "there", w.body)
}

func TestFlushDismissesWaiters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add(r.spec("q", "x"))
	w := &blocked{}
	_, err := r.s.Block(r.now, []byte("w"), w, &r.fx)
	require.NoError(t, err)
	r.s.Flush(r.now, 0, 65535, &r.fx)
	r.check()
	require.Zero(t, r.s.Jobs()+r.s.Queues())
	require.Zero(t, r.s.Used())
	require.Len(t, r.fx.Wakes, 1)
	require.True(t, w.claimed)
	require.Empty(t, w.body)
	_, ok := r.s.Next()
	require.False(t, ok)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 50 {
		r.add(r.spec(fmt.Sprint("q", i), "x"))
	}
	held := r.add(r.spec("held", "x"))
	for i := range 50 {
		r.fetch(fmt.Sprint("q", i), 1)
	}
	r.fetch("held", 1)
	r.now += 301_000
	r.s.Sweep(r.now, 300_000, 1000)
	r.check()
	require.Zero(t, r.s.Queues())
	require.Equal(t, 51, r.s.Jobs(), "unacknowledged jobs stay")
	require.Equal(t, "held", r.get(held).Queue)
	r.pass(0)
	require.Equal(t, 51, r.s.Queues(), "and come back to a queue of the same name")
}

func TestEvictTakesOnlySpentJobs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 20 {
		spec := r.spec("q", fmt.Sprint(i))
		if i%2 == 0 {
			spec.Retry = 0
		}
		r.add(spec)
	}
	r.fetch("q", 10)
	require.Equal(t, 5, r.s.Evict(r.now, 100, &r.fx))
	require.Equal(t, 15, r.s.Jobs())
	require.Zero(t, r.s.Evict(r.now, 100, &r.fx))
	r.check()
}

type quota int

func (q *quota) Take() bool { *q--; return *q >= 0 }
func (q *quota) Give()      { *q++ }

func TestQueueQuota(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	left := quota(2)
	r.s = NewShard(r.now, Limits{Queues: &left})
	r.add(r.spec("a", ""))
	r.add(r.spec("b", ""))
	require.ErrorIs(t, second(r.s.Add(r.now, r.spec("c", ""), &r.fx)), ErrTooManyQueues)
	_, err := r.s.Fetch(r.now, []byte("c"), 1, &r.fx, nil)
	require.ErrorIs(t, err, ErrTooManyQueues)
	left = 0
	r.s.Flush(r.now, 0, 65535, &r.fx)
	require.EqualValues(t, 2, left)
}

// A long random life against a plain model: same deliveries, same states, and
// nothing left at the end.
func TestShardAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			runModel(t, seed, 4_000)
		})
	}
}

type modelJob struct {
	id         ID
	queue      string
	body       string
	order      int
	retry      int64
	state      State
	etime, due int64
	delivered  bool
}

func runModel(t *testing.T, seed uint64, steps int) {
	r := newRig(t)
	r.sparse = true
	r.rnd = rand.New(rand.NewPCG(seed, 9))
	jobs := map[ID]*modelJob{}
	queueNames := []string{"", "a", "b", "a long name of a queue"}
	pick := func() (ID, *modelJob) {
		ids := make([]*modelJob, 0, len(jobs))
		for _, m := range jobs {
			ids = append(ids, m)
		}
		if len(ids) == 0 || r.rnd.IntN(20) == 0 {
			return r.id("a", false), nil
		}
		slices.SortFunc(ids, func(a, b *modelJob) int { return a.order - b.order })
		m := ids[r.rnd.IntN(len(ids))]
		return m.id, m
	}
	requeue := func(m *modelJob) bool {
		if m == nil || m.state != Active || m.retry == 0 && m.delivered {
			return false
		}
		m.state = Queued
		return true
	}
	for step := range steps {
		switch r.rnd.IntN(8) {
		case 0, 1, 2:
			q := queueNames[r.rnd.IntN(len(queueNames))]
			spec := r.spec(q, fmt.Sprint("body", step))
			spec.Retry = uint32(r.rnd.IntN(4) * r.rnd.IntN(40))
			spec.TTL = uint32(100 + r.rnd.IntN(1000))
			if r.rnd.IntN(4) == 0 {
				spec.Delay = uint32(r.rnd.IntN(99))
			}
			id := r.add(spec)
			m := &modelJob{id: id, queue: q, body: string(spec.Body), order: step, retry: int64(spec.Retry) * 1000, state: Queued, etime: r.now + int64(spec.TTL)*1000}
			if spec.Delay > 0 {
				m.state, m.due = Active, r.now+int64(spec.Delay)*1000
			}
			jobs[id] = m
		case 3, 4:
			q := queueNames[r.rnd.IntN(len(queueNames))]
			var want []*modelJob
			for _, m := range jobs {
				if m.queue == q && m.state == Queued {
					want = append(want, m)
				}
			}
			slices.SortFunc(want, func(a, b *modelJob) int { return a.order - b.order })
			n := min(len(want), 1+r.rnd.IntN(5))
			var bodies []string
			for _, m := range want[:n] {
				bodies = append(bodies, m.body)
				m.state, m.delivered, m.due = Active, true, r.now+m.retry
				if m.retry == 0 {
					m.due = 0
				}
			}
			require.Equal(t, bodies, r.fetch(q, n))
		case 5:
			id, m := pick()
			require.Equal(t, m != nil, r.s.Ack(r.now, &id, &r.fx))
			delete(jobs, id)
		case 6:
			id, m := pick()
			if r.rnd.IntN(2) == 0 {
				require.Equal(t, requeue(m), r.s.Nack(r.now, &id, nil, &r.fx))
			} else {
				require.Equal(t, requeue(m), r.s.Enqueue(r.now, &id, &r.fx))
			}
		case 7:
			r.now += r.rnd.Int64N(20_000)
			for id, m := range jobs {
				if m.etime <= r.now {
					delete(jobs, id)
				} else if m.state == Active && m.due != 0 && m.due <= r.now {
					requeue(m)
				}
			}
			r.pass(0)
		}
		require.Equal(t, len(jobs), r.s.Jobs())
		for id, m := range jobs {
			if got := r.get(id).State; got != m.state {
				require.Equal(t, m.state, got, "step %d", step)
			}
		}
	}
	r.pass(2000)
	require.Zero(t, r.s.Jobs())
	r.now += 1e6
	r.s.Sweep(r.now, 1000, 1000)
	require.Zero(t, r.s.Used())
}
