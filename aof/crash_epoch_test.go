package aof_test

import (
	"fmt"

	"github.com/disqo/disqo/aof"
)

// begin makes a new epoch with what is live. The old log must be closed.
func (w *owner) begin() error {
	log, err := aof.Begin(w.opts)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	w.log, w.history, w.marks = log, reopened(nil), nil
	for key := range w.keys {
		if e, ok := w.live[key]; ok {
			if err := w.append(e.rec); err != nil {
				return err
			}
		}
		if w.rng.IntN(10) == 0 {
			if err := w.traffic(); err != nil {
				return err
			}
		}
	}
	if w.rng.IntN(4) == 0 { // the power fails before it is complete
		w.powerLoss()
		return w.open()
	}
	return w.image()
}

// image ends begin.
func (w *owner) image() error {
	all := len(w.history.recs)
	w.history.ack(all)
	w.oracle.allowed = append(w.oracle.allowed, w.history)
	if err := w.log.Image(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	w.oracle.allowed, w.oracle.off = []*history{w.history}, false
	return nil
}

// switchOff ends the log for good, and begins another at once or, after a
// restart, with nothing.
func (w *owner) switchOff() error {
	w.oracle.off = true
	if err := w.log.Off(); err != nil {
		return fmt.Errorf("off: %w", err)
	}
	w.oracle.allowed, w.log = []*history{reopened(nil)}, nil
	if w.rng.IntN(2) == 0 {
		return w.begin()
	}
	return w.open()
}
