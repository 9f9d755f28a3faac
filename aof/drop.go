package aof

import (
	"fmt"

	"github.com/disqo/disqo/store/planted"
)

// Drop forgets the segments below that number, of which nobody needs a record
// any more: it makes everything appended so far durable together with a batch
// that says so, then removes them. The head stays, and before Image everything
// does. A *FullError is not final: the segments are still there.
func (l *Log) Drop(below uint32) error {
	l.dropMu.Lock()
	defer l.dropMu.Unlock()
	if err := l.acquire(); err != nil {
		return err
	}
	below = min(below, l.head.number)
	if below <= l.first || !l.image {
		l.release()
		return nil
	}
	if planted.Is(planted.UnlinkEarly) {
		_ = l.o.FS.Remove(l.path(segmentName(l.first)))
	}
	err := l.flushMarked(mark{first: below})
	names := l.forget(below)
	l.release()
	if err != nil {
		return err
	}
	if err := l.remove(names); err != nil {
		return err
	}
	if l.Full() != nil {
		l.provide() // whoever asks next how much room there is shall know
	}
	return nil
}

// forget takes the segments below that number off the list, if the log's first
// is that far, and returns their names, oldest first. mu is held.
func (l *Log) forget(below uint32) (names []string) {
	for len(l.sealed) > 0 && l.sealed[0].Number < below && l.first >= below {
		names = append(names, segmentName(l.sealed[0].Number))
		l.sealed = l.sealed[1:]
	}
	return names
}

// remove unlinks files that are no part of the log any more, durably.
func (l *Log) remove(names []string) error {
	if err := removeFiles(l.o.FS, l.o.Dir, names); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.fail(err)
	}
	return nil
}

// Image says that everything live was appended since Begin: it makes that
// durable and removes the files of older epochs. From then on this is the log.
func (l *Log) Image() error {
	l.dropMu.Lock()
	defer l.dropMu.Unlock()
	if err := l.acquire(); err != nil {
		return err
	}
	err := l.flushMarked(mark{flags: FlagImage})
	old := l.old
	if err == nil {
		l.old = nil
	}
	l.release()
	if err != nil {
		return err
	}
	return l.remove(old)
}

// removeFiles unlinks files in that order and syncs the directory, if there are
// any.
func removeFiles(fs FS, dir string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if err := fs.Remove(join(dir, name)); err != nil && !gone(err) {
			return fmt.Errorf("aof: removing %s: %w", join(dir, name), err)
		}
	}
	return syncDir(fs, dir)
}

// syncDir makes durable which files a directory has.
func syncDir(fs FS, dir string) error {
	if err := fs.SyncDir(dir); err != nil {
		return fmt.Errorf("aof: syncing %s: %w", dir, err)
	}
	return nil
}

// removeAll removes every segment in a directory, the one that says that the
// log is empty last. The others are durably gone before it is touched, also if
// somebody else unlinked them, who was killed before they were.
func removeAll(fs FS, dir, last string) error {
	names, err := segmentNames(fs, dir)
	if err != nil {
		return err
	}
	others := names[:0]
	for _, name := range names {
		if name != last {
			others = append(others, name)
		}
	}
	if err := removeFiles(fs, dir, others); err != nil || last == "" {
		return err
	}
	if len(others) == 0 {
		if err := syncDir(fs, dir); err != nil {
			return err
		}
	}
	return removeFiles(fs, dir, []string{last})
}

// Present reports whether a directory holds segments of a log, whatever they
// are worth. One that does not exist holds none.
func Present(fs FS, dir string) (bool, error) {
	names, err := segmentNames(fs, dir)
	if gone(err) {
		return false, nil
	}
	return len(names) > 0, err
}

// segmentNames returns the names in a directory that are those of segments.
func segmentNames(fs FS, dir string) ([]string, error) {
	all, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("aof: reading %s: %w", dir, err)
	}
	var names []string
	for _, name := range all {
		if _, ok := parseName(name); ok {
			names = append(names, name)
		}
	}
	return names, nil
}
