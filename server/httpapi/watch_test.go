package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/node"
)

// still is a broker that is what a test says.
type still struct {
	mu sync.Mutex
	f  sight
}

// sight is what is seen of it.
type sight struct {
	Figures
	Queues []node.QueueStat
}

func (s *still) Ready() error             { return NotReady("it is a test") }
func (s *still) Admits(string) bool       { return true }
func (s *still) Open() bool               { return true }
func (s *still) Sees(Login, bool) error   { return nil }
func (s *still) Figures() Figures         { return s.change(func(*sight) {}).Figures }
func (s *still) Queues() []node.QueueStat { return s.change(func(*sight) {}).Queues }
func (s *still) Dashboard() string        { return "ro" }
func (s *still) MaxJob() int64            { return 1 }

func (s *still) Login(string, string, string) Login { return nil }

// Call answers that there is no job, after a while.
func (s *still) Call(ctx context.Context, _ Login, _ string, _ ...[][]byte) (*Answer, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(callTakes):
	}
	return &Answer{Values: []any{nil}, Done: func(bool, bool) {}}, nil
}

const callTakes = 2 * time.Second

// change changes the figures, and returns a copy of them.
func (s *still) change(f func(f *sight)) sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.f)
	out := s.f
	out.Queues = slices.Clone(s.f.Queues)
	return out
}

// moved sets how many jobs came to the first queue, and left it.
func (s *still) moved(in, out uint64) {
	s.change(func(f *sight) {
		for _, c := range []*node.Counts{&f.Queues[0].Counts, &f.Jobs} {
			c.Events[node.EventQueued], c.Events[node.EventLeft] = in, out
		}
	})
}

// told returns the next frame that a watcher gets.
func told(t *testing.T, sub *watcher) (name string, f frame) {
	t.Helper()
	text := string(<-sub.events)
	name, data, ok := strings.Cut(strings.TrimPrefix(text, "event: "), "\ndata: ")
	require.True(t, ok, text)
	require.True(t, strings.HasSuffix(data, "\n\n"))
	require.NoError(t, json.Unmarshal([]byte(data), &f), data)
	return name, f
}

// bubble runs a watch in virtual time.
func bubble(t *testing.T, do func(t *testing.T, b *still, w *watch)) {
	synctest.Test(t, func(t *testing.T) {
		b := &still{f: sight{Queues: []node.QueueStat{{Name: "a b", Created: time.Now().UnixMilli()}}}}
		w := newWatch(b)
		done := make(chan struct{})
		go func() {
			w.run()
			close(done)
		}()
		defer func() {
			close(w.quit)
			<-done
		}()
		do(t, b, w)
	})
}

func TestWatchTells(t *testing.T) {
	bubble(t, func(t *testing.T, b *still, w *watch) {
		b.moved(100, 90)
		sub := w.subscribe()
		name, f := told(t, sub)
		require.Equal(t, "state", name)
		require.Equal(t, 5, f.Step)
		require.Equal(t, "not ready: it is a test", f.Node.NotReady)
		require.Equal(t, "ro", f.Node.Dashboard)
		require.Equal(t, []queueFrame{{Key: "a%20b", Name: "a b", Pause: "none"}}, f.Queues, "what came before is no rate")
		require.Equal(t, map[string]series{"": nil}, f.History)

		b.moved(120, 95)
		b.change(func(f *sight) { f.Queues[0].Counts.Jobs[node.ClassQueued] = 3 })
		name, f = told(t, sub)
		require.Equal(t, "change", name)
		require.Equal(t, 20.0, f.Queues[0].In)
		require.Equal(t, 5.0, f.Queues[0].Out)
		require.Equal(t, 20.0, f.Node.In)
		_, f = told(t, sub)
		require.Equal(t, 0.0, f.Queues[0].In)
		_, f = told(t, sub)
		require.Empty(t, f.Queues, "nothing changed")
		require.False(t, f.Sampled)
		_, _ = told(t, sub)
		_, f = told(t, sub)
		require.True(t, f.Sampled)
		require.Equal(t, map[string]sample{"a%20b": {20, 5, 3}, "": {20, 5, 0}}, f.Sample)

		b.change(func(f *sight) { f.Queues[0].Pause = node.PauseIn })
		_, f = told(t, sub)
		require.Equal(t, "in", f.Queues[0].Pause)
		b.change(func(f *sight) { f.Queues = nil })
		_, f = told(t, sub)
		require.Equal(t, []string{"a%20b"}, f.Gone)
	})
}

// Samples are taken while nobody watches, for a quarter of an hour.
func TestWatchRemembers(t *testing.T) {
	bubble(t, func(t *testing.T, b *still, w *watch) {
		time.Sleep(sampleTicks*tickEvery + tickEvery/2) // between two ticks
		const samples = samplesKept + 20
		for i := range uint64(samples) {
			b.moved((i+1)*10, i+1)
			time.Sleep(sampleTicks * tickEvery)
		}
		_, f := told(t, w.subscribe())
		require.Equal(t, samplesKept, f.Samples)
		for _, key := range []string{"", "a%20b"} {
			require.Equal(t, slices.Repeat(series{{10, 1, 0}}, samplesKept), f.History[key])
		}

		// A queue that comes to life anew counts from nothing; one job that went back is
		// no flood.
		b.change(func(f *sight) { f.Queues[0].Created = time.Now().UnixMilli() + 1 })
		b.moved(3, 2)
		sub := w.subscribe()
		_, _ = told(t, sub)
		_, f = told(t, sub)
		require.InDelta(t, 3, f.Queues[0].In, 0.01)
		b.moved(2, 1)
		_, f = told(t, sub)
		require.Equal(t, 0.0, f.Queues[0].In)
		require.Equal(t, 0.0, f.Queues[0].Out)
	})
}

// Who does not keep up is told everything once there is room, and others are not
// held up.
func TestWatchIsSlow(t *testing.T) {
	bubble(t, func(t *testing.T, b *still, w *watch) {
		time.Sleep(tickEvery / 2) // between two ticks
		slow, fast := w.subscribe(), w.subscribe()
		for range 3 * watcherQueue {
			time.Sleep(tickEvery)
			for len(fast.events) > 0 {
				<-fast.events
			}
		}
		require.True(t, slow.behind)
		require.False(t, fast.behind)
		b.moved(7, 0)
		for range watcherQueue {
			<-slow.events
		}
		name, f := told(t, slow)
		require.Equal(t, "state", name)
		require.EqualValues(t, 7, f.Queues[0].In)
		w.unsubscribe(slow)
		w.unsubscribe(fast)
		for range watchersMost {
			require.NotNil(t, w.subscribe())
		}
		require.Nil(t, w.subscribe())
	})
}

// A poll may take longer than a request may take to arrive, or to be answered.
func TestLongPollOutlivesDeadlines(t *testing.T) {
	t.Parallel()
	side := New(&still{})
	site := httptest.NewUnstartedServer(side)
	site.Config.ReadTimeout, site.Config.WriteTimeout = callTakes/10, callTakes/5
	site.Start()
	t.Cleanup(site.Close)
	res, err := http.Post(site.URL+"/v1/queues/q/jobs:get?wait=60s", "", nil)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusNoContent, res.StatusCode)
}
