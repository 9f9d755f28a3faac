package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/disqo/disqo/server/resp"
)

// latencySamples is how many samples an event keeps.
const latencySamples = 160

// latency remembers when an event took longer than
// latency-monitor-threshold: "command", or "fast-command" for those whose flag
// says that they should be fast.
type latency struct {
	mu     sync.Mutex
	events map[string]*latencyEvent
}

type latencyEvent struct {
	samples []latencySample // oldest first
	worst   int64           // milliseconds, since the last reset
}

type latencySample struct {
	at int64 // unix seconds
	ms int64
}

// note takes a command that ran. threshold is in milliseconds, 0 is off.
func (l *latency) note(threshold int, cmd *command, took time.Duration) {
	if threshold <= 0 || took < time.Duration(threshold)*time.Millisecond {
		return
	}
	name := "command"
	if cmd.flags&fast != 0 {
		name = "fast-command"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = map[string]*latencyEvent{}
	}
	e := l.events[name]
	if e == nil {
		e = &latencyEvent{}
		l.events[name] = e
	}
	e.add(latencySample{time.Now().Unix(), took.Milliseconds()})
}

// add keeps the worst sample of a second.
func (e *latencyEvent) add(s latencySample) {
	e.worst = max(e.worst, s.ms)
	if k := len(e.samples); k > 0 && e.samples[k-1].at == s.at {
		e.samples[k-1].ms = max(e.samples[k-1].ms, s.ms)
		return
	}
	if len(e.samples) == latencySamples {
		e.samples = append(e.samples[:0], e.samples[1:]...)
	}
	e.samples = append(e.samples, s)
}

// get returns a copy of an event.
func (l *latency) get(name string) (e latencyEvent, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.events[name]
	if p == nil {
		return e, false
	}
	return latencyEvent{slices.Clone(p.samples), p.worst}, true
}

// latencyRow is a line of LATENCY LATEST.
type latencyRow struct {
	name  string
	last  latencySample
	worst int64
}

// latest returns the last sample of each event, by name.
func (l *latency) latest() (rows []latencyRow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.events)) {
		e := l.events[name]
		rows = append(rows, latencyRow{name, e.samples[len(e.samples)-1], e.worst})
	}
	return rows
}

func (l *latency) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.events))
}

// reset forgets the named events, or all, and returns how many.
func (l *latency) reset(names []string) (n int) {
	if len(names) == 0 {
		names = l.names()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		if l.events[name] != nil {
			delete(l.events, name)
			n++
		}
	}
	return n
}

// LATENCY HISTORY event | GRAPH event | LATEST | DOCTOR | RESET [event ...]
func cmdLatency(s *session, args [][]byte) {
	sub, rest := lower(args[1]), args[2:]
	switch {
	case sub == "history" && len(rest) == 1:
		e, _ := s.srv.latency.get(string(rest[0]))
		s.reply.Array(len(e.samples))
		for _, x := range e.samples {
			s.reply.Array(2)
			s.reply.Int(x.at)
			s.reply.Int(x.ms)
		}
	case sub == "graph" && len(rest) == 1:
		e, ok := s.srv.latency.get(string(rest[0]))
		if !ok {
			s.errorf("ERR No samples available for event '%s'", resp.Echo(rest[0]))
			return
		}
		s.reply.BulkString(e.graph(string(rest[0])))
	case sub == "latest" && len(rest) == 0:
		s.latencyLatest()
	case sub == "doctor" && len(rest) == 0:
		s.reply.BulkString(s.srv.latencyReport())
	case sub == "reset":
		names := make([]string, len(rest))
		for i, r := range rest {
			names[i] = string(r)
		}
		s.reply.Int(int64(s.srv.latency.reset(names)))
	default:
		s.fail(errSyntax)
	}
}

func (s *session) latencyLatest() {
	rows := s.srv.latency.latest()
	s.reply.Array(len(rows))
	for _, r := range rows {
		s.reply.Array(4)
		s.reply.BulkString(r.name)
		s.reply.Int(r.last.at)
		s.reply.Int(r.last.ms)
		s.reply.Int(r.worst)
	}
}

// graphHeight is the height of the tallest bar.
const graphHeight = 6

// graph draws the samples as bars, oldest on the left.
func (e *latencyEvent) graph(name string) string {
	high, low := e.samples[0].ms, e.samples[0].ms
	for _, s := range e.samples {
		high, low = max(high, s.ms), min(low, s.ms)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s - high %d ms, low %d ms (all time high %d ms)\n", name, high, low, e.worst)
	for row := int64(graphHeight); row > 0; row-- {
		line := ""
		for _, s := range e.samples {
			if s.ms*graphHeight >= high*row {
				line += "#"
			} else {
				line += " "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// latencyReport is LATENCY DOCTOR: what was seen, and what to do about it.
func (s *Server) latencyReport() string {
	threshold := s.cfg.Get().LatencyMonitorThreshold
	names := s.latency.names()
	switch {
	case threshold == 0:
		return "Latency monitoring is off. Switch it on with CONFIG SET latency-monitor-threshold <milliseconds>.\n"
	case len(names) == 0:
		return fmt.Sprintf("No command took longer than latency-monitor-threshold (%d ms).\n", threshold)
	}
	var b strings.Builder
	for _, name := range names {
		e, ok := s.latency.get(name)
		if !ok {
			continue
		}
		sum := int64(0)
		for _, x := range e.samples {
			sum += x.ms
		}
		fmt.Fprintf(&b, "%s: %d seconds with a spike, on average %d ms, at worst %d ms.\n", name, len(e.samples), sum/int64(len(e.samples)), e.worst)
	}
	b.WriteString("SLOWLOG GET shows which commands were slow. Long scans: use smaller COUNTs instead of BUSYLOOP. Large " +
		"replies: fetch fewer jobs at a time. If no command is to blame, the machine is: look at its load, swap and virtualisation.\n")
	return b.String()
}
