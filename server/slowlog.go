package server

import (
	"sync"
	"time"

	"github.com/disqo/disqo/server/config"
)

// Bounds of an entry, so that the log's memory is known.
const (
	slowArgs  = 32  // arguments kept
	slowBytes = 128 // bytes kept of each
)

// slowlog keeps the last commands that took long. The time is that of
// execution: it does not count waiting in GETJOB.
type slowlog struct {
	mu      sync.Mutex
	next    int64
	entries []slowEntry // newest last
}

type slowEntry struct {
	id   int64
	at   time.Time
	took time.Duration
	args []string
}

// note logs a command that ran, if it was slow.
func (l *slowlog) note(cfg *config.Config, args [][]byte, took time.Duration, cmd *command) {
	limit := cfg.SlowlogLogSlowerThan
	if limit < 0 || took < time.Duration(limit)*time.Microsecond || cmd.flags&secret != 0 {
		return
	}
	e := slowEntry{at: time.Now(), took: took}
	for i, a := range args {
		if i == slowArgs {
			break
		}
		e.args = append(e.args, string(a[:min(len(a), slowBytes)]))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.next
	l.next++
	l.entries = append(l.entries, e)
	if over := len(l.entries) - cfg.SlowlogMaxLen; over > 0 {
		l.entries = append(l.entries[:0], l.entries[over:]...)
	}
}

// latest returns up to n entries, newest first.
func (l *slowlog) latest(n int64) []slowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []slowEntry
	for i := len(l.entries) - 1; i >= 0 && int64(len(list)) < n; i-- {
		list = append(list, l.entries[i])
	}
	return list
}

func (l *slowlog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

func (l *slowlog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
}

// SLOWLOG GET [n] | LEN | RESET
func cmdSlowlog(s *session, args [][]byte) {
	sub := lower(args[1])
	switch {
	case sub == "reset" && len(args) == 2:
		s.srv.slowlog.reset()
		s.reply.Status("OK")
	case sub == "len" && len(args) == 2:
		s.reply.Int(int64(s.srv.slowlog.len()))
	case sub == "get" && len(args) <= 3:
		n := int64(10)
		if len(args) == 3 {
			var ok bool
			if n, ok = parseInt(args[2]); !ok {
				s.fail(errNotInteger)
				return
			}
		}
		s.slowlogGet(n)
	default:
		s.reply.Error("ERR Unknown SLOWLOG subcommand or wrong # of args. Try GET, RESET, LEN.")
	}
}

func (s *session) slowlogGet(n int64) {
	list := s.srv.slowlog.latest(n)
	s.reply.Array(len(list))
	for _, e := range list {
		s.reply.Array(4)
		s.reply.Int(e.id)
		s.reply.Int(e.at.Unix())
		s.reply.Int(e.took.Microseconds())
		s.reply.Array(len(e.args))
		for _, a := range e.args {
			s.reply.BulkString(a)
		}
	}
}
