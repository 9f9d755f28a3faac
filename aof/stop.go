package aof

import "errors"

// Close stops the log cleanly: what was appended is written and synced under
// every policy, and so is a batch that says that nothing is missing, unless
// something may be (see Trust). It stops the goroutines and releases the
// directory. A log that failed is only released. Again it returns what it
// returned.
func (l *Log) Close() error {
	if l.doubt.Load() {
		return l.stop(0)
	}
	return l.stop(FlagClose)
}

// Off switches the log off: durably empty, whatever crash follows, and its
// files removed, those of older epochs too.
func (l *Log) Off() error { return l.stop(FlagOff | FlagImage) }

func (l *Log) stop(flags Flags) error {
	l.mu.Lock()
	l.closing = true
	l.grant()
	l.changed.Broadcast() // who waits for space waits in vain
	l.mu.Unlock()
	l.dropMu.Lock()
	defer l.dropMu.Unlock()
	if err := l.acquire(); err == nil {
		if l.finish(flags) == nil {
			l.err = ErrClosed
			l.erase = flags&FlagOff != 0
		}
		l.release()
	}
	return l.shut()
}

// finish writes what is buffered and the last batch. That one is written only
// when everything before it is durable: whoever finds it knows that damage is
// no torn end. The token and mu are held; mu is let go meanwhile.
func (l *Log) finish(flags Flags) error {
	if err := l.flush(true); err != nil {
		return err
	}
	if err := l.empty(flags); err != nil {
		return err
	}
	return l.syncHead()
}

// Abandon stops the goroutines and lets go of files and directory without
// writing anything: the disk is left as after a kill.
func (l *Log) Abandon() {
	l.mu.Lock()
	if l.err == nil {
		l.err = ErrClosed
	}
	l.grant()
	l.changed.Broadcast()
	l.mu.Unlock()
	l.dropMu.Lock()
	defer l.dropMu.Unlock()
	_ = l.shut()
}

// Discard ends a log whose image is not complete and removes its files; what was
// the log before still is.
func (l *Log) Discard() error {
	l.Abandon()
	names, err := segmentNames(l.o.FS, l.o.Dir)
	if err != nil {
		return err
	}
	own := names[:0]
	for _, name := range names {
		if number, _ := parseName(name); number >= l.start {
			own = append(own, name)
		}
	}
	return removeFiles(l.o.FS, l.o.Dir, own)
}

// shut ends the goroutines and lets go of the files, which it removes if Off
// said so, and of the directory. It returns the failure of the log or of this,
// every time. dropMu is held.
func (l *Log) shut() error {
	if l.down {
		return l.downErr
	}
	l.down = true
	l.mu.Lock()
	for l.busy { // err is set, so this is the last one
		l.changed.Wait()
	}
	if !errors.Is(l.err, ErrClosed) {
		l.downErr = l.err
	}
	l.mu.Unlock()
	close(l.stopSyncer)
	close(l.stopKeeper)
	<-l.syncerDone
	<-l.keeperDone
	l.keepMu.Lock() // callers make segments of a Manual log
	defer l.keepMu.Unlock()
	l.mu.Lock()
	head, spares := l.head, l.spares
	l.mu.Unlock()
	errs := []error{l.downErr, head.file.Close()}
	for _, spare := range spares {
		errs = append(errs, spare.file.Close())
	}
	if l.erase {
		errs = append(errs, removeAll(l.o.FS, l.o.Dir, segmentName(head.number)))
	}
	l.downErr = errors.Join(append(errs, l.lock.Close())...)
	return l.downErr
}
