package node

import (
	"errors"
	"sync"
	"time"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// keeper is the goroutine that keeps a log small: it drops the oldest segments
// when nothing in them lives, and writes anew what lives in old segments that
// are mostly garbage, so that they can go too.
type keeper struct {
	n    *Node
	j    *journal
	quit chan struct{}
	once sync.Once // closes quit
	wg   sync.WaitGroup

	ended chan struct{} // closed when the image is complete, or given up

	mu        sync.Mutex
	whole     bool        // all that lives is in the log
	wanted    func(error) // a rewrite was asked for; told when it ended
	rewriting bool        // or about to
	begun     time.Time
	took      time.Duration
	failed    bool
	base      int64 // bytes that lived when the last rewrite ended
}

const (
	keepEvery   = time.Second // look at the log even if nobody kicks
	rewriteRoom = 16 << 10    // most bytes journalled under one hold of a lock,
	rewriteStep = 2048        // and positions visited
	rewritePart = 256         // of a segment
	writePart   = 16          // of a segment is written at a time: what does not fit its end is wasted
	oldestPart  = 8           // of the sealed segments, an eighth is rewritten at a time
)

// ErrStopped ends a rewrite.
var ErrStopped = errors.New("node: the log was switched off, or the node stopped, before that was done")

func (k *keeper) init(n *Node, j *journal, whole bool) {
	k.n, k.j, k.whole, k.took = n, j, whole, -1
	k.quit, k.ended = make(chan struct{}), make(chan struct{})
	if whole {
		close(k.ended)
	}
}

// begin notes how much lives in a log that was read.
func (k *keeper) begin() {
	live, _ := k.n.live(0)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.base = live
}

// complete reports whether all that lives is in the log.
func (k *keeper) complete() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.whole
}

// start runs the keeper. done, if not nil, is told when the log is whole.
func (k *keeper) start(done func(error)) {
	if k.n.manual {
		k.first(done)
		return
	}
	k.wg.Go(func() {
		if k.first(done) {
			k.run()
		}
	})
}

// first makes the log whole if it is not, and reports whether it is.
func (k *keeper) first(done func(error)) bool {
	if k.complete() {
		return true
	}
	err := k.image()
	close(k.ended)
	done(err)
	return err == nil
}

// TurnLog does what a log's own goroutines, and the one that keeps it small,
// would do by now if the node were not Manual.
func (n *Node) TurnLog() {
	if j := n.journal.Load(); j != nil {
		j.log.Tick()
		if j.keep.complete() {
			j.keep.turn()
		}
	}
}

func (k *keeper) stop() {
	k.once.Do(func() { close(k.quit) })
	k.wg.Wait()
	if wanted := k.takeWanted(); wanted != nil {
		wanted(ErrStopped)
	}
}

// poke makes the keeper of the log look at it. It does not block.
func (n *Node) poke() {
	select {
	case n.space <- struct{}{}:
	default:
	}
}

func (k *keeper) stopped() bool {
	select {
	case <-k.quit:
		return true
	default:
		return false
	}
}

// request asks for a rewrite of all sealed segments.
func (k *keeper) request(done func(error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stopped() {
		return ErrLogOff
	}
	if k.rewriting || k.wanted != nil || !k.whole {
		return ErrRewriting
	}
	k.wanted = done
	k.n.poke()
	return nil
}

func (k *keeper) takeWanted() func(error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	wanted := k.wanted
	k.wanted = nil
	k.rewriting = wanted != nil // goes on until rewriteAll ends it
	return wanted
}

func (k *keeper) run() {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.quit:
			return
		case <-k.n.space:
		case <-tick.C:
		}
		k.turn()
	}
}

// turn does what there is to do.
func (k *keeper) turn() {
	if wanted := k.takeWanted(); wanted != nil {
		wanted(k.rewriteAll())
	}
	for k.reclaim() {
	}
}

// image writes all that lives, for the first time.
func (k *keeper) image() error {
	return k.job(func() error {
		err := k.rewrite(k.j.since)
		if err == nil {
			err = k.j.log.Image()
		}
		if err == nil {
			k.mu.Lock()
			k.whole = true
			k.mu.Unlock()
		}
		return err
	})
}

// rewriteAll makes every segment but the head needless and drops them.
func (k *keeper) rewriteAll() error {
	return k.job(func() error {
		var full *aof.FullError
		if err := k.j.log.Rotate(); err != nil && !errors.As(err, &full) {
			return err
		}
		head := k.j.log.Head()
		for sealed := k.j.log.Sealed(); len(sealed) > 0 && sealed[0].Number < head; sealed = k.j.log.Sealed() {
			if full := k.j.log.Full(); full != nil {
				return full // what is left is for what is worth it; see reclaim
			}
			if err := k.rewriteOldest(sealed); err != nil {
				return err
			}
		}
		return nil
	})
}

// job does something that INFO tells as a rewrite.
func (k *keeper) job(do func() error) error {
	k.mu.Lock()
	k.rewriting, k.begun = true, time.Now()
	k.mu.Unlock()
	err := do()
	live, _ := k.n.live(0)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rewriting, k.failed, k.base = false, err != nil, live
	k.took = time.Since(k.begun)
	return err
}

