package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/resp"
)

// monitors are the clients that asked to see every command.
type monitors struct {
	count atomic.Int32
	mu    sync.Mutex
	set   map[*session]struct{}
}

func (m *monitors) any() bool { return m.count.Load() > 0 }

func (m *monitors) add(s *session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set == nil {
		m.set = map[*session]struct{}{}
	}
	m.set[s] = struct{}{}
	m.count.Store(int32(len(m.set)))
	s.monitoring = true
	s.info.monitor.Store(true)
}

func (m *monitors) remove(s *session) {
	if !s.monitoring {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.set, s)
	m.count.Store(int32(len(m.set)))
	s.monitoring = false
	s.info.monitor.Store(false)
}

// shownBytes bounds an argument in MONITOR: it shows commands, not bodies.
const shownBytes = 1024

// feed sends a command that is about to run to every monitor.
func (m *monitors) feed(from *session, args [][]byte) {
	now := time.Now()
	line := fmt.Appendf(nil, "+%d.%06d [%s]", now.Unix(), now.Nanosecond()/1000, from.info.addr)
	for _, a := range args {
		line = append(line, ' ')
		line = resp.AppendQuoted(line, a[:min(len(a), shownBytes)])
	}
	line = append(line, '\r', '\n')
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.set {
		s.monitored(line)
	}
}

// MONITOR: a second one from the same client has no reply of its own.
func cmdMonitor(s *session, _ [][]byte) {
	if s.monitoring {
		return
	}
	s.srv.monitors.add(s)
	if s.lapsed() {
		s.srv.monitors.remove(s)
		s.fail(errLapsed)
		return
	}
	s.reply.Status("OK")
}
