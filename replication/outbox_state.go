package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// hasRoom reports whether less than half of what may wait does.
func (o *outbox) hasRoom() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err == nil && o.bytes < o.most/2
}

// size returns how many bytes wait to be sent or are being sent.
func (o *outbox) size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// checkAge fails the outbox if something in it is older than most.
func (o *outbox) checkAge(most time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || o.bytes == 0 {
		return
	}
	now := o.now()
	oldest := now
	if o.flying {
		oldest = o.since
	}
	for i := range o.lanes {
		oldest = min(oldest, o.lanes[i].since())
	}
	if age := time.Duration(now-oldest) * time.Millisecond; age > most {
		o.end(fmt.Errorf("%w: %d bytes since %v", errOverflow, o.bytes, age))
	}
}

// fail makes the outbox refuse everything. The first reason stays.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end(err)
}

// end is fail with mu held. It does nothing that must not be done under a
// shard's lock.
func (o *outbox) end(err error) {
	if o.err != nil {
		return
	}
	o.err = err
	if o.onEnd != nil {
		o.onEnd()
	}
	o.writer.Broadcast()
	o.committer.Broadcast()
	o.failed.Broadcast()
	o.drained.Broadcast()
}

// leave has the writer end with the frames it has. What waits, and what is posted
// from now on, is for the next connection. Too late when drain was called.
func (o *outbox) leave() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.turn == staying && !o.shut {
		o.turn = turning
		o.writer.Broadcast()
	}
}

// leaves reports whether the connection is to be left. Nothing more goes out on it then.
func (o *outbox) leaves() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil || o.turn != turning {
		return false
	}
	o.turn = parted
	return true
}

// left says that the connection is over, and why. It is a failure unless it was left and the
// peer has read it to the end, which is when it closes.
func (o *outbox) left(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.turn != parted || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		o.end(err)
		return
	}
	o.turn = turned
	o.failed.Broadcast()
}

// stay gives the outbox its next connection.
func (o *outbox) stay() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.turn = staying
}

// await returns nil when the connection is over and was to be left, and the reason when
// the outbox has failed.
func (o *outbox) await() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && o.turn != turned {
		o.failed.Wait()
	}
	return o.err
}

// drain takes nothing more, and returns when nothing waits to be sent any more, the
// outbox has failed, or ctx ends. It reports whether all was sent.
func (o *outbox) drain(ctx context.Context) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut = true
	defer context.AfterFunc(ctx, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.drained.Broadcast()
	})()
	for o.err == nil && o.bytes > 0 && ctx.Err() == nil {
		o.drained.Wait()
	}
	return o.err == nil && o.bytes == 0
}
