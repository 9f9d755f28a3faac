package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/aof"
)

// LogOptions say where the log is and how it is kept.
type LogOptions struct {
	FS          aof.FS     // default the system's
	Dir         string     // required
	Policy      aof.Policy // when to sync
	SegmentSize int64      // bytes of a file; 0 is aof's default
	RefuseTorn  bool       // do not open a log whose end is torn
	QueueAll    bool       // queue at once what was queued, also jobs that other nodes hold
	Peers       bool       // the node is one of a cluster
	Picture     bool       // what StartLog begins is left when it is whole, and dropped if the node is closed before
	ReadOnce    bool       // load the log, but do not go on with it; Policy has no effect
}

// LogPresent reports whether there are files of a log where o says.
func LogPresent(o LogOptions) (bool, error) {
	fs := o.FS
	if fs == nil {
		fs = aof.OS()
	}
	return aof.Present(fs, o.Dir)
}

func (n *Node) aofOptions(o *LogOptions) aof.Options {
	return aof.Options{
		FS: o.FS, Dir: o.Dir, Policy: o.Policy, SegmentSize: o.SegmentSize, RefuseTorn: o.RefuseTorn,
		Now: n.now, Salt: func() uint32 { return uint32(n.rand()) }, OnFail: n.onFail, OnSpace: n.poke, Above: n.above, Manual: n.manual,
	}
}

// Errors of the methods that switch the log.
var (
	ErrLogOn     = errors.New("node: the log is on")
	ErrLogOff    = errors.New("node: the log is off")
	ErrRewriting = errors.New("node: the log is being rewritten")
)

// attach makes a log the one that changes are appended to, and starts its
// keeper. whole says that everything that lives is in the log already.
func (n *Node) attach(log *aof.Log, since uint32, whole, picture bool) *journal {
	j := &journal{log: log, since: since, picture: picture}
	j.keep.init(n, j, whole)
	n.journal.Store(j)
	return j
}

// detach ends the appending and the keeper. No change is running any more that
// would append.
func (n *Node) detach(j *journal) {
	n.journal.Store(nil)
	for i := range n.shards {
		n.shards[i].mu.Lock() // whoever is in there saw the log and appends
		//lint:ignore SA2001 that is all
		n.shards[i].mu.Unlock()
	}
	j.keep.stop()
	n.above = j.log.Head()
	n.last.Store(new(j.keep.info()))
}

// StartLog begins a new log: from now on changes are appended, and all that is
// there already is written by and by. done is called, from another goroutine,
// once that is on disk and the log would be loaded after a crash, or when it
// failed, for lack of space too, or was stopped before: then StopLog is called
// for. Errors of the beginning are returned: ErrLogOn, *aof.FullError,
// aof.ErrLocked and those of the file system.
func (n *Node) StartLog(o LogOptions, done func(error)) error {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	if n.journal.Load() != nil {
		return ErrLogOn
	}
	log, err := aof.Begin(n.aofOptions(&o))
	if err != nil {
		return err
	}
	j := n.attach(log, log.Start(), false, o.Picture)
	j.keep.start(done)
	return nil
}

// endLog detaches the log and ends it.
func (n *Node) endLog(how func(*aof.Log) error) error {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	j := n.journal.Load()
	if j == nil {
		return ErrLogOff
	}
	n.detach(j)
	return how(j.log)
}

// StopLog switches the log off and removes it: it must not bring back, one
// day, what was done since. One that was not whole yet leaves what was there
// before it.
func (n *Node) StopLog() error {
	if j := n.journal.Load(); j != nil && !j.keep.complete() {
		return n.endLog((*aof.Log).Discard)
	}
	return n.endLog((*aof.Log).Off)
}

// LeaveLog ends the appending to a log that is whole, but keeps it: it is a
// picture of the jobs of this moment.
func (n *Node) LeaveLog() error {
	return n.endLog(func(log *aof.Log) error {
		err := cmp.Or(log.SetPolicy(aof.No), log.Sync(log.End()))
		log.Abandon() // not closed in good order: it does not know who gets which job from now on
		return err
	})
}

// closeLog ends the log in good order, if there is one; a log that is not whole
// yet is made so first.
func (n *Node) closeLog() error {
	how := (*aof.Log).Close
	if j := n.journal.Load(); j != nil {
		if !j.picture {
			<-j.keep.ended
		}
		if !j.keep.complete() {
			how = (*aof.Log).Discard
		}
	}
	err := n.endLog(how)
	if err == nil || errors.Is(err, ErrLogOff) {
		return nil
	}
	return fmt.Errorf("closing the log: %w", err)
}

// SetPolicy changes when the log is synced.
func (n *Node) SetPolicy(p aof.Policy) error {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	if j := n.journal.Load(); j != nil && !j.picture {
		return j.log.SetPolicy(p)
	}
	return nil
}

// SetReclaim sets when the log is rewritten by itself: when it has minSize
// bytes on disk and holds more than percent per cent of what lives beyond that;
// percent 0 is never.
func (n *Node) SetReclaim(percent int, minSize int64) {
	n.auto.percent.Store(int64(percent))
	n.auto.minSize.Store(minSize)
}

// Rewrite writes anew whatever still lives in sealed segments, so that they
// can go. done is called from another goroutine when that is so. Errors:
// ErrLogOff, ErrRewriting.
func (n *Node) Rewrite(done func(error)) error {
	j := n.journal.Load()
	if j == nil {
		return ErrLogOff
	}
	return j.keep.request(done)
}

// Backup makes a log of everything done so far in another directory; see
// aof.Log.Backup, whose errors it has, and ErrLogOff.
func (n *Node) Backup(ctx context.Context, dir string) (*aof.Backup, error) {
	j := n.journal.Load()
	if j == nil || j.picture {
		return nil, ErrLogOff
	}
	return j.log.Backup(ctx, dir)
}

// reclaimRule says when the log is rewritten by itself.
type reclaimRule struct{ percent, minSize atomic.Int64 }

// LogInfo is what INFO tells of the log.
type LogInfo struct {
	State        string // off, on, or wait-rewrite until everything is in the log
	Rewriting    bool
	RewriteBegun time.Time
	LastRewrite  time.Duration // how long the last one took, -1 if there was none
	LastFailed   bool          // whether it failed
	Live         int64         // bytes that lived when the last rewrite ended, or the log was opened
	Sizes        aof.Sizes
	Full         *aof.FullError // nil if there is room on the disk
	Err          error          // why the log failed
}

// LogInfo describes the log.
func (n *Node) LogInfo() LogInfo {
	j := n.journal.Load()
	if j == nil {
		if last := n.last.Load(); last != nil {
			return LogInfo{State: "off", LastRewrite: last.LastRewrite, LastFailed: last.LastFailed}
		}
		return LogInfo{State: "off", LastRewrite: -1}
	}
	info := j.keep.info()
	info.Sizes, info.Full, info.Err = j.log.Sizes(), j.log.Full(), j.log.Err()
	return info
}
