package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/disqo/disqo/cluster/crowd"
)

// Cluster is this node among the others. Its methods may be called from any
// goroutine.
type Cluster struct {
	o     Options
	log   *slog.Logger
	lines *crowd.Lines
	bus   *bus

	ring    *memberlist.Keyring    // keys of gossip; nil without a secret
	armour  atomic.Pointer[armour] // what the secrets come to
	refused atomic.Int64           // strangers who tried to talk to this node

	sealedMu sync.Mutex           // the last of all locks
	sealed   map[*sealed]struct{} // links that are encrypted

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // wakes upkeep
	hurry  chan struct{} // wakes the join loop
	dirty  chan struct{} // wakes the saver
	inbox  chan message

	answers atomic.Int32 // meets being answered

	// Locks, in the order in which they are taken: life, announcing,
	// memberlist's own, mu. Under mu nothing blocks.
	life       sync.Mutex // who replaces the gossip
	announcing sync.Mutex
	gossip     atomic.Pointer[gossip]

	mu         sync.Mutex
	closed     bool
	id         string
	epoch      int64
	ip         netip.Addr // own; invalid while unknown
	fixed      bool       // ip is configured
	leaving    bool
	former     []string // ids it had before RESETs
	alone      bool     // after RESET, until a MEET
	quit       bool     // RESET ended the joining of what the configuration names
	peers      roster
	handshakes map[string]*handshake // by made-up id
	grown      time.Time             // when a node came
	came       int                   // how many did, each within settleTime of the one before
}

const inboxMax = 256 // messages not looked at yet

// New opens the sockets of the bus. Nothing talks before Start; Close must be
// called in any case.
func New(o Options) (*Cluster, error) {
	c := &Cluster{
		o: o, log: o.Log, lines: crowd.NewLines(o.Log), id: o.Identity.ID(), leaving: o.Identity.Leaving(), epoch: time.Now().UnixMilli(),
		kick: make(chan struct{}, 1), hurry: make(chan struct{}, 1), dirty: make(chan struct{}, 1), inbox: make(chan message, inboxMax),
		peers: roster{}, handshakes: map[string]*handshake{}, sealed: map[*sealed]struct{}{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	doors, port, err := c.open()
	if err != nil {
		c.cancel()
		return nil, err
	}
	c.bus = &bus{doors: doors, port: port, log: c.log, plain: c.ring == nil, link: o.OnLink, unseal: c.unseal, turnedAway: c.turnedAway, local: c.local, may: c.may, connect: connect, decideTime: decideTime, ctx: c.ctx, cancel: c.cancel}
	c.fixAddress()
	now := c.now()
	for _, m := range o.Identity.Peers() {
		if m.ID != c.id && c.peers.room(m.ID) {
			c.peers.restore(m, now)
		}
	}
	for _, f := range o.Identity.hidden {
		c.peers.rehide(f, now)
	}
	return c, nil
}

// open looks at the options and opens the sockets.
func (c *Cluster) open() ([]door, int, error) {
	for _, s := range c.o.Join {
		if _, err := parseTarget(s); err != nil {
			return nil, 0, fmt.Errorf("join: %w", err)
		}
	}
	a, err := forge(c.o.Secret, c.o.AlsoSecret)
	if err != nil {
		return nil, 0, err
	}
	c.armour.Store(a)
	if c.ring, err = newRing(a.keys); err != nil {
		return nil, 0, err
	}
	addrs, err := bindAddrs(c.o.Bind, c.o.LoopbackOnly, c.log)
	if err != nil {
		return nil, 0, err
	}
	return openDoors(addrs, c.o.BusPort)
}

// Start begins to talk: to the nodes that nodes.conf and join name, and to
// whoever comes. On an error only Close may follow.
func (c *Cluster) Start() error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.ctx.Err() != nil {
		return ErrClosed
	}
	c.bus.start()
	if err := c.replace(); err != nil {
		return err
	}
	c.run(c.upkeep)
	c.run(c.saver)
	if len(c.o.Join) > 0 {
		c.run(c.joinLoop)
	}
	if _, err := netip.ParseAddr(c.o.Advertise); c.o.Advertise != "" && err != nil {
		c.run(c.advertise)
	}
	return nil
}

// Close stops at once, without telling others, closes the sockets and waits
// for all goroutines. Links that were handed out stay open.
func (c *Cluster) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.life.Lock()
	if g := c.gossip.Load(); g != nil {
		g.retire()
	}
	c.bus.close()
	c.life.Unlock() // upkeep may be waiting for it
	c.wg.Wait()
}

