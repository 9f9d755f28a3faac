package node

import (
	"encoding/hex"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/disqo/disqo/store"
)

// Options configure a node. The zero value of each field but ID means its
// default.
type Options struct {
	// ID is the node's id, 40 hexadecimal digits.
	ID string
	// Shards is how many shards the jobs are spread over: a power of two up
	// to 65536, default 16. More shards mean shorter waits for a lock.
	Shards int
	// MaxMemory bounds the bytes accounted to jobs and queues; 0 is no bound.
	MaxMemory int64
	// MaxQueues bounds the queue names of the node, default 1,000,000.
	MaxQueues int64
	// KeepSpent disables eviction of jobs that can never be delivered again.
	KeepSpent bool
	// Now is the clock, milliseconds since the epoch; default Clock().
	Now func() int64
	// OnFail is called once, from any goroutine, when the log has failed: what
	// was not answered until then never may be. The node must be ended.
	OnFail func(error)
	// Rand returns random bits for job ids; default math/rand/v2, which is
	// seeded by the system and safe for concurrent use.
	Rand func() uint64
	// Bus is how peers are reached; nil: there are none, ever.
	Bus *Bus
	// Manual starts no goroutine, for simulators: time passes by Turn and TurnLog
	// alone, and one caller at a time uses the node.
	Manual bool
}

const (
	defaultShards    = 16
	defaultMaxQueues = 1_000_000
	defaultRepl      = 3
	defaultSync      = 2
	maxDummies       = 100_000 // 200 bytes each
)

func (o *Options) fill() error {
	if raw, err := hex.DecodeString(o.ID); err != nil || len(raw) != 20 {
		return fmt.Errorf("node: ID %q is not 40 hexadecimal digits", o.ID)
	}
	if o.Shards == 0 {
		o.Shards = defaultShards
	}
	if o.Shards < 1 || o.Shards > 1<<16 || bits.OnesCount(uint(o.Shards)) != 1 {
		return fmt.Errorf("node: Shards %d is not a power of two up to 65536", o.Shards)
	}
	if o.MaxQueues == 0 {
		o.MaxQueues = defaultMaxQueues
	}
	if o.Now == nil {
		o.Now = Clock()
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	return nil
}

// Node is a running broker without its front. All methods are safe for
// concurrent use.
type Node struct {
	name atomic.Pointer[name]
	now  func() int64
	rand func() uint64
	boot uint64 // another one each time the node begins, never 0

	shards []shard
	shift  uint // hash16 >> shift is the shard

	manual    bool
	queues    quota
	dummies   quota        // acknowledgements of unknown jobs
	used      atomic.Int64 // bytes accounted over all shards
	maxMemory atomic.Int64
	keepSpent atomic.Bool
	leaving   atomic.Bool
	ending    atomic.Bool

	defaultRepl atomic.Int64
	defaultSync atomic.Int64
	peers       peers
	drain       drain
	handOver    handOver

	timers timers

	onFail  func(error)
	journal atomic.Pointer[journal] // nil while there is no log
	logMu   sync.Mutex              // held while the log is switched; before any shard's lock
	above   uint32                  // segments of a new log are above this one; under logMu
	last    atomic.Pointer[LogInfo] // of the log that was switched off last
	auto    reclaimRule
	space   chan struct{} // the keeper is wanted: there may be segments to drop
	loaded  progress
}

// shard is a store shard and its lock, apart from its neighbours' cache lines.
type shard struct {
	mu    sync.Mutex
	s     *store.Shard
	fx    store.Effects // reused under mu
	frame []byte        // reused under mu
	next  atomic.Int64  // when Tick has something to do, never if nothing
	_     [16]byte
}

// New makes a node without jobs; OpenLog may then be called, and Start must.
func New(o Options) (*Node, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	n := &Node{now: o.Now, rand: o.Rand, boot: o.Rand() | 1, manual: o.Manual, onFail: o.OnFail, space: make(chan struct{}, 1), shards: make([]shard, o.Shards)}
	n.shift = uint(16 - bits.TrailingZeros(uint(o.Shards)))
	n.SetID(o.ID)
	n.queues.max.Store(o.MaxQueues)
	n.dummies.max.Store(maxDummies)
	n.SetDefaults(defaultRepl, defaultSync)
	n.initPeers(o.Bus)
	n.maxMemory.Store(o.MaxMemory)
	n.keepSpent.Store(o.KeepSpent)
	for i := range n.shards {
		n.shards[i].s = store.NewShard(n.now(), store.Limits{Queues: &n.queues, Dummies: &n.dummies, Roll: n.peers.roll, Seed: n.rand()})
		n.shards[i].next.Store(never)
	}
	n.timers.init()
	return n, nil
}

// Start lets time pass for the jobs, unless the node is Manual; Close ends it.
func (n *Node) Start() {
	if !n.manual {
		n.timers.start(n)
	}
}

// Close stops the node's timers and ends the log cleanly; again is fine. Jobs
// stay readable. An error says that the end of the log may not be on disk.
func (n *Node) Close() error {
	if n.peers.links != nil {
		n.peers.links.Close()
	}
	n.timers.stop()
	return n.closeLog()
}

// name is the node's id.
type name struct {
	id     string
	prefix [4]byte // its first bytes, part of every job id made here
}

// ID returns the node's id.
func (n *Node) ID() string { return n.name.Load().id }

// SetID gives the node another id, 40 hexadecimal digits. Jobs keep theirs.
func (n *Node) SetID(id string) {
	nm := &name{id: id}
	_, _ = hex.Decode(nm.prefix[:], []byte(id[:8]))
	n.name.Store(nm)
}

// Now returns the node's time in milliseconds.
func (n *Node) Now() int64 { return n.now() }

// SetMaxQueues bounds the queue names; those there are stay.
func (n *Node) SetMaxQueues(most int64) { n.queues.max.Store(most) }

// Leaving reports whether the node is leaving the cluster: it takes no new job
// and lets no consumer wait.
func (n *Node) Leaving() bool { return n.leaving.Load() }

// SetLeaving sets it. A node that leaves hands its jobs to others.
func (n *Node) SetLeaving(on bool) {
	n.leaving.Store(on)
	n.drain.since.Store(0)
	if on {
		n.drain.since.Store(n.now())
	}
	n.lookAtPeers()
}

// SetDefaults sets on how many nodes a job is held when its producer does not
// say, if there are so many, and on how many of them before the producer is
// answered.
func (n *Node) SetDefaults(repl, sync int) {
	n.defaultRepl.Store(int64(repl))
	n.defaultSync.Store(int64(sync))
}

// DefaultCopies returns on how many nodes a job is held when its producer does
// not say.
func (n *Node) DefaultCopies() int { return min(int(n.defaultRepl.Load()), n.Size()) }

// quota counts queue names over all shards.
type quota struct{ max, taken atomic.Int64 }

func (q *quota) Take() bool {
	if q.taken.Add(1) <= q.max.Load() {
		return true
	}
	q.taken.Add(-1)
	return false
}

func (q *quota) Give() { q.taken.Add(-1) }
