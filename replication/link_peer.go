package replication

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/store"
)

const (
	// A peer that cannot be reached is dialled again after about minBackoff, then
	// twice that, up to maxBackoff; from the beginning after a link that lived for
	// steadyAfter. A dial follows the one before by minBackoff/2 or more.
	minBackoff  = 50 * time.Millisecond
	maxBackoff  = time.Second
	steadyAfter = 5 * time.Second

	// A dial that is older than staleDial is given up when the peer tells where
	// it is now.
	staleDial = time.Second
)

var errReborn = errors.New("another process of the node answers")

// peer is a node to have a link to.
type peer struct {
	links *Links
	id    store.NodeID
	ctx   context.Context // until the peer is none any more
	stop  context.CancelFunc
	kicks chan struct{}        // capacity 1: dial now
	link  atomic.Pointer[link] // if established

	mu      sync.Mutex
	asked   int64     // ms: the oldest question without an answer, 0 if there is none
	pong    int64     // ms: the last answer, 0 if there was none
	heard   int64     // ms: the last answer, or when the peer was made
	silent  bool      // Changed was told that the peer is not heard of
	number  uint64    // of the last ping
	pinged  time.Time // when it was sent, zero if it is answered
	rtt     time.Duration
	dialled time.Time          // when the dial began that is going on
	redial  context.CancelFunc // ends it; nil if none is

	memoryUsed, memoryMax int64 // bytes, as it said last
}

func newPeer(l *Links, id store.NodeID) *peer {
	p := &peer{links: l, id: id, kicks: make(chan struct{}, 1), heard: l.o.Now()}
	p.ctx, p.stop = context.WithCancel(l.ctx)
	return p
}

// run keeps a link to the peer until it is none any more.
func (p *peer) run() {
	defer p.stop()
	backoff := minBackoff
	for {
		if p.connect() >= steadyAfter {
			backoff = minBackoff
		}
		if p.links.parting() {
			return
		}
		select {
		case <-time.After(minBackoff / 2):
		case <-p.ctx.Done():
			return
		}
		select {
		case <-p.kicks:
			backoff = minBackoff
		case <-time.After(rand.N(backoff/2) + backoff/2 - minBackoff/2):
			backoff = min(2*backoff, maxBackoff)
		case <-p.ctx.Done():
			return
		}
	}
}

// kick makes a peer without a link be dialled at once. moved says that the peer
// may have another address than before.
func (p *peer) kick(moved bool) {
	if p.link.Load() != nil {
		return
	}
	p.mu.Lock()
	if moved && p.redial != nil && time.Since(p.dialled) > staleDial {
		p.redial()
	}
	p.mu.Unlock()
	select {
	case p.kicks <- struct{}{}:
	default:
	}
}

// connect dials the peer and returns when the link is over, with how long it
// was established.
func (p *peer) connect() time.Duration {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	out := newOutbox(int64(p.links.o.OutboxBytes), p.links.o.Now)
	out.onEnd = cancel // who dials for an outbox that has failed dials in vain
	k, err := p.dial(ctx, out, handshakeTime)
	if err != nil {
		if p.ctx.Err() == nil {
			p.links.lines.Say(slog.LevelInfo, who(p.id), "cannot link to a node", "node", hexID(p.id), "error", err)
		}
		return 0
	}
	defer context.AfterFunc(p.ctx, func() { out.fail(errNoPeer) })()
	var wg sync.WaitGroup
	wg.Go(out.commit)
	began, boot := time.Now(), k.boot
	for err == nil {
		p.links.lines.Say(slog.LevelInfo, who(p.id), "linked to a node", "node", hexID(p.id), "address", k.nc.RemoteAddr().String())
		if err = k.serve(); err == nil {
			k, err = p.again(ctx, out, boot)
		}
	}
	out.fail(err)
	err = out.await() // what failed first
	p.link.Store(nil)
	p.links.o.Changed()
	wg.Wait()
	if p.ctx.Err() == nil {
		p.links.lines.Say(slog.LevelWarn, who(p.id), "link to a node dropped", "node", hexID(p.id), "error", err)
	}
	return time.Since(began)
}

// again dials for a link whose connection was left. What waits is for the process of the
// peer that it was posted for.
func (p *peer) again(ctx context.Context, out *outbox, boot uint64) (*link, error) {
	select {
	case <-time.After(minBackoff / 2): // a peer that wants yet another one each time gets no more than these
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	k, err := p.dial(ctx, out, renewTime)
	if err == nil && k.boot != boot {
		k.nc.Close()
		return nil, errReborn
	}
	return k, err
}

// answered notes a sign of life.
func (p *peer) answered(rtt time.Duration) {
	now := p.links.o.Now()
	p.mu.Lock()
	p.asked, p.pong, p.heard, p.rtt, p.pinged = 0, now, now, rtt, time.Time{}
	changed := p.silent
	p.silent = false
	p.mu.Unlock()
	if changed {
		p.links.o.Changed()
	}
}

// ask notes a question.
func (p *peer) ask(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == 0 {
		p.asked = now
	}
}

// Sizes of the parts of a ping: its number, and what it says of memory.
const (
	pingSize   = 8
	pingMemory = 16
)

// ping asks for a sign of life, one at a time.
func (p *peer) ping(now int64) {
	k := p.link.Load()
	if k == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.pinged.IsZero() {
		return
	}
	p.number++
	var b [FrameOverhead + pingSize + pingMemory]byte
	ping := AppendFrame(b[:0], typePing, func(dst []byte) []byte {
		dst = binary.LittleEndian.AppendUint64(dst, p.number)
		if p.links.o.Memory != nil {
			used, most := p.links.o.Memory()
			dst = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, uint64(used)), uint64(most))
		}
		return dst
	})
	if !k.out.ping(ping) {
		return
	}
	p.pinged = time.Now()
	if p.asked == 0 {
		p.asked = now
	}
}

// told reads what the peer says of its memory.
func (p *peer) told(ping []byte) {
	if len(ping) < pingSize+pingMemory {
		return // it is of a version that does not say
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.memoryUsed = max(0, int64(binary.LittleEndian.Uint64(ping[pingSize:])))
	p.memoryMax = max(0, int64(binary.LittleEndian.Uint64(ping[pingSize+8:])))
}

// ponged reads the answer to a ping.
func (p *peer) ponged(payload []byte) error {
	if len(payload) < pingSize {
		return fmt.Errorf("a pong of %d bytes", len(payload))
	}
	p.mu.Lock()
	pinged := p.pinged
	current := binary.LittleEndian.Uint64(payload) == p.number && !pinged.IsZero()
	p.mu.Unlock()
	if current {
		p.answered(time.Since(pinged))
	}
	return nil
}

// judge drops a link that is deaf or too slow, and reports whether the peer has
// become silent, or is heard of again since the timeout was changed.
func (p *peer) judge(now, timeout, deaf int64) (changed bool) {
	p.mu.Lock()
	silence := now - p.heard
	changed = p.silent != (silence >= timeout)
	p.silent = silence >= timeout
	p.mu.Unlock()
	k := p.link.Load()
	switch {
	case k == nil:
	case silence >= deaf:
		k.out.fail(fmt.Errorf("no answer for %v", time.Duration(silence)*time.Millisecond))
	default:
		k.out.checkAge(p.links.o.OutboxAge)
	}
	return changed
}
