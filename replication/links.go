package replication

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/cluster/crowd"
	"github.com/disqo/disqo/store"
)

const (
	// A link that is not established within handshakeTime is given up.
	handshakeTime = 5 * time.Second

	// What waits to be sent when the node ends is given partingTime.
	partingTime = 300 * time.Millisecond

	defaultOutboxBytes = 64 << 20
	defaultOutboxAge   = 5 * time.Second
	defaultMaxFrame    = 8 << 20
)

// Options say what links know of the node they belong to. Every function but
// Memory is required, and may be called from any goroutine.
type Options struct {
	// Self returns how the node introduces itself. No Versions means Version
	// alone; Session is overwritten.
	Self func() Hello
	// Dial connects to a node, within the context's time.
	Dial func(ctx context.Context, id store.NodeID) (net.Conn, error)
	// Heard is called when a peer introduced itself on an inbound link, before
	// the first Receive from it. The id may be unknown to SetPeers.
	Heard func(h Hello, remote net.Addr)
	// Receive gets a frame whose type is FirstType or more, of one peer in the
	// order they were sent and never two at a time. The payload is the link's as
	// soon as Receive returns. session names the peer's connection: the
	// LinkState.Session that the peer sees.
	Receive func(from store.NodeID, session uint64, typ byte, payload []byte)
	// Changed is called when an outbound link went up or down, and when a peer
	// was not heard of for Timeout or is heard of again. It must not block.
	Changed func()
	// Now returns milliseconds of a monotone clock, more than 0. It is called
	// under the locks of whoever calls Post.
	Now func() int64
	// Timeout is how long a peer may be silent.
	Timeout func() time.Duration
	// Memory returns what peers are told of the node's memory: bytes used, and
	// their bound, 0 if there is none. Nil: they are told nothing.
	Memory func() (used, most int64)

	OutboxBytes int           // most bytes that wait for a peer, 64 MiB if 0
	OutboxAge   time.Duration // longest time they wait and a write makes no progress, 5 s if 0
	MaxFrame    int           // largest length of a frame from a peer, 8 MiB if 0
	Log         *slog.Logger  // nil: nothing is logged
}

// Links are the connections between this node and its peers. What the node has
// to say to a peer goes out on a connection that it dialled itself, so that each
// pair of nodes has two: on each of them only hello, pong and bye go back. Safe
// for concurrent use.
type Links struct {
	o     Options
	lines *crowd.Lines
	ctx   context.Context // until Close
	stop  context.CancelFunc

	peers atomic.Pointer[map[store.NodeID]*peer] // never changed, but replaced under mu

	framesSent, framesReceived atomic.Int64
	bytesSent, bytesReceived   atomic.Int64

	wg     sync.WaitGroup // Add is under mu, and not after Close
	mu     sync.Mutex
	closed bool
	in     map[store.NodeID]*visitor
	visits int // of all visitors

	strangers *crowd.Places // inbound connections whose node is not known yet
}

// NewLinks returns links without peers. Close ends them.
func NewLinks(o Options) *Links {
	if o.OutboxBytes == 0 {
		o.OutboxBytes = defaultOutboxBytes
	}
	if o.OutboxAge == 0 {
		o.OutboxAge = defaultOutboxAge
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = defaultMaxFrame
	}
	l := &Links{o: o, lines: crowd.NewLines(o.Log), in: map[store.NodeID]*visitor{}, strangers: crowd.NewPlaces(hostStrangers, maxStrangers)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.peers.Store(&map[store.NodeID]*peer{})
	l.wg.Go(l.mind)
	return l
}

// SetPeers says which nodes to have a link to. Links to others are closed, and
// peers without a link are dialled at once. The own id is ignored.
func (l *Links) SetPeers(ids []store.NodeID) {
	self := l.o.Self().ID
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	old := *l.peers.Load()
	peers := make(map[store.NodeID]*peer, len(ids))
	for _, id := range ids {
		if id == self || peers[id] != nil {
			continue
		}
		p := old[id]
		if p != nil {
			p.kick(false)
		} else {
			p = newPeer(l, id)
			l.wg.Go(p.run)
		}
		peers[id] = p
	}
	l.peers.Store(&peers)
	for id, p := range old {
		if peers[id] == nil {
			p.stop()
		}
	}
}

// Accept takes over an inbound connection whose first byte, still unread, is
// 'D'. It returns at once.
func (l *Links) Accept(nc net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		nc.Close()
		return
	}
	l.strangers.Enter(nc)
	l.wg.Go(func() { l.welcome(nc) })
}

// peer returns a peer, nil if the id is not one's.
func (l *Links) peer(id store.NodeID) *peer { return (*l.peers.Load())[id] }

// Part ends the sending in good order: nothing more is posted or dialled, and it returns
// when the peers have read all that waited to be sent, or ctx ends. Close is next. A
// connection that is closed with something unread is reset, and the kernels throw away
// what is on its way; so the links are closed by the peers, who read to the end.
func (l *Links) Part(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range *l.peers.Load() {
		wg.Go(func() { p.part(ctx) })
	}
	wg.Wait()
}

// Renew ends the connections that are stale, and returns when they are over, a second
// later at most. Until then their frames are received. Who dialled them dials again, and
// nothing that was posted is lost if both sides do their part. stale must not block.
func (l *Links) Renew(stale func(net.Conn) bool) {
	ctx, cancel := context.WithTimeout(l.ctx, renewTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, p := range *l.peers.Load() {
		if k := p.link.Load(); k != nil && stale(k.nc) {
			wg.Go(func() { k.renew(ctx) })
		}
	}
	l.mu.Lock()
	for _, n := range l.in {
		if v := n.newest; v != nil && stale(v.nc) { // nil: the one before it is just leaving
			wg.Go(func() { v.renew(ctx) })
		}
	}
	l.mu.Unlock()
	wg.Wait()
}

// parting reports whether no peer is dialled any more.
func (l *Links) parting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// Close closes all links and returns when the last goroutine has ended. What
// waits to be sent is sent first: it was acknowledged to clients, say. What takes
// more than partingTime is lost; a Waiter that waits is waited for.
func (l *Links) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), partingTime)
	defer cancel()
	l.Part(ctx)
	l.stop()
	l.wg.Wait()
}

// Stats returns what went over all links so far, the links' own frames included.
func (l *Links) Stats() (framesSent, framesReceived, bytesSent, bytesReceived int64) {
	return l.framesSent.Load(), l.framesReceived.Load(), l.bytesSent.Load(), l.bytesReceived.Load()
}

// wrote counts whole frames that were sent.
func (l *Links) wrote(frames, bytes int64) {
	l.framesSent.Add(frames)
	l.bytesSent.Add(bytes)
}

// fill reads once and counts.
func (l *Links) fill(r *frameReader) error {
	n, err := r.fill()
	l.bytesReceived.Add(int64(n))
	return err
}

// hello returns how the node introduces itself now.
func (l *Links) hello(session uint64) Hello {
	h := l.o.Self()
	if h.Versions == [2]uint8{} {
		h.Versions = [2]uint8{Version, Version}
	}
	h.Session = session
	return h
}

// who is how the log tells peers apart.
func who(id store.NodeID) crowd.Who { return crowd.Known(hexID(id)) }

func newSession() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
