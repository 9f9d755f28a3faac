package aof

import (
	"errors"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Pos is a position in the log: bytes appended since it was opened, frames of
// records included. 0 is before everything.
type Pos uint64

// forever is a position that is never reached.
const forever = ^Pos(0)

// mostBuffered bounds what is appended or reserved, and not yet written.
const mostBuffered = 8 << 20

// Log is an open log. All methods are safe for concurrent use.
//
// Whoever writes to the head holds the token: busy is set, by acquire or by
// being handed it. Locks are taken in the order dropMu, token, keepMu, syncMu,
// mu; no I/O happens under mu, which appenders take under locks of their own.
type Log struct {
	o     Options
	limit int64 // most that is appended or reserved and not yet written
	start uint32
	epoch uint64
	salt  uint32 // of the epoch
	lock  io.Closer

	policy  atomic.Uint32
	doubt   atomic.Bool // what was opened may lack something; see Trust
	weaker  atomic.Bool // the policy is about to be weaker than always
	headNum atomic.Uint32

	out     atomic.Int64  // reserved or appended, and not yet written; bytes
	fast    atomic.Int64  // Reserve may take out up to this without mu
	queued  atomic.Int32  // len(rooms)
	end     atomic.Uint64 // Pos of everything appended
	written atomic.Uint64 // Pos of what the kernel has; 0 after a failure
	synced  atomic.Uint64 // Pos of what is durable; 0 after a failure

	mu       sync.Mutex
	changed  sync.Cond // spares, full, err, busy or closing changed
	err      error     // why nothing more is taken: a failure, or ErrClosed
	closing  bool
	open     []byte // the batch being filled, room for its header included
	other    []byte // the buffer of the one before, while that is not being written
	busy     bool
	waiters  list // for the token, or for positions; empty unless busy
	durables int  // of those, how many want to be synced
	rooms    []*roomWaiter
	head     *segment
	off      int64      // end of what was written to the head
	syncedTo int64      // of that, what is durable
	spares   []*segment // those after the head, made ahead
	want     int64      // the size that the first of them must have for somebody who waits
	full     *FullError
	sealed   []SealedSegment
	parked   bool // the syncer waits for a kick
	stats    Sizes

	// Of the holder of the token.
	seq   uint64 // of the last batch
	first uint32 // oldest segment that is part of the log; written under mu too
	image bool
	old   []string // files of older epochs, to be removed by Image

	// Under dropMu.
	erase   bool // Off: the files go too
	down    bool // shut was done
	downErr error

	backing atomic.Bool // a backup is under way

	dropMu sync.Mutex // one Drop, Image, Backup or stop at a time
	keepMu sync.Mutex // one maker of segments at a time
	syncMu sync.Mutex // one sync of the head at a time; the head changes under it

	kickKeeper, kickSyncer chan struct{}
	stopSyncer, stopKeeper chan struct{}
	syncerDone, keeperDone chan struct{}
}

// segment is a file that is or will be written to.
type segment struct {
	number uint32
	path   string
	file   File
	size   int64
	busy   bool // it is being enlarged: the file must not be closed
}

// SealedSegment is one that is written no more.
type SealedSegment struct {
	Number uint32
	Bytes  int64 // on the disk
	used   int64
}

// Sizes are figures of a log.
type Sizes struct {
	Files    int   // segments, spares included
	Disk     int64 // bytes of all of them
	Sealed   int64 // bytes of the sealed ones
	Head     int64 // bytes of the head
	HeadUsed int64 // bytes written to the head
	Free     int64 // bytes that the head and the spares can still take
	Kept     int64 // bytes of those that only reclamation may use
	Leeway   int64 // bytes beyond those that are for what is urgent
	Used     int64 // bytes of headers and batches in all of them
	Buffered int64 // bytes appended or reserved, and not yet written

	Batches   uint64        // written since the log was opened
	Syncs     uint64        // of segments with data
	Slow      uint64        // of those, which took more than a second
	SyncLast  time.Duration // of the last one
	SyncTotal time.Duration // of all
}

func newLog(o Options, lock io.Closer) *Log {
	l := &Log{
		o: o, lock: lock, limit: min(mostBuffered, o.SegmentSize/8), open: make([]byte, BatchHeader),
		kickKeeper: make(chan struct{}, 1), kickSyncer: make(chan struct{}, 1),
		stopSyncer: make(chan struct{}), stopKeeper: make(chan struct{}),
		syncerDone: make(chan struct{}), keeperDone: make(chan struct{}),
	}
	l.changed.L = &l.mu
	l.policy.Store(uint32(o.Policy))
	l.fast.Store(-1)
	return l
}

// run starts the goroutines; stop ends them.
func (l *Log) run() {
	if l.o.Manual {
		close(l.keeperDone)
		close(l.syncerDone)
		return
	}
	kick(l.kickKeeper)
	go l.keep()
	go l.syncs()
}

func join(dir, name string) string { return filepath.Join(dir, name) }

func (l *Log) path(name string) string { return join(l.o.Dir, name) }

// kick wakes a goroutine that waits for c, now or when it next does.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// End returns the position after everything appended so far.
func (l *Log) End() Pos { return Pos(l.end.Load()) }

// Head returns the number of the segment that what is appended from now on
// goes to, or an earlier one.
func (l *Log) Head() uint32 { return l.headNum.Load() }

// First returns the number of the oldest segment.
func (l *Log) First() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}

