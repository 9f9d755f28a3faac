package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/disqo/disqo/server/node"
)

// The node is looked at each second while somebody watches, and for each sample of
// its history in any case.
const (
	tickEvery    = time.Second
	sampleTicks  = 5
	samplesKept  = 180 // a quarter of an hour
	watchersMost = 100
	watcherQueue = 8 // frames that a slow watcher may be behind
)

// watch looks at the broker, keeps what it saw in a history of rates, and tells the
// watchers what changed.
type watch struct {
	b    Broker
	quit chan struct{}

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	ticks    uint64
	looks    uint64
	looked   time.Time // zero: never
	node     nodeFrame
	flow     track // of all queues
	queues   map[string]*track
}

// watcher is one who is told. Frames is closed by nobody: a watcher leaves.
type watcher struct {
	frames chan []byte
	behind bool // it missed a frame, and has to be told everything
}

// track is what was seen of a queue.
type track struct {
	created         int64  // when it came to life, Unix milliseconds
	in, out         uint64 // jobs that came and left since, when it was last looked at
	baseIn, baseOut uint64 // and when the last sample was taken
	look            uint64 // when it was last looked at
	history         series
	frame           queueFrame // as it was last told
}

// series is how many jobs came and left in each sample, the latest last.
type series struct {
	In  []uint32 `json:"in"`
	Out []uint32 `json:"out"`
}

// push adds a sample. A series that is nothing but zeros stays empty.
func (s *series) push(in, out uint32) {
	if len(s.In) == 0 && in == 0 && out == 0 {
		return
	}
	drop := 0
	if len(s.In) == samplesKept {
		drop = 1
	}
	s.In, s.Out = append(s.In[drop:], in), append(s.Out[drop:], out)
}

// frame is what watchers are told: all there is, or what changed.
type frame struct {
	At      int64                `json:"at"` // of the broker's clock, Unix milliseconds
	Node    *nodeFrame           `json:"node"`
	Queues  []queueFrame         `json:"queues"`            // all, or those that changed
	Gone    []string             `json:"gone,omitempty"`    // keys of queues that are no more
	Sample  map[string][2]uint32 `json:"sample,omitempty"`  // what came and left, by key; "" is the sum
	Sampled bool                 `json:"sampled,omitempty"` // a sample was taken; those not in it had none
	Step    int                  `json:"step,omitempty"`    // seconds of a sample
	History map[string]series    `json:"history,omitempty"` // by key; "" is the sum
}

// nodeFrame is the node, and its cluster as it sees it.
type nodeFrame struct {
	ID         string         `json:"id"`
	Address    string         `json:"address"`
	Version    string         `json:"version"`
	Dashboard  string         `json:"dashboard"` // what its pages may do: yes, ro or no
	Uptime     int64          `json:"uptimeSeconds"`
	NotReady   string         `json:"notReady,omitempty"`
	MemoryUsed int64          `json:"memoryUsedBytes"`
	MemoryMax  int64          `json:"memoryMaxBytes"`
	Jobs       map[string]int `json:"jobs"`
	In         float64        `json:"in"`  // jobs a second
	Out        float64        `json:"out"` //
	Clients    int64          `json:"clients"`
	Blocked    int64          `json:"blocked"`
	QueueCount int            `json:"queueCount"`
	Peers      []peerFrame    `json:"peers"`
}

// peerFrame is another node.
type peerFrame struct {
	ID         string  `json:"id"`
	Address    string  `json:"address"`
	State      string  `json:"state"`
	RoundTrip  float64 `json:"roundTripSeconds"`
	Outbox     int     `json:"outboxBytes"`
	MemoryUsed int64   `json:"memoryUsedBytes"` // 0 while unknown
	MemoryMax  int64   `json:"memoryMaxBytes"`
}

