package node

import "github.com/disqo/disqo/store"

// Get calls look with a job, under its shard's lock; ok is false when the job
// is unknown.
func (n *Node) Get(id *store.ID, look func(*store.Job)) (ok bool) {
	n.byHash(id.Hash()).read(func(s *store.Shard) {
		var j *store.Job
		if j, ok = s.Get(id); ok {
			look(j)
		}
	})
	return ok
}

// Dummy reports whether the acknowledgement of an unknown job is kept, and until
// when.
func (n *Node) Dummy(id *store.ID) (expires int64, ok bool) {
	n.byHash(id.Hash()).read(func(s *store.Shard) { expires, ok = s.Dummy(id) })
	return expires, ok
}

// QueueLen returns how many jobs are queued under that name.
func (n *Node) QueueLen(name []byte) (l int) {
	n.byQueue(name).read(func(s *store.Shard) { l = s.Len(name) })
	return l
}

// QueueStat returns the figures of a live queue.
func (n *Node) QueueStat(name []byte) (st store.QueueStat, ok bool) {
	n.byQueue(name).read(func(s *store.Shard) { st, ok = s.Stat(n.now(), name) })
	return st, ok
}

// PauseState returns the pause of a queue.
func (n *Node) PauseState(name []byte) (p store.Pause) {
	n.byQueue(name).read(func(s *store.Shard) { p = s.PauseState(name) })
	return p
}

// Peek calls yield with up to count queued jobs, oldest or newest first, under
// the shard's lock, until it returns false. While others change the queue, one
// may be seen twice or not at all.
func (n *Node) Peek(name []byte, count int, newest bool, yield func(*store.Job) bool) {
	sh := n.byQueue(name)
	for from := 0; from < count; {
		seen, want := 0, min(fetchBatch, count-from)
		sh.read(func(s *store.Shard) { seen = s.Peek(name, from, want, newest, yield) })
		if seen < want {
			return
		}
		from += seen
	}
}

// Jobs returns how many jobs the node knows.
func (n *Node) Jobs() int { return n.sum((*store.Shard).Jobs) }

// Queues returns how many queues are live.
func (n *Node) Queues() int { return n.sum((*store.Shard).Queues) }

func (n *Node) sum(count func(*store.Shard) int) (total int) {
	for i := range n.shards {
		n.shards[i].read(func(s *store.Shard) { total += count(s) })
	}
	return total
}

// A scan cursor is a shard number and a position within the shard. 0 begins a
// scan, and is returned at its end. It needs no state here, so that any number
// of scans, left or resumed at will, cost nothing.
const cursorShift = 40

// scanBatch is how many positions are looked at under one hold of a lock.
const scanBatch = 512

// ScanJobs visits up to steps positions from cursor on, and yields the jobs
// there until yield returns false; it returns the cursor to go on from. A
// negative steps is no bound. With queue not nil only its shard is visited.
func (n *Node) ScanJobs(cursor uint64, steps int, queue []byte, yield func(*store.Job) bool) uint64 {
	first, last := 0, len(n.shards)
	if queue != nil {
		first = int(store.Hash16(queue) >> n.shift)
		last = first + 1
	}
	return n.scan(cursor, steps, first, last, func(s *store.Shard, pos int64, k int, stop *bool) (int64, int) {
		return s.ScanJobs(pos, k, func(j *store.Job) bool {
			*stop = !yield(j)
			return !*stop
		})
	})
}

// ScanQueues is ScanJobs for the live queues, and with all for those too that only
// have jobs: delayed ones, copies of what other nodes deliver.
func (n *Node) ScanQueues(cursor uint64, steps int, all bool, yield func(store.QueueStat) bool) uint64 {
	return n.scan(cursor, steps, 0, len(n.shards), func(s *store.Shard, pos int64, k int, stop *bool) (int64, int) {
		return s.ScanQueues(n.now(), pos, k, all, func(q store.QueueStat) bool {
			*stop = !yield(q)
			return !*stop
		})
	})
}

// scan walks the shards first to last-1 by batches of positions.
func (n *Node) scan(cursor uint64, steps, first, last int, batch func(s *store.Shard, pos int64, k int, stop *bool) (int64, int)) uint64 {
	at, pos := uint64(first), int64(0)
	if sh := cursor >> cursorShift; sh > at || sh == at && cursor != 0 {
		at, pos = sh, int64(cursor&(1<<cursorShift-1))
	}
	stop := false
	for at < uint64(last) {
		if steps == 0 || stop {
			return at<<cursorShift | uint64(pos)
		}
		k, visited := scanBatch, 0
		if steps > 0 {
			k = min(k, steps)
		}
		n.shards[at].read(func(s *store.Shard) { pos, visited = batch(s, pos, k, &stop) })
		if steps > 0 {
			steps -= visited
		}
		if pos < 0 {
			at, pos = at+1, 0
		}
	}
	return 0
}