// Start returns the number of the first segment that was part of this log when
// it was opened: older ones held records of something else.
func (l *Log) Start() uint32 { return l.start }

// Sealed returns the segments before the head, the oldest first.
func (l *Log) Sealed() []SealedSegment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]SealedSegment(nil), l.sealed...)
}

// SetPolicy changes when what is written is synced. Under Always what was
// written before is synced by the first Commit that asks for it. Before a weaker
// one is in force, a durable batch says so: should what follows be lost, nobody
// takes the log for one that lacks nothing. Errors: *FullError if there is no
// room for that, or that which ended the log; the policy is as before then.
func (l *Log) SetPolicy(p Policy) error {
	if l.always() && p != Always {
		l.weaker.Store(true)
		if err := l.say(); err != nil {
			l.weaker.Store(false)
			return err
		}
	}
	l.policy.Store(uint32(p))
	l.weaker.Store(false)
	kick(l.kickSyncer)
	return nil
}

// say writes a durable batch, for its flags.
func (l *Log) say() error {
	if err := l.acquire(); err != nil {
		return err
	}
	defer l.release()
	return l.flushMarked(mark{})
}

// Trust says that what may be missing in a log that was opened has been dealt
// with, durably: from now on its batches may say that nothing is.
func (l *Log) Trust() { l.doubt.Store(false) }

// Full says what could not be allocated, nil if there is room.
func (l *Log) Full() *FullError {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

// Err returns the failure that ended the log, nil while there is none.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.err, ErrClosed) {
		return nil
	}
	return l.err
}

// Sizes returns the log's figures.
func (l *Log) Sizes() Sizes {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Buffered = l.out.Load()
	s.Files, s.Disk, s.Used = 1, l.head.size, l.off
	s.Head, s.HeadUsed, s.Free = l.head.size, l.off, l.room()
	s.Kept, s.Leeway = l.kept(Urgent), l.leeway()
	for _, spare := range l.spares {
		s.Files++
		s.Disk += spare.size
		s.Used += SegmentHeader
	}
	for _, seg := range l.sealed {
		s.Files++
		s.Sealed += seg.Bytes
		s.Used += seg.used
	}
	s.Disk += s.Sealed
	return s
}

// fail ends the log for good: what is not yet acknowledged never will be. mu
// is held. It returns the failure, an earlier one if there is one.
func (l *Log) fail(err error) error {
	if l.err != nil {
		return l.err
	}
	l.err = err
	l.written.Store(0) // nobody finds a position reached without taking mu
	l.synced.Store(0)
	l.grant()
	l.changed.Broadcast()
	kick(l.kickSyncer)
	kick(l.kickKeeper)
	if f := l.o.OnFail; f != nil && l.o.Manual {
		l.mu.Unlock()
		f(err)
		l.mu.Lock()
	} else if f != nil {
		go f(err)
	}
	return err
}