// run starts a goroutine that Close waits for, unless it is too late.
func (c *Cluster) run(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.wg.Go(f)
	}
	return !c.closed
}

// now is a function so that all that compares times uses one clock.
func (c *Cluster) now() time.Time { return time.Now() }

// BusPort returns the port of the bus.
func (c *Cluster) BusPort() int { return c.bus.port }

// Members returns all nodes that are known: this one first, the others ordered
// by id, the failed and the handshakes in progress included.
func (c *Cluster) Members() []Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.peers.members(c.now())
	for _, h := range c.handshakes {
		if !h.quiet {
			list = append(list, h.Member)
		}
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return append([]Member{c.self()}, list...)
}

// Self returns this node.
func (c *Cluster) Self() Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.self()
}

// self is this node. The caller holds c.mu.
func (c *Cluster) self() Member {
	m := c.meta().member(c.id)
	m.Self = true
	return m
}

// meta is what this node says of itself. The caller holds c.mu.
func (c *Cluster) meta() meta {
	m := meta{low: versionLow, high: versionHigh, leaving: c.leaving, alone: c.alone,
		port: c.o.ClientPort, bus: c.bus.port, epoch: c.epoch, ip: c.ip}
	if c.o.AdvertisePort != 0 {
		m.port = c.o.AdvertisePort
	}
	return m
}

// SetLeaving says whether this node is leaving the cluster: to the disk first,
// then to the others.
func (c *Cluster) SetLeaving(on bool) error {
	if err := c.o.Identity.SetLeaving(on); err != nil {
		return err
	}
	c.setLeaving(on)
	return nil
}

// Retire tells the others that this node is leaving, as its process is about to end: it
// is back when it is started again.
func (c *Cluster) Retire() { c.setLeaving(true) }

func (c *Cluster) setLeaving(on bool) {
	c.mu.Lock()
	c.leaving = on
	c.mu.Unlock()
	c.announce()
	c.wake()
}

// Stats returns how many messages of gossip were sent and received.
func (c *Cluster) Stats() (sent, received int64) {
	return c.bus.sent.Load(), c.bus.received.Load()
}

// Save writes nodes.conf.
func (c *Cluster) Save() error {
	c.mu.Lock()
	self, peers, hidden := c.self(), c.peers.members(c.now()), c.peers.forgotten(c.now())
	c.mu.Unlock()
	return c.o.Identity.keep(self, peers, hidden)
}

// wake makes upkeep look at what changed.
func (c *Cluster) wake() { signal(c.kick) }

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// warn logs a line about this node's own doing, or what it was told to do.
func (c *Cluster) warn(about, line string, args ...any) {
	c.lines.Say(slog.LevelWarn, crowd.Known(about), line, args...)
}

// warnOf logs a line about a node. One that is no member may have been made up:
// its id makes no difference. It must not be called under c.mu.
func (c *Cluster) warnOf(id, line string, args ...any) {
	who := crowd.Stranger("")
	c.mu.Lock()
	if p := c.peers[id]; p != nil && p.shown(c.now()) {
		who = crowd.Known(id)
	}
	c.mu.Unlock()
	c.lines.Say(slog.LevelWarn, who, line, args...)
}
