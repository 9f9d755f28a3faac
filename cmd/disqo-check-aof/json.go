package main

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// line is a record as JSON. Times are milliseconds since the epoch, but for
// created: nanoseconds. What a kind of record does not have is left out.
type line struct {
	Segment uint32  `json:"segment"`
	Offset  int64   `json:"offset"`
	Batch   uint64  `json:"batch"`
	Time    int64   `json:"time"`
	Kind    string  `json:"kind"`
	ID      string  `json:"id,omitempty"`
	Queue   *string `json:"queue,omitempty"`
	// QueueBase64 says that the name of the queue is no UTF-8.
	QueueBase64 bool `json:"queueBase64,omitempty"`
	*progressLine
	*putLine
	Pause *string `json:"pause,omitempty"`
	Low   *uint16 `json:"low,omitempty"`
	High  *uint16 `json:"high,omitempty"`
	Error string  `json:"error,omitempty"`
	*bodyLine
}

// progressLine is what puts and states have.
type progressLine struct {
	State      string `json:"state"`
	Next       int64  `json:"next"`
	Nacks      uint16 `json:"nacks"`
	Extra      uint16 `json:"extra"`
	Delivered  bool   `json:"delivered"`
	QueuedOnce bool   `json:"queuedOnce"`
	*termsLine
}

// termsLine is what puts and states of jobs with terms have. A state says nothing
// of a reason that is as it was.
type termsLine struct {
	Priority   uint32 `json:"priority"`
	MaxTries   uint16 `json:"maxTries"`
	Tries      uint16 `json:"tries"`
	Base       uint32 `json:"backoffBase"`
	Most       uint32 `json:"backoffMax"`
	BackingOff bool   `json:"backingOff"`
	Generation uint32 `json:"generation"`
	Reason     string `json:"reason,omitempty"`
}

// putLine is what only puts have.
type putLine struct {
	TTL     int64  `json:"ttl"`
	Retry   uint32 `json:"retry"`
	Delay   uint32 `json:"delay"`
	Created int64  `json:"created"`
	Expires int64  `json:"expires"`
	Repl    uint16 `json:"repl"`
}

// bodyLine is a body, or a record that cannot be read: text if it is UTF-8.
type bodyLine struct {
	Bytes  int    `json:"bytes"`
	Body   string `json:"body"`
	Base64 bool   `json:"base64"`
}

func newBody(b []byte) *bodyLine {
	text, encoded := textOf(b)
	return &bodyLine{len(b), text, encoded}
}

// textOf returns bytes as text, encoded if they are none.
func textOf(b []byte) (text string, encoded bool) {
	if utf8.Valid(b) {
		return string(b), false
	}
	return base64.StdEncoding.EncodeToString(b), true
}

func (l *line) queue(name string) {
	text, encoded := textOf([]byte(name))
	l.Queue, l.QueueBase64 = &text, encoded
}

func newLine(b *aof.Batch, r *store.Record, rec []byte, wrong error) *line {
	l := &line{Segment: b.Segment, Offset: b.Offset, Batch: b.Seq, Time: b.Time, Kind: r.Kind}
	if wrong != nil {
		l.Kind, l.Error, l.bodyLine = "unreadable", wrong.Error(), newBody(rec)
		return l
	}
	if r.ID != (store.ID{}) {
		l.ID = r.ID.String()
	}
	if j := r.Job; j != nil {
		l.progressLine = &progressLine{j.State.String(), j.NextQueue, j.Nacks, j.Extra, r.Delivered, r.QueuedOnce, nil}
		if t := j.Terms; t != nil {
			reason, _ := textOf(t.Reason)
			l.termsLine = &termsLine{t.Priority, t.Limit, t.Tries, t.Base, t.Most, t.Held, t.Generation, reason}
		}
	}
	switch r.Kind {
	case store.KindPut:
		j := r.Job
		l.queue(r.Queue)
		l.putLine = &putLine{ttl(j), j.Retry, j.Delay, j.Created, j.Expires, j.Repl}
		l.bodyLine = newBody(j.Body)
	case store.KindQueue:
		pause := r.Pause.String()
		l.queue(r.Queue)
		l.Pause = &pause
	case store.KindFlush:
		l.Low, l.High = &r.Low, &r.High
	}
	return l
}
