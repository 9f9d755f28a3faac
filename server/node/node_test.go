package node

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/store"
)

var testID = strings.Repeat("0123456789", 4)

func newNode(t *testing.T, o Options) *Node {
	t.Helper()
	o.ID = testID
	n, err := New(o)
	require.NoError(t, err)
	n.Start()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func spec(queue, body string) *store.Spec {
	return &store.Spec{Queue: []byte(queue), Body: []byte(body), Retry: 300, TTL: 86400}
}

func add(t *testing.T, n *Node, s *store.Spec) store.ID {
	t.Helper()
	id, _, err := n.Add(s, false, &Mark{})
	require.NoError(t, err)
	return id
}

func fetch(t *testing.T, n *Node, count int, queues ...string) (bodies []string) {
	t.Helper()
	names := make([][]byte, len(queues))
	for i, q := range queues {
		names[i] = []byte(q)
	}
	_, err := n.Fetch(names, count, &Mark{}, func(j *store.Job) bool {
		bodies = append(bodies, string(j.Body))
		return true
	})
	require.NoError(t, err)
	return bodies
}

// waiter is a consumer in a goroutine.
type waiter struct {
	claim atomic.Bool
	body  string
	wake  chan struct{}
}

func newWaiter() *waiter { return &waiter{wake: make(chan struct{}, 1)} }

func (w *waiter) Claim() bool          { return w.claim.CompareAndSwap(false, true) }
func (w *waiter) Deliver(j *store.Job) { w.body = string(j.Body) }
func (w *waiter) Await(Mark)           {}
func (w *waiter) Wake()                { w.wake <- struct{}{} }

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{}, {ID: "short"}, {ID: testID, Shards: 3}, {ID: testID, Shards: -1}, {ID: testID, Shards: 1 << 17}} {
		_, err := New(o)
		require.ErrorContains(t, err, "node: ")
	}
}

func TestFetchTakesTurns(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{})
	for _, q := range []string{"A", "B"} {
		for i := range 3 {
			add(t, n, spec(q, fmt.Sprint(q, i)))
		}
	}
	require.Equal(t, []string{"A0", "B0", "A1", "A2", "B1"}, fetch(t, n, 5, "A", "B", "A"))
	require.Equal(t, []string{"B2"}, fetch(t, n, 5, "A", "B"))
	require.Empty(t, fetch(t, n, 5, "A", "B"))
}

func TestTimersFireWithoutHelp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, Options{})
		late := spec("q", "delayed")
		late.Delay = 5
		add(t, n, late)
		short := spec("q", "short")
		short.TTL = 3
		add(t, n, short)
		require.Equal(t, []string{"short"}, fetch(t, n, 1, "q"))
		time.Sleep(2999 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 2, n.Jobs())
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 1, n.Jobs(), "the TTL ended")
		w := newWaiter()
		tk, err := n.Block([][]byte{[]byte("q"), []byte("other"), []byte("q")}, w)
		require.NoError(t, err)
		start := time.Now()
		<-w.wake
		n.Unblock(tk)
		require.Equal(t, "delayed", w.body)
		require.InDelta(t, 2, time.Since(start).Seconds(), 0.002)
		time.Sleep(301 * time.Second)
		synctest.Wait()
		require.Equal(t, 1, n.QueueLen([]byte("q")), "the lease ran out")
		require.Zero(t, n.QueueLen([]byte("other")))
	})
}

func TestIdleQueuesDie(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, Options{})
		synctest.Wait() // its timers sleep: there is nothing yet
		for i := range 1000 {
			fetch(t, n, 1, fmt.Sprint("q", i))
		}
		require.Equal(t, 1000, n.Queues())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1000, n.Queues())
		n.SetMaxMemory(1)
		require.Equal(t, 2, n.Level())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Zero(t, n.Queues(), "memory is short")
		require.Zero(t, n.Used())
	})
}

func TestQueuesOfANodeWithoutJobsDie(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, Options{})
		synctest.Wait()
		require.NoError(t, n.SetPause([]byte("p"), store.PauseIn, false, &Mark{}))
		fetch(t, n, 1, "q")
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		require.Equal(t, 1, n.Queues(), "all but the paused one are gone")
	})
}

// A wait that cannot be had for all its queues gives no job away: either the
// waiter gets it, or it stays.
func TestBlockThatFailsLosesNoJob(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{MaxQueues: 1})
	fetch(t, n, 1, "a")
	for i := range 500 {
		var wg sync.WaitGroup
		wg.Go(func() {
			s := spec("a", "once")
			s.Retry = 0
			_, _, err := n.Add(s, false, &Mark{})
			if err != nil {
				t.Error(err)
			}
		})
		w := newWaiter()
		tk, err := n.Block([][]byte{[]byte("a"), []byte("b")}, w)
		if err == nil {
			<-w.wake
			n.Unblock(tk)
		}
		wg.Wait()
		left := len(fetch(t, n, 1, "a"))
		require.Equal(t, err != nil, left == 1, "round %d: the job is in one place", i)
		require.Equal(t, err == nil, w.body == "once")
	}
}

