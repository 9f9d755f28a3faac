package top

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/disqo/disqo/cmd/disqo/client"
)

const (
	longestAnswer = 5 * time.Second // from the first command of a sample to its last reply

	// Waits between attempts to reach a broker that is away.
	backOffFirst = 250 * time.Millisecond
	backOffMost  = 5 * time.Second
)

// broker is a broker that may be away. It belongs to one goroutine.
type broker struct {
	*options
	conn *client.Conn // nil while there is none
}

// sample asks for all there is to show, and connects for that if need be. After
// an error there is no connection.
func (b *broker) sample(ctx context.Context) (*sample, error) {
	ctx, cancel := context.WithTimeout(ctx, longestAnswer)
	defer cancel()
	var s *sample
	var err error
	if b.conn == nil {
		b.conn, err = client.Dial(ctx, &b.Options)
	}
	if err == nil {
		s, err = take(ctx, b.conn)
	}
	if err != nil {
		b.drop()
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err // without addresses: a line is short
		}
		return nil, fmt.Errorf("%s: %w", b.Addr, err)
	}
	return s, nil
}

func (b *broker) drop() {
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
}

// news is a sample, or why there is none and when the next is tried.
type news struct {
	sample *sample
	err    error
	again  time.Duration
}

// follow takes a sample each interval, or at growing distances while the broker
// is away, and hands them out until ctx ends.
func (b *broker) follow(ctx context.Context, out chan<- news) {
	defer b.drop()
	wait, backOff := b.interval, backOffFirst
	for pause(ctx, wait) {
		s, err := b.sample(ctx)
		if wait = b.interval; err == nil {
			backOff = backOffFirst
		} else {
			wait, backOff = backOff, min(2*backOff, backOffMost)
		}
		select {
		case out <- news{s, err, wait}:
		case <-ctx.Done():
		}
	}
}

// pause waits; it returns false, at once, when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
