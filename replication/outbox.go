package replication

import (
	"errors"
	"fmt"
	"sync"
)

// Waiter is what a frame may have to wait for before it is sent: the position
// of the log that it depends on.
type Waiter interface {
	// Wait returns when the position is reached, or with the reason why it never
	// will be. It returns in any case when the node ends. A Waiter that was given
	// to Post later than another covers that one, too.
	Wait() error
}

var errOverflow = errors.New("too much waits to be sent")

// The stages of an outbox. Free frames go from free to the writer, marked ones
// from marked to held, where their waiter is asked, and by ready to the writer.
const (
	laneFree = iota
	laneMarked
	laneHeld
	laneReady
	lanes
)

// outbox is what waits to be sent on one link, over one connection after the other. A poster copies into it, the
// committer's goroutine runs commit, the writer's calls take and sent in turn.
type outbox struct {
	most int64        // bytes; only a single Post to an empty outbox may bring more
	now  func() int64 // ms

	onEnd func() // called, with mu held, when err is set; may be nil

	mu        sync.Mutex
	writer    sync.Cond // there is something to write
	committer sync.Cond // there are marked frames
	failed    sync.Cond // err is set, or the connection has turned
	drained   sync.Cond // nothing waits, or err is set
	lanes     [lanes]lane
	wait      Waiter // of the newest marked frame
	bytes     int64  // in all lanes and with the writer
	turn      turn
	flying    bool  // something is with the writer
	since     int64 // when the oldest of that came, ms
	shut      bool  // nothing more is taken
	err       error // why nothing is sent any more
}

// turn is how far a link is with leaving its connection for another one.
type turn uint8

const (
	staying turn = iota
	turning      // nothing more is taken for this connection
	parted       // what was taken is sent
	turned       // and was read by the peer
)

func newOutbox(most int64, now func() int64) *outbox {
	o := &outbox{most: most, now: now}
	o.writer.L, o.committer.L, o.failed.L, o.drained.L = &o.mu, &o.mu, &o.mu, &o.mu
	return o
}

// post copies frames into a lane, and returns false if the outbox is shut, has failed or
// fails because of them.
func (o *outbox) post(frames []byte, w Waiter) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shut {
		return false
	}
	if o.err == nil && o.bytes > 0 && o.bytes+int64(len(frames)) > o.most {
		o.end(fmt.Errorf("%w: %d bytes and %d more", errOverflow, o.bytes, len(frames)))
	}
	if o.err != nil {
		return false
	}
	o.push(frames, w)
	return true
}

// ping posts a frame of the link's own, which no bound stops; false if the
// outbox is shut or has failed.
func (o *outbox) ping(frame []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shut || o.err != nil {
		return false
	}
	o.push(frame, nil)
	return true
}

// push adds frames to a lane and wakes whoever sees to it. mu is held.
func (o *outbox) push(frames []byte, w Waiter) {
	o.bytes += int64(len(frames))
	if w == nil {
		o.lanes[laneFree].add(frames, o.now)
		o.writer.Signal()
		return
	}
	o.lanes[laneMarked].add(frames, o.now)
	o.wait = w
	o.committer.Signal()
}

// commit hands marked frames on when what they wait for has come, until the
// outbox fails.
func (o *outbox) commit() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for o.err == nil && o.lanes[laneMarked].empty() {
			o.committer.Wait()
		}
		if o.err != nil {
			return
		}
		o.lanes[laneHeld].join(&o.lanes[laneMarked])
		w := o.wait
		o.wait = nil
		o.mu.Unlock()
		err := w.Wait()
		o.mu.Lock()
		if err != nil {
			o.end(fmt.Errorf("what frames depend on does not come: %w", err))
			return
		}
		o.lanes[laneReady].join(&o.lanes[laneHeld])
		o.writer.Signal()
	}
}

// take waits until there is something to write and returns it. What is free
// goes first, so that no marked frame overtakes a free one posted before it. ok
// is false when the outbox has failed or turns.
func (o *outbox) take() (out lane, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	free, ready := &o.lanes[laneFree], &o.lanes[laneReady]
	for o.err == nil && o.turn == staying && free.empty() && ready.empty() {
		o.writer.Wait()
	}
	if o.err != nil || o.turn != staying {
		return lane{}, false
	}
	o.since = min(free.since(), ready.since())
	o.flying = true
	out.join(free)
	out.join(ready)
	return out, true
}

// sent says that the first chunk of what take returned was written, and gives
// it back.
func (o *outbox) sent(out *lane) {
	n := out.drop()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes -= int64(n)
	o.flying, o.since = !out.empty(), out.since()
	if o.bytes == 0 {
		o.drained.Broadcast()
	}
}