// queueFrame is a queue. Only what is worth telling changes it.
type queueFrame struct {
	Key     string  `json:"key"`  // the name as paths have it
	Name    string  `json:"name"` // as it is shown
	Queued  int     `json:"queued"`
	Active  int     `json:"active"`
	Delayed int     `json:"delayed"`
	Dead    int     `json:"dead"`
	Oldest  int64   `json:"oldest"` // when the oldest queued job was made, Unix milliseconds; 0: there is none
	Waiting int     `json:"consumers"`
	Pause   string  `json:"pause"`
	In      float64 `json:"in"` // jobs a second
	Out     float64 `json:"out"`
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
	if sample := w.ticks%sampleTicks == 0; sample || len(w.watchers) > 0 {
		w.tell(w.look(sample))
	}
}

// tell tells the watchers what changed.
func (w *watch) tell(f *frame) {
	var change, whole []byte
	for sub := range w.watchers {
		switch {
		case sub.behind && len(sub.frames) > 0:
			continue
		case sub.behind:
			if whole == nil {
				whole = event("state", w.whole())
			}
			sub.frames <- whole
			sub.behind = false
		default:
			if change == nil {
				change = event("change", f)
			}
			select {
			case sub.frames <- change:
			default:
				sub.behind = true
			}
		}
	}
}

// event is a frame as it is sent.
func event(name string, f *frame) []byte {
	b, err := json.Marshal(f)
	if err != nil {
		b = []byte("{}") // of numbers and texts only: there is no such frame
	}
	return append(append([]byte("event: "+name+"\ndata: "), b...), "\n\n"...)
}

// subscribe returns a watcher, who is told everything first; nil if there are
// too many.
func (w *watch) subscribe() *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.watchers) >= watchersMost {
		return nil
	}
	if time.Since(w.looked) > tickEvery/2 {
		w.tell(w.look(false))
	}
	sub := &watcher{frames: make(chan []byte, watcherQueue)}
	sub.frames <- event("state", w.whole())
	w.watchers[sub] = struct{}{}
	return sub
}

func (w *watch) leave(sub *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watchers, sub)
}

// whole is the frame that says everything, of what was seen last.
func (w *watch) whole() *frame {
	f := &frame{
		At: w.looked.UnixMilli(), Node: &w.node, Queues: make([]queueFrame, 0, len(w.queues)), Step: int(sampleTicks * tickEvery / time.Second),
		History: map[string]series{},
	}
	if len(w.flow.history.In) > 0 {
		f.History[""] = w.flow.history
	}
	for _, t := range w.queues {
		f.Queues = append(f.Queues, t.frame)
		if len(t.history.In) > 0 {
			f.History[t.frame.Key] = t.history
		}
	}
	return f
}

