package aof

import "time"

const (
	lazyWrite    = 20 * time.Millisecond // what nobody waits for is written after that
	syncPeriod   = time.Second           // of EverySec
	mostUnsynced = 4 << 20               // bytes; more are synced at once under EverySec
)

// syncs writes what nobody waits for and syncs under EverySec, until
// stopSyncer. It sleeps while there is neither.
func (l *Log) syncs() {
	defer close(l.syncerDone)
	tick := time.NewTicker(lazyWrite)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-l.stopSyncer:
			return
		case <-l.kickSyncer:
			tick.Reset(lazyWrite)
		case <-tick.C:
			if !l.syncerTick(&last) {
				tick.Stop()
			}
		}
		if l.over() {
			return
		}
	}
}

// syncerTick does what is due and reports whether to come again; if not, the
// next Append kicks. last is when the last periodic sync began.
func (l *Log) syncerTick(last *time.Time) bool {
	l.mu.Lock()
	lazy := len(l.open) > BatchHeader
	l.mu.Unlock()
	if lazy && l.acquire() == nil {
		_ = l.flush(false) // which ends the log if it fails
		l.release()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if unsynced := l.off - l.syncedTo; Policy(l.policy.Load()) == EverySec && unsynced > 0 {
		if unsynced >= mostUnsynced || time.Since(*last) >= syncPeriod {
			*last = time.Now()
			_ = l.syncHead() // the same
		}
		return true
	}
	l.parked = len(l.open) == BatchHeader
	return !l.parked
}
