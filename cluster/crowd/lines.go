package crowd

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// A line about the same is written once in linesPause,
	linesPause = time.Minute
	// and in that time no more than these: a cluster that breaks has some for each
	// of its nodes; about strangers a few tell all there is to know.
	knownMost    = 1024
	strangerMost = 64
)

// Lines is a log of what strangers, and peers that fail, make a node say again
// and again. Safe for concurrent use.
type Lines struct {
	log *slog.Logger

	mu    sync.Mutex
	begun time.Time            // when the present minute began
	said  map[subject]struct{} // in it
	count map[bool]int         // of said: known or not
	left  int                  // lines that exceeded the bounds
}

// subject is what a line is about.
type subject struct {
	Who
	line string
}

// Who is whom a line is about, and what else tells it from another one.
type Who struct {
	name  string
	known bool
}

// Known is a node of the cluster, or what this one was told of by those who run
// it. What a stranger says that he is does not count.
func Known(name string) Who { return Who{name, true} }

// Stranger is anybody else, named by the host, which cannot be made up, or ""
// where that is not known.
func Stranger(host string) Who { return Who{host, false} }

// NewLines returns lines of a log; nil is one that keeps nothing.
func NewLines(log *slog.Logger) *Lines {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Lines{log: log}
}

// Say writes a line unless it, about the same, was written already in this
// minute, or too many were.
func (l *Lines) Say(level slog.Level, who Who, line string, args ...any) {
	ok, left := l.may(subject{who, line}, time.Now())
	if left > 0 {
		l.log.Warn("too much to say in a minute; lines are left out", "lines", left)
	}
	if ok {
		l.log.Log(context.Background(), level, line, args...)
	}
}

// may reports whether to write a line, and how many were left out in the minute
// that ended before it.
func (l *Lines) may(s subject, now time.Time) (ok bool, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said == nil || now.Sub(l.begun) >= linesPause {
		left = l.left
		l.begun, l.said, l.count, l.left = now, map[subject]struct{}{}, map[bool]int{}, 0
	}
	most := strangerMost
	if s.known {
		most = knownMost
	}
	switch _, twice := l.said[s]; {
	case twice:
		return false, left
	case l.count[s.known] >= most:
		l.left++
		return false, left
	}
	l.said[s] = struct{}{}
	l.count[s.known]++
	return true, left
}
