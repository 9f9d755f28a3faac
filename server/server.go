package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/cluster"
	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/httpapi"
	"github.com/disqo/disqo/server/node"
)

// Server is a broker: a node and the sockets by which clients reach it.
type Server struct {
	cfg      *config.Set
	log      *slog.Logger
	level    *slog.LevelVar // what loglevel sets; nil if the logger is not ours
	identity *cluster.Identity
	cluster  *cluster.Cluster
	node     *node.Node
	commands *commands
	clients  clients
	stats    stats
	slowlog  slowlog
	latency  latency
	monitors monitors
	callers  callers
	aclLog   acl.Log

	membersMu sync.Mutex // held while the node is told of its peers

	build   Build
	started time.Time
	runID   string
	port    int // of the first TCP listener
	tlsPort int // where clients speak TLS, 0 if nowhere

	listeners []net.Listener

	http          *http.Server // nil: there is no HTTP side
	httpListeners []net.Listener
	httpSide      *httpapi.Side // nil: there is none
	httpLoops     sync.WaitGroup
	listed        listed
	httpPort      int

	refusing chan struct{} // a place for each client that speaks TLS and is being told that it is not let in

	conns   sync.WaitGroup
	helpers sync.WaitGroup // accept loops and the sampler

	logFS    node.FS       // where the append-only file lives; nil is the system's
	loading  atomic.Bool   // it is being read
	loaded   func()        // called when it was; nil: nobody wants to know
	ready    func()        // called when clients are served; nil: nobody wants to know
	picture  atomic.Bool   // one is being written, though appendonly is no
	failed   chan error    // it failed
	givenUp  chan struct{} // it could not be switched on: for the sampler
	diskFull bool          // as last logged; the sampler's

	pausedUntil atomic.Int64 // CLIENT PAUSE, milliseconds of the node's clock
	stopping    atomic.Bool
	gate        sync.RWMutex    // held for writing while stopping becomes true
	ending      context.Context // ends when the server shall stop
	end         context.CancelFunc
}

// Build says which program this is.
type Build struct {
	Version string // N.N.N
	Commit  string
	Dirty   bool
}

// Options are what a server needs beside its configuration.
type Options struct {
	Config   *config.Set
	Log      *slog.Logger
	LogLevel *slog.LevelVar // follows CONFIG SET loglevel; may be nil
	Build    Build
	LogFS    node.FS // the file system of the append-only file; nil is the system's
	Loaded   func()  // called when the append-only file was read, before anybody is served; may be nil
	Ready    func()  // called when clients are served; may be nil
}

// New makes a server that listens but does not serve yet: a client that
// connects is answered once Run is called. Close must be called if Run is not.
func New(o Options) (*Server, error) {
	cfg := o.Config.Get()
	s := &Server{
		cfg: o.Config, log: o.Log, level: o.LogLevel, build: o.Build,
		logFS: o.LogFS, loaded: o.Loaded, ready: o.Ready, failed: make(chan error, 1), givenUp: make(chan struct{}, 1),
		started: time.Now(), runID: newRunID(), refusing: make(chan struct{}, refusalsMost),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	var err error
	if s.commands, err = newCommands(cfg.RenameCommand); err != nil {
		return nil, err
	}
	if s.identity, err = cluster.OpenIdentity(cfg.Path(cfg.ClusterConfigFile)); err != nil {
		return nil, err
	}
	if err = s.open(cfg); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.fitFiles(cfg)
	s.cfg.OnChange(s.changed)
	return s, nil
}

// ownFiles is how many descriptors are left for what is no client: listeners,
// the log, the append-only file.
const ownFiles = 64

// fitFiles lowers maxclients to what the system's limit of descriptors allows:
// clients must not take those of the append-only file.
func (s *Server) fitFiles(cfg *config.Config) {
	limit, own := fileLimit(), ownFiles
	if s.http != nil {
		own += httpConnections
	}
	if limit == 0 || cfg.MaxClients <= limit-own {
		return
	}
	most := max(1, limit-own)
	s.log.Warn("maxclients is lowered, as the process may not open more files; raise its limit (ulimit -n, LimitNOFILE)",
		"files", limit, "maxclients", most, "was", cfg.MaxClients)
	if err := s.cfg.Update("maxclients", strconv.Itoa(most)); err != nil {
		s.log.Warn("lowering maxclients failed", "error", err)
	}
}

// open makes the node and the listeners.
func (s *Server) open(cfg *config.Config) (err error) {
	s.node, err = node.New(node.Options{
		ID: s.identity.ID(), MaxMemory: cfg.MaxMemory, MaxQueues: int64(cfg.MaxQueues),
		KeepSpent: cfg.MaxMemoryPolicy == "noeviction", OnFail: s.logFailed, Bus: s.bus(cfg),
	})
	if err != nil {
		return err
	}
	s.node.SetReclaim(cfg.AutoAOFRewritePercentage, cfg.AutoAOFRewriteMinSize)
	s.loading.Store(cfg.AppendOnly || cfg.AOFEnqueueJobsOnce)
	s.node.SetDefaults(cfg.DefaultReplicate, cfg.DefaultSync)
	s.node.SetLeaving(s.identity.Leaving())
	if err := s.listen(cfg); err != nil {
		return err
	}
	if err := s.listenHTTP(cfg); err != nil {
		return err
	}
	if err := s.openBus(cfg); err != nil {
		return err
	}
	if err := s.identity.Save(s.port); err != nil {
		return fmt.Errorf("%s: %w", cfg.Path(cfg.ClusterConfigFile), err)
	}
	setCollectorLimit(cfg.MaxMemory, 0)
	return nil
}

// Close releases what New took. An error says that the end of the append-only
// file may not be on disk.
func (s *Server) Close() (err error) {
	s.closeHTTP()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	if s.cluster != nil {
		s.cluster.Close()
	}
	if s.node != nil {
		err = s.node.Close()
	}
	if err := s.identity.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		s.log.Warn("releasing the identity failed", "error", err)
	}
	return err
}

