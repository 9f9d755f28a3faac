package node

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/store"
)

// Loaded is what became of a log that was read.
type Loaded struct {
	store.Settled
	Report *aof.Report
}

// progress counts the bytes of a log that is being read.
type progress struct{ done, total atomic.Int64 }

// LoadProgress returns how many bytes of the log were read, of how many.
func (n *Node) LoadProgress() (done, total int64) { return n.loaded.done.Load(), n.loaded.total.Load() }

// OpenLog reads a log into an empty node that was not started yet, and goes on
// with it, or ends when ctx does. Errors are those of aof.Open and of records
// that no node can have written; the node must be closed then.
func (n *Node) OpenLog(ctx context.Context, o LogOptions) (*Loaded, error) {
	n.logMu.Lock()
	defer n.logMu.Unlock()
	most := n.queues.max.Swap(math.MaxInt64) // what was accepted once is not refused now
	defer n.queues.max.Store(most)
	if o.ReadOnce {
		o.Policy = aof.No // what is done from now on is missing in it
	}
	l := newLoader(ctx, n)
	log, report, err := aof.Open(n.aofOptions(&o), l.visit)
	if err = l.finish(err); err != nil {
		if log != nil {
			log.Abandon()
		}
		return nil, err
	}
	loaded := &Loaded{Report: report}
	trust := store.Trust{Complete: report.Clean || report.Always, QueueAll: o.QueueAll, Peers: o.Peers}
	if o.ReadOnce {
		n.above = log.Head()
		log.Abandon()
		return loaded, n.settle(ctx, trust, &loaded.Settled)
	}
	j := n.attach(log, 1, true, false)
	if err = n.settle(ctx, trust, &loaded.Settled); err == nil {
		err = log.Sync(log.End())
	}
	if err != nil {
		n.detach(j)
		log.Abandon()
		return nil, err
	}
	log.Trust() // that jobs are doubtful is on disk
	j.keep.begin()
	j.keep.start(nil)
	return loaded, nil
}

// Pieces of a log go to the workers when a shard has gathered pieceBytes; each
// worker has a few waiting.
const (
	pieceBytes = 128 << 10
	pieceQueue = 4
)

// piece is records of one shard, in order: segment 4 | length 4 | record ...
type piece struct {
	sh   *shard
	data []byte
}

// loader spreads the records of a log over workers, each of which has some
// shards to itself.
type loader struct {
	ctx    context.Context
	n      *Node
	gather [][]byte // by shard
	queues []chan piece
	wg     sync.WaitGroup
	spare  chan []byte           // buffers to be used again
	err    atomic.Pointer[error] // the first of a worker
}

func newLoader(ctx context.Context, n *Node) *loader {
	l := &loader{ctx: ctx, n: n, gather: make([][]byte, len(n.shards)), queues: make([]chan piece, n.workers()), spare: make(chan []byte, 2*len(n.shards))}
	for i := range l.queues {
		l.queues[i] = make(chan piece, pieceQueue)
		l.wg.Go(func() { l.work(l.queues[i]) })
	}
	return l
}

// visit takes a batch of the log.
func (l *loader) visit(b *aof.Batch) (err error) {
	l.n.loaded.done.Store(b.Done)
	l.n.loaded.total.Store(b.Total)
	if err := l.ctx.Err(); err != nil {
		return err
	}
	b.Records(func(rec []byte) bool {
		err = l.record(b.Segment, rec)
		return err == nil
	})
	if failed := l.err.Load(); err == nil && failed != nil {
		err = *failed
	}
	return err
}

// record hands a record to its shard, or to all it concerns.
func (l *loader) record(segment uint32, rec []byte) error {
	low, high, err := store.RecordHash(rec)
	if err != nil {
		return fmt.Errorf("segment %d: %w", segment, err)
	}
	for i := int(low >> l.n.shift); i <= int(high>>l.n.shift); i++ {
		b := l.gather[i]
		if b == nil {
			select {
			case b = <-l.spare:
			default:
			}
		}
		b = binary.LittleEndian.AppendUint32(b, segment)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(rec)))
		if l.gather[i] = append(b, rec...); len(l.gather[i]) >= pieceBytes {
			l.send(i)
		}
	}
	return nil
}

func (l *loader) send(i int) {
	if len(l.gather[i]) == 0 {
		return
	}
	p := piece{&l.n.shards[i], l.gather[i]}
	l.gather[i] = nil
	if len(l.queues) == 0 {
		l.do(p)
		return
	}
	l.queues[i%len(l.queues)] <- p
}

// finish ends the reading with what it came to and waits for the workers.
func (l *loader) finish(err error) error {
	for i := range l.gather {
		l.send(i)
	}
	for _, q := range l.queues {
		close(q)
	}
	l.wg.Wait()
	if failed := l.err.Load(); err == nil && failed != nil {
		err = *failed
	}
	return err
}

func (l *loader) work(pieces <-chan piece) {
	for p := range pieces {
		l.do(p)
	}
}

func (l *loader) do(p piece) {
	if l.err.Load() != nil {
		return
	}
	var err error
	_ = l.n.apply(p.sh, room{}, &Mark{}, func(s *store.Shard, _ int64, _ *store.Effects) { err = replay(s, p.data) })
	if err != nil {
		l.err.CompareAndSwap(nil, &err)
	}
	if cap(p.data) <= 2*pieceBytes {
		select {
		case l.spare <- p.data[:0]:
		default:
		}
	}
}

// workers returns how many goroutines read a log; 0: the caller does.
func (n *Node) workers() int {
	if n.manual {
		return 0
	}
	return runtime.GOMAXPROCS(0)
}

// replay does what a piece says.
func replay(s *store.Shard, data []byte) error {
	le := binary.LittleEndian
	for len(data) > 0 {
		segment, n := le.Uint32(data), le.Uint32(data[4:])
		if err := s.Replay(data[8:8+n], segment); err != nil {
			return fmt.Errorf("segment %d: %w", segment, err)
		}
		data = data[8+n:]
	}
	return nil
}

// settleStep is how many positions are settled under one hold of a lock.
const settleStep = 256

// settle makes the shards ready for use after a log was read, all at once.
func (n *Node) settle(ctx context.Context, trust store.Trust, sum *store.Settled) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := atomic.Int64{}
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(n.shards)); i = next.Add(1) - 1 {
			var part store.Settled
			err := n.settleShard(ctx, &n.shards[i], trust, &part)
			if err != nil {
				cancel()
			}
			mu.Lock()
			failed = cmp.Or(failed, err)
			sum.Add(part)
			mu.Unlock()
		}
	}
	if n.manual {
		work()
	}
	for range n.workers() {
		wg.Go(work)
	}
	wg.Wait()
	return failed
}

func (n *Node) settleShard(ctx context.Context, sh *shard, trust store.Trust, part *store.Settled) (err error) {
	need := room{settleStep * (store.StateSize + aof.RecordOverhead), aof.Reclaim}
	if trust.Complete {
		need = room{} // no job is in doubt
	}
	for pos := int64(0); pos >= 0 && err == nil; {
		if err = ctx.Err(); err != nil {
			return err
		}
		err = n.apply(sh, need, &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
			pos = s.Settle(now, pos, settleStep, trust, fx, part)
		})
	}
	return err
}
