package aof_test

import (
	"fmt"

	"github.com/disqo/disqo/aof/memfs"
)

// traffic appends a few records, and may wait for them.
func (w *owner) traffic() error {
	list := make([]rec, 1+w.rng.IntN(4))
	for i := range list {
		key := uint16(w.rng.IntN(int(w.keys)))
		if _, ok := w.live[key]; ok && w.rng.IntN(3) == 0 {
			list[i] = w.next(key, 0)
		} else {
			list[i] = w.next(key, w.last+1+uint64(i))
		}
	}
	if w.sizes.oneIn > 0 && w.rng.IntN(w.sizes.oneIn) == 0 {
		list = list[:1]
		list[0].pad = w.sizes.huge
	}
	if err := w.append(list...); err != nil {
		return err
	}
	switch dice := w.rng.IntN(10); {
	case dice < 5:
		return w.commit(w.log.End())
	case dice < 6:
		return w.sync(w.log.End())
	case dice < 7:
		return w.commit(w.marks[w.rng.IntN(len(w.marks))].pos)
	case dice < 8:
		w.log.Tick()
		return w.log.Err()
	}
	return nil
}

// weights say how often of 1,000 steps a script does what is not traffic.
type weights struct{ reclaim, rotate, restart, epoch, off int }

// step does one thing that the owner of a log may do.
func (w *owner) step(often weights) error {
	dice := w.rng.IntN(1000)
	for _, one := range []struct {
		often int
		do    func() error
	}{
		{often.reclaim, func() error { return w.reclaim(1 + w.rng.IntN(3)) }},
		{often.rotate, w.rotate},
		{often.restart, w.restart},
		{often.epoch, func() error {
			if err := w.leave(); err != nil {
				return err
			}
			return w.begin()
		}},
		{often.off, w.switchOff},
	} {
		if dice -= one.often; dice < 0 {
			return one.do()
		}
	}
	return w.traffic()
}

// rotate seals the head.
func (w *owner) rotate() error {
	if err := w.log.Rotate(); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return nil
}

// close stops the log cleanly.
func (w *owner) close() error {
	if err := w.log.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	w.history.ack(len(w.history.recs))
	w.log = nil
	return nil
}

// leave ends the log one way or another.
func (w *owner) leave() error {
	if w.rng.IntN(2) == 0 {
		return w.close()
	}
	w.log.Abandon()
	w.log = nil
	return nil
}

// restart ends the log, by a clean stop, a kill or a power loss, and opens it again.
func (w *owner) restart() error {
	switch w.rng.IntN(4) {
	case 0, 1:
		if err := w.close(); err != nil {
			return err
		}
	case 2:
		w.move((*memfs.FS).Kill)
	case 3:
		w.powerLoss()
	}
	return w.open()
}

// powerLoss goes on with what a power loss leaves.
func (w *owner) powerLoss() {
	w.move(func(f *memfs.FS) *memfs.FS { return f.CrashRandom(w.rng) })
	for _, h := range w.oracle.allowed {
		h.written = h.acked
	}
}

// move goes on with what end leaves of the file system.
func (w *owner) move(end func(*memfs.FS) *memfs.FS) {
	fs := w.fs
	w.on(end(fs))
	w.log.Abandon()
	w.log = nil
	fs.OnOp(nil)
	w.fs.OnOp(w.hook)
}