// Loading reports whether the append-only file is being loaded, and clients are told so.
func (s *Server) Loading() bool { return s.loading.Load() }

// Addrs returns the addresses the server listens on.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

// loadingQuiet is how long clients wait to be let in while the append-only file
// is loaded. Then they are, and are told -LOADING: a restart that takes no longer
// is one that they need not know of.
const loadingQuiet = time.Second

// Run loads the append-only file and serves until ctx ends or a client says
// SHUTDOWN. Then it stops accepting, lets what was received be executed and
// answered, tells blocked consumers to go elsewhere, closes all
// connections, by force after shutdown-timeout, has peers go on with its jobs, and
// closes the server. Errors are those of loading, and *LogFailure.
func (s *Server) Run(ctx context.Context) error {
	var open sync.Once
	serve := func() {
		for _, l := range s.listeners {
			s.helpers.Go(func() { s.accept(l) })
		}
	}
	patience := time.AfterFunc(loadingQuiet, func() { open.Do(serve) })
	s.helpers.Go(s.sampler)
	s.serveHTTP()
	err := s.load(ctx)
	patience.Stop()
	open.Do(serve)
	if err != nil {
		_ = s.abort()
		if errors.Is(err, errStopLoading) {
			s.log.Info(err.Error())
			return nil
		}
		return err
	}
	if s.loaded != nil {
		s.loaded()
	}
	s.node.Start()
	if err := s.cluster.Start(); err != nil {
		_ = s.abort()
		return fmt.Errorf("the cluster bus: %w", err)
	}
	s.membersChanged() // who was there before is likely to be there again: no client is to be told that there are no nodes for its copies
	s.loading.Store(false)
	s.sayReady()
	if s.ready != nil {
		s.ready()
	}
	select {
	case <-ctx.Done():
	case <-s.ending.Done():
	case err := <-s.failed:
		_ = s.abort()
		return &LogFailure{err}
	}
	s.log.Info("stopping", "clients", s.clients.len())
	if err := s.stop(); err != nil {
		return &LogFailure{err}
	}
	s.log.Info("stopped", "jobs", s.node.Jobs())
	return nil
}

// sayReady logs where clients are served.
func (s *Server) sayReady() {
	var clear, secured []net.Addr
	for _, l := range s.listeners {
		if _, ok := l.(secure); ok {
			secured = append(secured, l.Addr())
		} else {
			clear = append(clear, l.Addr())
		}
	}
	cfg := s.cfg.Get()
	ready := []any{"node", s.node.ID(), "version", s.build.Version, "addresses", clear, "pid", os.Getpid(), "maxmemory", cfg.MaxMemory}
	if secured != nil {
		ready = append(ready, "tls", secured)
	}
	if s.http != nil {
		ready = append(ready, "http", s.httpListeners[0].Addr().String())
	}
	s.log.Info("ready for clients", ready...)
	if !cfg.ProtectedMode && cfg.Open() {
		s.log.Info("protected-mode is off and no password is set: whoever reaches the port is served")
	}
}