// reclaim does the next best thing to make the log smaller, and reports
// whether there may be more to do.
func (k *keeper) reclaim() bool {
	if k.stopped() {
		return false
	}
	sealed := k.j.log.Sealed()
	live, oldest := k.n.live(k.j.log.Head())
	if len(sealed) > 0 && oldest > sealed[0].Number {
		return k.j.log.Drop(oldest) == nil
	}
	sizes := k.j.log.Sizes()
	garbage := sizes.Sealed + sizes.HeadUsed - live - int64(k.n.Jobs()*aof.RecordOverhead)
	percent := k.n.auto.percent.Load()
	switch {
	case k.j.log.Full() != nil && garbage > sizes.Leeway/2:
		// Whatever the thresholds say: there is space to be had, and none to spare.
		// It is more than may be lost on the way to it; see aof/DESIGN.md.
		if len(sealed) == 0 {
			return k.j.log.Rotate() == nil
		}
	case len(sealed) == 0:
		return false
	case percent == 0 || sizes.Disk < k.n.auto.minSize.Load() || garbage <= live/100*percent:
		return false
	case sizes.HeadUsed < sizes.Head/4:
		return false // what lives in the oldest may yet go by itself; there is time until the reserve is made
	}
	return k.job(func() error { return k.rewriteOldest(sealed) }) == nil
}

// rewriteOldest makes the oldest of the sealed segments needless and drops
// them: as many as fit what is kept for that, so that what is begun can be
// ended though the disk be full by then, but one at least. On a full disk that
// has to fit what is left: half of it would free nothing and leave nothing.
func (k *keeper) rewriteOldest(sealed []aof.SealedSegment) error {
	first := sealed[0].Number
	live := make([]int64, (len(sealed)-1)/oldestPart+1)
	k.n.eachLive(func(segment uint32, b int64) {
		if i := max(segment, first) - first; int(i) < len(live) {
			live[i] += b
		}
	})
	sizes, full := k.j.log.Sizes(), k.j.log.Full()
	if full != nil && int64(rewriteNeed(int(live[0])).bytes) > sizes.Free {
		return full
	}
	sum, below := live[0], first+1
	for _, b := range live[1:] {
		if sum += b; int64(rewriteNeed(int(sum)).bytes) > sizes.Kept/5*4 {
			break
		}
		below++
	}
	return k.rewriteBelow(below)
}

// rewriteBelow makes the segments before below needless and drops them.
func (k *keeper) rewriteBelow(below uint32) error {
	err := k.rewrite(below)
	if err == nil {
		_, oldest := k.n.live(k.j.log.Head())
		err = k.j.log.Drop(oldest)
	}
	return err
}

// rewrite journals anew all that lives and is not in segment below or later.
func (k *keeper) rewrite(below uint32) error {
	for i := range k.n.shards {
		if err := k.rewriteShard(&k.n.shards[i], below); err != nil {
			return err
		}
	}
	return nil
}

// rewriteShard waits for what it journalled whenever that is a part of a
// segment.
func (k *keeper) rewriteShard(sh *shard, below uint32) error {
	least := k.room()
	bytes := least
	var mark Mark
	for pos := int64(0); pos >= 0; {
		if k.stopped() {
			return ErrStopped
		}
		need := 0
		err := k.n.apply(sh, rewriteNeed(bytes), &mark, func(s *store.Shard, _ int64, fx *store.Effects) {
			pos, need = s.Rewrite(pos, rewriteStep, below, bytes, fx)
		})
		if err := k.wait(err); err != nil {
			return err
		}
		if sizes := k.j.log.Sizes(); sizes.Buffered >= sizes.Head/writePart {
			if err := mark.Wait(); err != nil {
				return err
			}
		}
		bytes = max(least, need)
	}
	return nil
}

// room is how many bytes are journalled under one hold of a lock.
func (k *keeper) room() int {
	return int(min(rewriteRoom, max(1<<10, k.j.log.Sizes().Head/rewritePart)))
}

// rewriteNeed is the room for records of so many bytes, in ever so many frames.
func rewriteNeed(bytes int) room {
	return room{bytes + (bytes/store.MinPutSize+1)*aof.RecordOverhead, aof.Reclaim}
}

// wait passes an error on, but for that of a disk that does not keep up: that is
// waited out.
func (k *keeper) wait(err error) error {
	if !errors.Is(err, aof.ErrBusy) || k.n.manual {
		return err
	}
	select {
	case <-k.quit:
		return ErrStopped
	case <-time.After(keepEvery):
		return nil
	}
}

func (k *keeper) info() LogInfo {
	k.mu.Lock()
	defer k.mu.Unlock()
	info := LogInfo{
		State: "on", Rewriting: k.rewriting || k.wanted != nil, RewriteBegun: k.begun,
		LastRewrite: k.took, LastFailed: k.failed, Live: k.base,
	}
	if !k.whole {
		info.State = "wait-rewrite"
	}
	return info
}

// eachLive calls yield for what each shard says lives in a segment.
func (n *Node) eachLive(yield func(segment uint32, bytes int64)) {
	for i := range n.shards {
		n.shards[i].read(func(s *store.Shard) { s.Live(yield) })
	}
}

// live returns the bytes of the records that are needed, and the oldest segment
// that holds one; head if there is none.
func (n *Node) live(head uint32) (bytes int64, oldest uint32) {
	oldest = head
	n.eachLive(func(segment uint32, b int64) {
		bytes += b
		oldest = min(oldest, segment)
	})
	return bytes, oldest
}
