package httpapi

import (
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/disqo/disqo/server/node"
)

// The node is looked at each second while somebody watches, and for each sample of
// its history in any case. A thousand queues that all change make a change of some
// 250 KB, and a state of some 4 MB with their history; watchers share them.
const (
	tickEvery    = time.Second
	sampleTicks  = 5
	samplesKept  = 180 // a quarter of an hour
	watchersMost = 100
	watcherQueue = 8 // changes that a slow watcher may be behind
)

// watch samples the broker, keeps a history of what it saw, and tells its watchers
// what changed.
type watch struct {
	b    Broker
	quit chan struct{}

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	ticks    uint64
	looks    uint64
	looked   time.Time // when it was sampled last; zero: never
	node     nodeFrame
	total    track // of all queues
	queues   map[string]*track
	state    []byte // the event that says all of this; nil: not made yet
}

// watcher is somebody who gets events: a state, then changes.
type watcher struct {
	events chan []byte
	behind bool // it missed a change: it gets a state next
}

// track is what was seen of a queue.
type track struct {
	created         int64  // when it came to life, Unix milliseconds
	in, out         uint64 // jobs that came and left since, when it was last looked at
	baseIn, baseOut uint64 // and when the last sample was taken
	look            uint64 // number of the look that saw it last
	history         series
	frame           queueFrame // as it was last told
}

func newWatch(b Broker) *watch {
	return &watch{b: b, quit: make(chan struct{}), watchers: map[*watcher]struct{}{}, queues: map[string]*track{}}
}

func (w *watch) run() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-ticker.C:
			w.tick()
		}
	}
}

// tick looks, if it is time or somebody watches.
func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ticks++
	if sampled := w.ticks%sampleTicks == 0; sampled || len(w.watchers) > 0 {
		w.publish(w.look(sampled))
	}
}

// publish tells the watchers what changed.
func (w *watch) publish(f *frame) {
	var change []byte
	for sub := range w.watchers {
		switch {
		case sub.behind && len(sub.events) > 0:
			continue
		case sub.behind:
			sub.events <- w.snapshot()
			sub.behind = false
		default:
			if change == nil {
				change = event("change", f)
			}
			select {
			case sub.events <- change:
			default:
				sub.behind = true
			}
		}
	}
}

// subscribe returns a watcher, nil if there are too many.
func (w *watch) subscribe() *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.watchers) >= watchersMost {
		return nil
	}
	if time.Since(w.looked) > tickEvery { // nobody watches
		w.look(false)
	}
	sub := &watcher{events: make(chan []byte, watcherQueue)}
	sub.events <- w.snapshot()
	w.watchers[sub] = struct{}{}
	return sub
}

func (w *watch) unsubscribe(sub *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watchers, sub)
}

// snapshot is the event that says all that was seen in the last look.
func (w *watch) snapshot() []byte {
	if w.state != nil {
		return w.state
	}
	f := &frame{
		At: w.looked.UnixMilli(), Node: &w.node, Queues: make([]queueFrame, 0, len(w.queues)), Step: int(sampleTicks * tickEvery / time.Second),
		Samples: samplesKept, History: map[string]series{"": w.total.history},
	}
	for _, t := range w.queues {
		f.Queues = append(f.Queues, t.frame)
		if len(t.history) > 0 {
			f.History[t.frame.Key] = t.history
		}
	}
	w.state = event("state", f)
	return w.state
}

// look updates all that is known, and returns what changed.
func (w *watch) look(sampled bool) *frame {
	f, queues, now, since := w.b.Figures(), w.b.Queues(), time.Now(), w.looked
	w.looked = now
	w.looks++
	w.state = nil
	out := &frame{At: now.UnixMilli(), Node: &w.node, Queues: []queueFrame{}, Sampled: sampled}
	w.total.count(&f.Jobs, 1, since, now)
	w.node = newNodeFrame(&f)
	w.node.In, w.node.Out, w.node.Dashboard = w.total.frame.In, w.total.frame.Out, w.b.Dashboard()
	if err := w.b.Ready(); err != nil {
		w.node.NotReady = err.Error()
	}
	if sampled {
		out.Sample = map[string]sample{}
		w.total.sample(out, "", f.Jobs.Jobs[node.ClassQueued])
	}
	for i := range queues {
		q := &queues[i]
		t, known := w.queues[q.Name]
		if !known {
			t = &track{frame: queueFrame{Key: pathKey(q.Name), Name: label(q.Name)}}
			w.queues[q.Name] = t
		}
		was := t.frame
		t.look = w.looks
		t.count(&q.Counts, q.Created, since, now)
		t.frame.fill(q)
		if sampled {
			t.sample(out, t.frame.Key, t.frame.Queued)
		}
		if t.frame != was || !known {
			out.Queues = append(out.Queues, t.frame)
		}
	}
	for name, t := range w.queues {
		if t.look != w.looks {
			out.Gone = append(out.Gone, t.frame.Key)
			delete(w.queues, name)
		}
	}
	return out
}

// count takes note of how many jobs came and left, and sets the rates. What came to
// life before the last look, and was not seen then, has none yet.
func (t *track) count(c *node.Counts, created int64, since, now time.Time) {
	in, out := c.Events[node.EventQueued], c.Events[node.EventLeft]
	if t.created != created {
		t.created, t.in, t.out = created, 0, 0
		if created < since.UnixMilli() || since.IsZero() {
			t.in, t.out = in, out
		}
		t.baseIn, t.baseOut = t.in, t.out
	}
	seconds := now.Sub(since).Seconds()
	t.frame.In, t.frame.Out = rate(in-min(t.in, in), seconds), rate(out-min(t.out, out), seconds) // a return takes one back
	t.in, t.out = in, out
}

// rate is so many in so many seconds, to a tenth.
func rate(n uint64, seconds float64) float64 { return math.Round(float64(n)/seconds*10) / 10 }

// sample adds one to the history, and to a frame if there is something in it.
func (t *track) sample(f *frame, key string, queued int) {
	v := sample{uint32(t.in - min(t.baseIn, t.in)), uint32(t.out - min(t.baseOut, t.out)), uint32(queued)}
	t.baseIn, t.baseOut = t.in, t.out
	t.history.push(v)
	if v != (sample{}) {
		f.Sample[key] = v
	}
}

// events is GET /v1/events.
func (g gateway) events(rw http.ResponseWriter, r *http.Request) {
	if err := g.b.Sees(who(r), true); err != nil {
		refuse(rw, err)
		return
	}
	sub := g.watch.subscribe()
	if sub == nil {
		refuse(rw, &problem{http.StatusServiceUnavailable, "ERR", "too many watch this node already"})
		return
	}
	defer g.watch.unsubscribe(sub)
	h := rw.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	patient(rw, 0)
	control := http.NewResponseController(rw)
	text := []byte("retry: 2000\n\n")
	for g.b.Sees(who(r), true) == nil { // still
		_ = control.SetWriteDeadline(time.Now().Add(writeAfter))
		if _, err := rw.Write(text); err != nil || control.Flush() != nil {
			return
		}
		select {
		case text = <-sub.events:
		case <-r.Context().Done():
			return
		case <-g.watch.quit:
			return
		}
	}
}