// abortMost bounds the wait for connections of a server that must not answer
// anything more.
const abortMost = 500 * time.Millisecond

// abort closes everything at once: nobody is answered.
func (s *Server) abort() error {
	s.bar()
	for _, c := range s.clients.all() {
		c.kill()
	}
	closed := make(chan struct{})
	go func() {
		s.helpers.Wait()
		s.conns.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(abortMost):
	}
	return s.Close()
}

// Shutdown makes Run return. Safe for any goroutine, any number of times.
func (s *Server) Shutdown() { s.end() }

// bar lets nobody begin anything more.
func (s *Server) bar() {
	s.gate.Lock()
	s.stopping.Store(true)
	s.gate.Unlock()
	s.Shutdown()
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// enter begins something that is waited for when the server stops, until conns.Done. It
// reports false if the server stops already.
func (s *Server) enter() bool {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.stopping.Load() {
		return false
	}
	s.conns.Add(1)
	return true
}

// handOverLeast is what peers are given to take over jobs when clients took all of
// shutdown-timeout to go.
const handOverLeast = time.Second

func (s *Server) stop() error {
	s.bar()
	most := time.Duration(s.cfg.Get().ShutdownTimeout) * time.Second
	until := time.Now().Add(most)
	s.helpers.Wait()
	s.wakeAll()
	closed := make(chan struct{})
	go func() {
		s.conns.Wait()
		close(closed)
	}()
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	select {
	case <-closed:
	case <-timeout.C:
		s.log.Warn("clients did not take their replies within shutdown-timeout", "clients", s.clients.len())
		for _, c := range s.clients.all() {
			c.kill()
		}
		s.closeHTTP()
		select {
		case <-closed:
		case <-time.After(abortMost):
			s.log.Warn("requests are still being executed; what they did is not answered")
		}
	}
	if most > 0 {
		s.handOver(max(time.Until(until), handOverLeast))
	}
	return s.Close()
}

// handOver has peers go on with the jobs of this node.
func (s *Server) handOver(most time.Duration) {
	if s.node.Size() == 1 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	s.cluster.Retire()
	s.node.Retire()
	switch left := s.node.HandOver(ctx); {
	case left == 0:
	case s.node.Keeps():
		s.log.Warn("peers did not take over all jobs in time: those come when their RETRY is over, or when this node is back", "jobs", left)
	default:
		s.log.Warn("peers did not take over all jobs in time: those that no other node holds are lost, as this one keeps no log", "jobs", left)
	}
}

// wakeAll makes every connection look at its state.
func (s *Server) wakeAll() {
	for _, c := range s.clients.all() {
		c.wake()
	}
}

// forget is called by a connection that has ended.
func (s *Server) forget(c *conn) { s.clients.remove(c) }

// ticks is a cheap clock for durations, in nanoseconds.
func (s *Server) ticks() int64 { return int64(time.Since(s.started)) }

// paused reports whether CLIENT PAUSE is in force.
func (s *Server) paused() bool {
	until := s.pausedUntil.Load()
	return until != 0 && s.node.Now() < until
}

// sampler takes the figures that are averages or peaks.
func (s *Server) sampler() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.ending.Done():
			return
		case <-s.givenUp:
			s.logGivenUp()
		case now := <-tick.C:
			s.sample(now)
		}
	}
}

func (s *Server) sample(now time.Time) {
	s.noteDisk()
	s.stats.rate.sample(now, [3]int64{s.calls(), s.stats.netInput.Load(), s.stats.netOutput.Load()})
	if used := s.node.Used(); used > s.stats.peakMemory.Load() {
		s.stats.peakMemory.Store(used)
	}
}

// calls returns how many commands were executed.
func (s *Server) calls() (n int64) {
	for i := range s.commands.rows {
		n += s.commands.rows[i].stats.calls.Load()
	}
	return n
}

func sortByID(list []*conn) {
	slices.SortFunc(list, func(a, b *conn) int { return int(a.info.id - b.info.id) })
}