// However many jobs are asked for, a lock is held for few at a time; all come.
func TestLargeFetchAndPeek(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{})
	var want []string
	for i := range 3 * fetchBatch / 2 {
		add(t, n, spec("q", fmt.Sprint(i)))
		want = append(want, fmt.Sprint(i))
	}
	peek := func(count int, newest bool) (bodies []string) {
		n.Peek([]byte("q"), count, newest, func(j *store.Job) bool {
			bodies = append(bodies, string(j.Body))
			return true
		})
		return bodies
	}
	require.Equal(t, want, peek(1000, false))
	require.Equal(t, want[:fetchBatch+1], peek(fetchBatch+1, false))
	back := peek(1000, true)
	slices.Reverse(back)
	require.Equal(t, want, back)
	require.Equal(t, want[:fetchBatch+2], fetch(t, n, fetchBatch+2, "q"))
	require.Equal(t, want[fetchBatch+2:], fetch(t, n, 1000, "q"))
}

func TestMemoryLevels(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{MaxMemory: 1 << 20})
	once := spec("once", strings.Repeat("x", 1000))
	for range 300 {
		once.Retry = 0
		add(t, n, once)
	}
	require.Len(t, fetch(t, n, 300, "once"), 300)
	var short *replication.Shortage
	for {
		if _, _, err := n.Add(spec("q", strings.Repeat("x", 1000)), false, &Mark{}); err != nil {
			require.ErrorAs(t, err, &short)
			require.Equal(t, "I'm out of memory", short.Reason)
			break
		}
	}
	require.Equal(t, 1, n.Level())
	jobs := n.Jobs()
	n.SetMaxMemory(n.Used())
	require.Equal(t, 2, n.Level())
	n.SetKeepSpent(true)
	require.False(t, n.Relieve())
	n.SetKeepSpent(false)
	require.True(t, n.Relieve())
	require.Less(t, n.Jobs(), jobs)
	require.Equal(t, jobs-300, n.QueueLen([]byte("q")), "only delivered at-most-once jobs went")
	n.SetMaxMemory(1)
	require.False(t, n.Relieve())
	require.Equal(t, jobs-300, n.Jobs())
	n.SetMaxMemory(0)
	require.Zero(t, n.Level())
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{})
	n.SetLeaving(true)
	_, _, err := n.Add(spec("q", "x"), false, &Mark{})
	require.ErrorContains(t, err, "I'm leaving the cluster")
	s := spec("q", "x")
	s.Repl = 2
	_, _, err = n.Add(s, false, &Mark{})
	require.EqualError(t, err, "Not enough reachable nodes for the requested replication level (copies wanted 2, possible 0)")
}

// A scan sees everything that stays, whatever the size of its steps.
func TestScans(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{})
	want := map[string]bool{}
	for i := range 3000 {
		want[add(t, n, spec(fmt.Sprint("q", i%700), "x")).String()] = true
	}
	for _, steps := range []int{-1, 1, 7, 1000} {
		jobs, queues := map[string]bool{}, map[string]bool{}
		cursor := uint64(0)
		for {
			cursor = n.ScanJobs(cursor, steps, nil, func(j *store.Job) bool {
				jobs[j.ID.String()] = true
				return len(jobs)%3 != 0
			})
			if cursor == 0 {
				break
			}
		}
		for {
			cursor = n.ScanQueues(cursor, steps, false, func(q store.QueueStat) bool {
				queues[q.Name] = true
				return true
			})
			if cursor == 0 {
				break
			}
		}
		require.Equal(t, want, jobs)
		require.Len(t, queues, 700)
	}
	small := newNode(t, Options{})
	add(t, small, spec("q", "x"))
	add(t, small, spec("another", "x"))
	require.Zero(t, small.ScanJobs(0, 3, nil, func(*store.Job) bool { return true }), "shards with nothing cost no steps")
	require.Zero(t, n.ScanJobs(^uint64(0), 10, nil, func(*store.Job) bool { return true }), "any cursor is accepted")
	require.Zero(t, n.ScanQueues(1<<cursorShift-1, 100_000, false, func(store.QueueStat) bool { return true }))
	found := 0
	require.Zero(t, n.ScanJobs(0, -1, []byte("q1"), func(j *store.Job) bool {
		if j.Queue == "q1" {
			found++
		}
		return true
	}))
	require.GreaterOrEqual(t, found, 4)
}

// Many consumers and producers at once: every job is delivered exactly once
// and in the end nothing is left.
func TestConcurrentHandOff(t *testing.T) {
	t.Parallel()
	n := newNode(t, Options{})
	const jobs, consumers = 4000, 16
	queues := [][]byte{[]byte("a"), []byte("b"), []byte("c")}
	var got sync.Map
	var seen atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range consumers {
		wg.Go(func() {
			for {
				w := newWaiter()
				tk, err := n.Block(queues, w)
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case <-w.wake:
				case <-stop:
					if w.Claim() {
						n.Unblock(tk)
						return
					}
					<-w.wake
				}
				n.Unblock(tk)
				if _, dup := got.LoadOrStore(w.body, true); dup {
					t.Errorf("%s delivered twice", w.body)
				}
				if seen.Add(1) == jobs {
					close(stop)
				}
			}
		})
	}
	for p := range 4 {
		wg.Go(func() {
			for i := range jobs / 4 {
				if _, _, err := n.Add(spec(string(queues[i%3]), fmt.Sprint(p, "-", i)), false, &Mark{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, jobs, seen.Load())
	n.ScanJobs(0, -1, nil, func(j *store.Job) bool {
		require.Equal(t, store.Active, j.State)
		return true
	})
	require.NoError(t, n.Flush(&Mark{}))
	require.Zero(t, n.Used())
}