// look updates all that is known, and returns what changed.
func (w *watch) look(sample bool) *frame {
	f, now, since := w.b.Figures(), time.Now(), w.looked
	w.looked = now
	w.looks++
	out := &frame{At: now.UnixMilli(), Node: &w.node, Queues: []queueFrame{}, Sampled: sample}
	if sample {
		out.Sample = map[string][2]uint32{}
	}
	w.flow.see(&f.Jobs, 1, since, now)
	w.flow.sample(out, "", sample)
	w.node = newNodeFrame(&f)
	w.node.In, w.node.Out, w.node.Dashboard = w.flow.frame.In, w.flow.frame.Out, w.b.Dashboard()
	if err := w.b.Ready(); err != nil {
		w.node.NotReady = err.Error()
	}
	for i := range f.Queues {
		q := &f.Queues[i]
		t, known := w.queues[q.Name]
		if !known {
			t = &track{frame: queueFrame{Key: pathKey(q.Name), Name: label(q.Name)}}
			w.queues[q.Name] = t
		}
		was := t.frame
		t.look = w.looks
		t.see(&q.Counts, q.Created, since, now)
		t.sample(out, t.frame.Key, sample)
		if t.fill(q); t.frame != was || !known {
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

// see takes note of how many jobs came and left, and sets the rates. What came to
// life before the last look, and was not seen then, has none yet.
func (t *track) see(c *node.Counts, created int64, since, now time.Time) {
	in, out := c.Events[node.EventQueued], c.Events[node.EventLeft]
	if t.created != created {
		t.created, t.in, t.out = created, 0, 0
		if created < since.UnixMilli() || since.IsZero() {
			t.in, t.out = in, out
		}
		t.baseIn, t.baseOut = t.in, t.out
	}
	passed := now.Sub(since).Seconds()
	t.frame.In, t.frame.Out = rate(in-min(t.in, in), passed), rate(out-min(t.out, out), passed)
	t.in, t.out = in, out
}

// rate is so many in so many seconds, to a tenth.
func rate(n uint64, seconds float64) float64 { return float64(int64(float64(n)/seconds*10+0.5)) / 10 }

// sample takes one, if it is time for it.
func (t *track) sample(f *frame, key string, take bool) {
	if !take {
		return
	}
	in, out := uint32(t.in-min(t.baseIn, t.in)), uint32(t.out-min(t.baseOut, t.out)) // a return takes one back
	t.baseIn, t.baseOut = t.in, t.out
	t.history.push(in, out)
	if in != 0 || out != 0 {
		f.Sample[key] = [2]uint32{in, out}
	}
}

func (t *track) fill(q *node.QueueStat) {
	f := &t.frame
	jobs := &q.Counts.Jobs
	f.Queued, f.Active, f.Delayed, f.Dead = jobs[node.ClassQueued], jobs[node.ClassActive], jobs[node.ClassDelayed], jobs[node.ClassDead]
	f.Oldest, f.Waiting, f.Pause = q.Oldest/int64(time.Millisecond), q.Blocked, q.Pause.String()
}

func newNodeFrame(f *Figures) nodeFrame {
	n := nodeFrame{
		ID: f.ID, Address: f.Address, Uptime: int64(f.Uptime.Seconds()), MemoryUsed: f.MemoryUsed, MemoryMax: f.MemoryMax, Jobs: map[string]int{},
		Clients: f.Connected, Blocked: f.Blocked, QueueCount: f.QueueCount, Peers: make([]peerFrame, 0, len(f.Peers)),
	}
	for k, state := range states {
		n.Jobs[state] = f.Jobs.Jobs[k]
	}
	for _, p := range f.Peers {
		n.Peers = append(n.Peers, peerFrame{p.ID, p.Address, p.state(), p.State.RTT.Seconds(), p.State.Outbox, p.State.MemoryUsed, p.State.MemoryMax})
	}
	return n
}

// state is a word for how a peer is.
func (p *Peer) state() string {
	switch {
	case p.Failed:
		return "failed"
	case p.State.Suspect:
		return "suspect"
	case p.Leaving:
		return "leaving"
	case !p.State.Linked:
		return "unlinked"
	}
	return "up"
}

// pathKey returns the name of a queue as one part of a path.
func pathKey(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "+", "%20") }

// events is GET /v1/events.
func (g gateway) events(rw http.ResponseWriter, r *http.Request) {
	sub := g.watch.subscribe()
	if sub == nil {
		refuse(rw, &problem{http.StatusServiceUnavailable, "ERR", "too many watch this node already"})
		return
	}
	defer g.watch.leave(sub)
	h := rw.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	patient(rw, 0)
	control := http.NewResponseController(rw)
	text := []byte("retry: 2000\n\n")
	for password := g.b.Password(); g.b.Password() == password; { // else it has to be said again
		_ = control.SetWriteDeadline(time.Now().Add(writeAfter))
		if _, err := rw.Write(text); err != nil || control.Flush() != nil {
			return
		}
		select {
		case text = <-sub.frames:
		case <-r.Context().Done():
			return
		case <-g.watch.quit:
			return
		}
	}
}
