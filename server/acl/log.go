package acl

import (
	"strings"
	"sync"
	"time"
)

// sameWithin is how long an event of the log takes in others of its kind.
const sameWithin = time.Minute

// Reasons of events.
const (
	ReasonAuth    = "auth"    // name or password were wrong
	ReasonCommand = "command" // the user may not run it
	ReasonQueue   = "key"     // the user may not name it; Redis' word, as a queue is where its keys are
)

// Event is a client that was refused something.
type Event struct {
	ID       int64  // ascending
	Count    int64  // how often it happened
	Reason   string // one of those above
	Context  string // "toplevel", "multi" or "http"
	Object   string // the command or the queue, cut to objectMax bytes
	User     string
	Client   string // of the last time, as CLIENT LIST shows it, cut to clientMax bytes
	Created  time.Time
	LastTime time.Time
}

// Bounds on what an event keeps, in bytes: a client may give itself a long name.
const (
	objectMax = 128
	clientMax = 512
)

// Log keeps the last events. Its methods may be called from any goroutine.
type Log struct {
	mu     sync.Mutex
	next   int64
	events []Event // the oldest first
}

// Add notes an event, of which reason, context, object, user and client are set,
// and keeps at most so many. One like it within a minute only counts.
func (l *Log) Add(e Event, now time.Time, most int) {
	e.Object = strings.Clone(e.Object[:min(len(e.Object), objectMax)])
	e.User = strings.Clone(e.User[:min(len(e.User), nameMax)])
	e.Client = strings.Clone(e.Client[:min(len(e.Client), clientMax)])
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.events {
		have := &l.events[i]
		if have.Reason == e.Reason && have.Context == e.Context && have.Object == e.Object && have.User == e.User && now.Sub(have.LastTime) < sameWithin {
			have.Count++
			have.LastTime, have.Client = now, e.Client
			return
		}
	}
	e.ID, e.Count, e.Created, e.LastTime = l.next, 1, now, now
	l.next++
	l.events = append(l.events, e)
	if over := len(l.events) - most; over > 0 {
		l.events = append(l.events[:0], l.events[over:]...)
	}
}

// Latest returns up to n events, the newest first.
func (l *Log) Latest(n int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]Event, 0, min(n, len(l.events)))
	for i := len(l.events) - 1; i >= 0 && len(list) < n; i-- {
		list = append(list, l.events[i])
	}
	return list
}

// Reset forgets all events.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = nil
}
