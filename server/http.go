package server

import (
	"context"
	"log/slog"
	"math/bits"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/httpapi"
	"github.com/disqo/disqo/server/node"
)

// Limits of the HTTP side: nothing that a client does, or leaves, holds more.
const (
	httpConnections = 2048
	httpHeaderTime  = 5 * time.Second
	httpReadTime    = 30 * time.Second
	httpWriteTime   = 60 * time.Second
	httpIdleTime    = 2 * time.Minute
	httpHeaderBytes = 16 << 10
	httpStopTime    = time.Second // for requests in progress, at the end
)

// joinPatience is how long a node that is told to join others is not ready without
// them: it may be the first.
const joinPatience = 15 * time.Second

// listenHTTP opens the sockets of the HTTP side, if there is to be one.
func (s *Server) listenHTTP(cfg *config.Config) error {
	if cfg.HTTPPort < 0 {
		return nil
	}
	var err error
	if s.httpListeners, s.httpPort, err = listenTCP(cfg.Bind, cfg.HTTPPort); err != nil {
		return err
	}
	s.httpSide = httpapi.New(front{s})
	s.http = &http.Server{
		Handler: s.httpSide, ReadHeaderTimeout: httpHeaderTime, ReadTimeout: httpReadTime, WriteTimeout: httpWriteTime,
		IdleTimeout: httpIdleTime, MaxHeaderBytes: httpHeaderBytes, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.commands.time()
	return nil
}

// serveHTTP serves until closeHTTP.
func (s *Server) serveHTTP() {
	if s.http != nil {
		s.httpLoops.Go(s.httpSide.Run)
	}
	for _, l := range s.httpListeners {
		s.httpLoops.Go(func() { _ = s.http.Serve(netutil.LimitListener(l, httpConnections)) })
	}
}

// closeHTTP ends the HTTP side; again is fine.
func (s *Server) closeHTTP() {
	if s.http != nil {
		s.httpSide.Close()
		ctx, cancel := context.WithTimeout(context.Background(), httpStopTime)
		_ = s.http.Shutdown(ctx)
		cancel()
		_ = s.http.Close()
	}
	for _, l := range s.httpListeners {
		_ = l.Close()
	}
	s.httpLoops.Wait()
}

// front is the server as the HTTP side sees it.
type front struct{ s *Server }

// Ready implements httpapi.Broker.
func (f front) Ready() error {
	s := f.s
	switch log := s.node.LogInfo(); {
	case s.stopping.Load():
		return httpapi.NotReady("it is stopping")
	case s.loading.Load():
		return httpapi.NotReady("the append-only file is being loaded")
	case s.node.Leaving():
		return httpapi.NotReady("it is leaving the cluster")
	case s.node.Level() >= 2:
		return httpapi.NotReady("it is out of memory: more than 95 per cent of maxmemory is used")
	case log.Full != nil:
		return httpapi.NotReady("the disk of the append-only file is full")
	case len(s.cfg.Get().Join) > 0 && s.node.Size() == 1 && time.Since(s.started) < joinPatience:
		return httpapi.NotReady("it has not found the nodes that it shall join")
	}
	return nil
}

// Admits implements httpapi.Broker: as protected mode does on the other port.
func (f front) Admits(address string) bool {
	if cfg := f.s.cfg.Get(); !cfg.ProtectedMode || !cfg.Open() {
		return true
	}
	addr, err := netip.ParseAddrPort(address)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// Open implements httpapi.Broker.
func (f front) Open() bool { return f.s.cfg.Get().Open() }

// Login implements httpapi.Broker. Whoever is called what no user is, is taken for
// the default one.
func (f front) Login(from, name, password string) httpapi.Login {
	cfg := f.s.cfg.Get()
	if cfg.Account(name) == nil {
		name = acl.DefaultName
	}
	l := login{name, acl.HashOf([]byte(password))}
	if l.owner(cfg) == nil {
		f.s.newCaller(from, login{}).s.refused(acl.ReasonAuth, name, "AUTH")
		return nil
	}
	return l
}

// Sees implements httpapi.Broker.
func (f front) Sees(who httpapi.Login, queues bool) error {
	l := asLogin(who)
	switch u := l.owner(f.s.cfg.Get()); {
	case u == nil:
		return httpapi.Fault(errNoAuth)
	case !u.May(rightInfo):
		return httpapi.Fault(mayNotRun(u, "info"))
	case queues && !u.Every():
		return httpapi.Fault("NOPERM User " + u.Name + " has no permissions to access all queues")
	}
	return nil
}

// rightInfo is what a user needs to see figures of the node.
var rightInfo, _ = acl.Of("info", "")

// asLogin returns what Login returned, or that of a client without a name.
func asLogin(who httpapi.Login) login {
	l, _ := who.(login)
	return l
}

// Queues implements httpapi.Broker.
func (f front) Queues() []node.QueueStat { return f.s.listed.list(f.s.node) }

// Dashboard implements httpapi.Broker.
func (f front) Dashboard() string { return f.s.cfg.Get().Dashboard }

// MaxJob implements httpapi.Broker.
func (f front) MaxJob() int64 { return f.s.cfg.Get().MaxJobSize }

// Figures implements httpapi.Broker.
func (f front) Figures() httpapi.Figures {
	s := f.s
	st := &s.stats
	fig := httpapi.Figures{
		ID: s.node.ID(), Version: s.build.Version, Commit: s.build.Commit, Uptime: time.Since(s.started),
		Connections: st.connections.Load(), Rejected: st.rejected.Load(), Connected: int64(s.clients.len()), Blocked: st.blocked.Load(),
		NetInput: st.netInput.Load(), NetOutput: st.netOutput.Load(),
		Jobs: s.node.Counts(), QueueCount: s.node.Queues(),
		MemoryUsed: s.node.Used(), MemoryMax: s.cfg.Get().MaxMemory,
		Log: s.node.LogInfo(), Loading: s.loading.Load(),
		Known: s.node.Size(), Reachable: s.node.Reachable(), Leaving: s.node.Leaving(),
		Copies: st.copies.read(),
	}
	for i := range s.commands.rows {
		row := &s.commands.rows[i]
		if row.stats.calls.Load() > 0 {
			calls := row.stats.took.read()
			calls.Count, calls.Sum = uint64(row.stats.calls.Load()), time.Duration(row.stats.nanos.Load())
			fig.Commands = append(fig.Commands, httpapi.Command{Name: row.name, Calls: calls})
		}
	}
	for _, m := range s.cluster.Members() {
		switch {
		case m.Self:
			fig.Address = m.Address()
		case !m.Handshake:
			fig.Peers = append(fig.Peers, httpapi.Peer{ID: m.ID, Address: m.Address(), State: s.node.PeerState(m.ID), Failed: m.Failed, Leaving: m.Leaving})
		}
	}
	_, _, fig.LinksSent, fig.LinksRead = s.node.LinkStats()
	fig.BadMessages, _ = s.node.BadMessages()
	return fig
}

// listed are the queues that the HTTP side names. Those that were stay as long as they
// live, so that others do not take their places.
type listed struct {
	mu    sync.Mutex
	names []string // of the last time, if there were too many
}

// list returns up to httpapi.QueuesMost queues.
func (l *listed) list(n *node.Node) []node.QueueStat {
	l.mu.Lock()
	defer l.mu.Unlock()
	const most = httpapi.QueuesMost
	list := make([]node.QueueStat, 0, min(most, n.Queues()))
	n.ScanQueues(0, -1, true, func(q node.QueueStat) bool {
		list = append(list, q)
		return len(list) <= most
	})
	if len(list) <= most {
		l.names = nil
		return list
	}
	list = list[:0]
	known := make(map[string]bool, len(l.names))
	for _, name := range l.names {
		if q, ok := n.QueueStat([]byte(name)); ok {
			list = append(list, q)
			known[name] = true
		}
	}
	n.ScanQueues(0, -1, true, func(q node.QueueStat) bool {
		if len(list) < most && !known[q.Name] {
			list = append(list, q)
		}
		return len(list) < most
	})
	l.names = l.names[:0]
	for i := range list {
		l.names = append(l.names, list[i].Name)
	}
	return list
}

// histogram counts durations by powers of two of a microsecond: the i-th bucket
// has those of less than 2^i microseconds that are in none before.
type histogram struct {
	nanos   atomic.Int64
	buckets [histogramBuckets]atomic.Uint64
}

const histogramBuckets = 25 // up to 16 seconds; the last has all that took longer

func (h *histogram) add(took time.Duration) {
	h.buckets[min(bits.Len64(uint64(max(0, took.Microseconds()))), histogramBuckets-1)].Add(1)
}

// read returns the buckets without the last, which has no bound.
func (h *histogram) read() (out httpapi.Histogram) {
	for i := range h.buckets {
		n := h.buckets[i].Load()
		out.Count += n
		if i < histogramBuckets-1 {
			out.Buckets = append(out.Buckets, n)
		}
	}
	out.Sum = time.Duration(h.nanos.Load())
	return out
}
