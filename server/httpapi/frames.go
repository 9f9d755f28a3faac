package httpapi

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/disqo/disqo/server/node"
)

// frame is an event of /v1/events: all there is (state), or what changed (change).
type frame struct {
	At      int64             `json:"at"` // of the broker's clock, Unix milliseconds
	Node    *nodeFrame        `json:"node"`
	Queues  []queueFrame      `json:"queues"`            // all, or those that changed
	Gone    []string          `json:"gone,omitempty"`    // keys of queues that are no more
	Sampled bool              `json:"sampled,omitempty"` // a sample was taken; queues that are not in it had nothing
	Sample  map[string]sample `json:"sample,omitempty"`  // by key; "" is the node
	Step    int               `json:"step,omitempty"`    // seconds between samples
	Samples int               `json:"samples,omitempty"` // how many are kept
	History map[string]series `json:"history,omitempty"` // by key; "" is the node
}

// sample is how many jobs came to a queue and left it since the one before, and how
// many were queued.
type sample [3]uint32

// series is samples, the latest last.
type series []sample

// push adds a sample and forgets those that are too old. A series begins with the
// first that has something in it.
func (s *series) push(v sample) {
	if len(*s) == 0 && v == (sample{}) {
		return
	}
	*s = append(*s, v)
	*s = (*s)[max(0, len(*s)-samplesKept):]
}

// nodeFrame is the node, and its cluster as it sees it.
type nodeFrame struct {
	ID         string         `json:"id"`
	Address    string         `json:"address"` // for clients; the host may be missing
	Version    string         `json:"version"`
	Dashboard  string         `json:"dashboard"` // what its pages may do: yes, ro or no
	Uptime     int64          `json:"uptimeSeconds"`
	NotReady   string         `json:"notReady,omitempty"` // why, if it is not
	MemoryUsed int64          `json:"memoryUsedBytes"`
	MemoryMax  int64          `json:"memoryMaxBytes"` // 0: no bound
	Jobs       map[string]int `json:"jobs"`           // by state
	In         float64        `json:"in"`             // jobs a second that came to queues
	Out        float64        `json:"out"`            // and that left them
	Clients    int64          `json:"clients"`
	Blocked    int64          `json:"blocked"` // clients that wait for jobs
	QueueCount int            `json:"queueCount"`
	Peers      []peerFrame    `json:"peers"`
}

// peerFrame is another node.
type peerFrame struct {
	ID         string  `json:"id"`
	Address    string  `json:"address"`
	State      string  `json:"state"` // up, suspect, unlinked, leaving or failed
	RoundTrip  float64 `json:"roundTripSeconds"`
	Outbox     int     `json:"outboxBytes"`
	MemoryUsed int64   `json:"memoryUsedBytes"` // 0 while unknown
	MemoryMax  int64   `json:"memoryMaxBytes"`
}

// queueFrame is a queue. It has no age, which would change all the time.
type queueFrame struct {
	Key       string  `json:"key"`  // the name as paths have it
	Name      string  `json:"name"` // as it is shown
	Live      bool    `json:"live"` // commands know it; else it only has jobs
	Queued    int     `json:"queued"`
	Active    int     `json:"active"`
	Delayed   int     `json:"delayed"`
	Dead      int     `json:"dead"`
	Oldest    int64   `json:"oldest"`    // when the oldest queued job was made, Unix milliseconds; 0: there is none
	Consumers int     `json:"consumers"` // that wait
	Pause     string  `json:"pause"`
	In        float64 `json:"in"` // jobs a second
	Out       float64 `json:"out"`
}

func newNodeFrame(f *Figures) nodeFrame {
	n := nodeFrame{
		ID: f.ID, Address: f.Address, Version: f.Version, Uptime: int64(f.Uptime.Seconds()), MemoryUsed: f.MemoryUsed, MemoryMax: f.MemoryMax,
		Jobs: map[string]int{}, Clients: f.Connected, Blocked: f.Blocked, QueueCount: f.QueueCount, Peers: newPeerFrames(f.Peers),
	}
	for k, state := range states {
		n.Jobs[state] = f.Jobs.Jobs[k]
	}
	return n
}

func newPeerFrames(peers []Peer) []peerFrame {
	list := make([]peerFrame, 0, len(peers))
	for _, p := range peers {
		f := peerFrame{ID: p.ID, Address: p.Address, State: p.state()}
		if p.State.Linked && !p.Failed { // else it is what it was
			f.RoundTrip, f.Outbox, f.MemoryUsed, f.MemoryMax = p.State.RTT.Seconds(), p.State.Outbox, p.State.MemoryUsed, p.State.MemoryMax
		}
		list = append(list, f)
	}
	return list
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

// fill sets what a queue is, but for its rates.
func (f *queueFrame) fill(q *node.QueueStat) {
	jobs := &q.Counts.Jobs
	f.Live, f.Queued, f.Active, f.Delayed, f.Dead = q.Live, jobs[node.ClassQueued], jobs[node.ClassActive], jobs[node.ClassDelayed], jobs[node.ClassDead]
	f.Oldest, f.Consumers, f.Pause = q.Oldest/int64(time.Millisecond), q.Blocked, q.Pause.String()
}

// pathKey returns the name of a queue as one part of a path.
func pathKey(name string) string { return strings.ReplaceAll(url.QueryEscape(name), "+", "%20") }

// event is a frame as it is sent.
func event(name string, f *frame) []byte {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // of numbers and texts only: it can be written
	}
	return append(append([]byte("event: "+name+"\ndata: "), b...), "\n\n"...)
}
