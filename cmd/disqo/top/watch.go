package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// ctrlC is a key like any other in raw mode.
const ctrlC = 3

// watch shows the broker until q, ctrl-C or a signal. The first sample must
// succeed: an address that is wrong is told at once, and not on another screen.
func watch(ctx context.Context, o *options, stdin *os.File, stdout io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills
	b := &broker{options: o}
	defer b.drop()
	first, err := b.sample(ctx)
	if err != nil {
		return err
	}
	s, err := open(stdin, stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()

	var helpers sync.WaitGroup
	defer helpers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	samples, keys := make(chan news), make(chan byte)
	helpers.Go(func() { b.follow(ctx, samples) })
	helpers.Go(func() { readKeys(ctx, stdin, keys) })
	p := picture{options: o, by: byLength}
	p.take(first)
	return s.loop(ctx, p, samples, keys)
}

// loop draws whatever happens. It keeps two pictures: the display may be paused.
func (s *screen) loop(ctx context.Context, live picture, samples <-chan news, keys <-chan byte) error {
	resized := make(chan os.Signal, 1)
	notifyResize(resized)
	defer signal.Stop(resized)
	shown := live
	for {
		if err := s.draw(&shown); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case n := <-samples:
			if n.err != nil {
				live.miss(n.err, n.again)
			} else {
				live.take(n.sample)
			}
		case key, open := <-keys:
			if !open || key == 'q' || key == ctrlC {
				return nil
			}
			live.press(key)
		}
		shown = next(shown, live)
	}
}

// press does what a key asks for; others are ignored.
func (p *picture) press(key byte) {
	if key == 'p' {
		p.paused = !p.paused
	}
	for _, o := range orders {
		if key == byte(o.by) {
			p.by = o.by
		}
	}
}

// next is what is shown: the live picture or, while paused, what was shown, which
// may be sorted anew.
func next(shown, live picture) picture {
	if !live.paused {
		return live
	}
	shown.paused, shown.by = true, live.by
	return shown
}
