package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// world is nodes with clocks and logs of their own, and links that are late, cut
// and overtaken: what waits for the log comes later than what does not.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	m       *mesh // numbers the nodes
	now     int64
	nodes   []*worldNode
	mail    []*worldMail
	cut     map[[2]int]bool
	epoch   map[[2]int]int      // of a link; what was sent in another is lost
	lanes   map[[2]int][2]int64 // when the latest free and marked message of a link comes
	jobs    map[ID]*worldJob
	gone    map[int]bool // forgotten by all others
	history map[ID][]string
}

type worldJob struct {
	once, accepted, acked, deleted, excused bool
	sync, lost                              int
	delivered                               int
}

type worldNode struct {
	*rig
	w        *world
	num      int
	skew     int64
	alive    bool
	life     int // how often it was started
	logged   bool
	log      []worldRecord
	leaving  bool
	low      bool
	consumed []worldSeen // what clients shall see once it is safe
	waits    map[ID]bool
}

type worldRecord struct {
	at  int64 // when it is safe
	rec []byte
}

type worldSeen struct {
	at int64
	do func()
}

type worldMail struct {
	at       int64
	from, to int
	epoch    int
	kind     Kind
	data     []byte
}

func newWorld(t *testing.T, seed uint64, n int) *world {
	w := &world{t: t, now: t0, cut: map[[2]int]bool{}, epoch: map[[2]int]int{}, lanes: map[[2]int][2]int64{}, jobs: map[ID]*worldJob{}, gone: map[int]bool{}, history: map[ID][]string{}}
	w.rnd = rand.New(rand.NewPCG(seed, 77))
	w.m = &mesh{}
	for i := range n {
		w.m.nodes = append(w.m.nodes, &meshNode{num: i, id: NodeID{0: byte(0x10 + 37*i), 19: byte(i)}})
		wn := &worldNode{w: w, num: i, skew: w.rnd.Int64N(600_000) - 300_000, logged: w.rnd.IntN(4) > 0}
		w.nodes = append(w.nodes, wn)
		wn.start(nil)
	}
	w.views()
	return w
}

func (n *worldNode) clock() int64 { return n.w.now + n.skew }

// start begins a life of a node, with what is left of its log.
func (n *worldNode) start(trust *Trust) {
	n.life++
	n.alive, n.leaving, n.low, n.consumed, n.waits = true, false, false, nil, map[ID]bool{}
	s := NewShard(n.clock(), Limits{Roll: meshRoll{n.w.m, n.num}, Seed: n.w.rnd.Uint64()})
	n.rig = &rig{t: n.w.t, s: s, now: n.clock(), rnd: n.w.rnd, sparse: true}
	if trust != nil {
		for _, r := range n.log {
			require.NoError(n.t, s.Replay(r.rec, 1))
		}
	}
	if n.logged {
		s.Attach(1, 1)
	}
	if trust != nil {
		var sum Settled
		for pos := int64(0); pos >= 0; {
			pos = s.Settle(n.clock(), pos, 50, *trust, &n.fx, &sum)
		}
		n.post()
	}
	n.rig.sparse = false
	n.check()
	n.rig.sparse = true
}

// kill ends a life. Of the log what is not safe may be lost, or not.
func (n *worldNode) kill() {
	n.alive = false
	last := len(n.log)
	for last > 0 && n.log[last-1].at > n.w.now {
		last--
	}
	n.log = n.log[:last+n.w.rnd.IntN(len(n.log)-last+1)]
	for _, o := range n.w.nodes {
		n.w.epoch[[2]int{n.num, o.num}]++
		n.w.epoch[[2]int{o.num, n.num}]++
	}
	n.w.mail = deleteMail(n.w.mail, func(l *worldMail) bool { return l.from == n.num || l.to == n.num })
}

func deleteMail(mail []*worldMail, lost func(*worldMail) bool) []*worldMail {
	kept := mail[:0]
	for _, l := range mail {
		if !lost(l) {
			kept = append(kept, l)
		}
	}
	return kept
}

// views tells the nodes who is there.
func (w *world) views() {
	for _, n := range w.nodes {
		if !n.alive {
			continue
		}
		v := &View{Leaving: n.leaving}
		for _, o := range w.nodes {
			if o == n || w.gone[o.num] || w.gone[n.num] {
				continue
			}
			num, _ := (meshRoll{w.m, n.num}).Number(w.m.nodes[o.num].id)
			v.Known = v.Known.With(num)
			if o.alive && !o.leaving && !w.cut[[2]int{n.num, o.num}] && !w.cut[[2]int{o.num, n.num}] {
				v.Reachable = v.Reachable.With(num)
				if w.rnd.IntN(20) > 0 {
					v.Linked = v.Linked.With(num)
				}
			}
		}
		n.s.SetView(v)
		n.s.Rouse(n.clock(), 0, 1<<20, Set{})
	}
}

// do changes a node; what clients see of it they see when it is safe.
func (n *worldNode) do(change func(s *Shard)) (safe int64) {
	n.rig.now = n.clock()
	change(n.s)
	safe = n.post()
	n.check()
	return safe
}

func (n *worldNode) seen(at int64, do func()) {
	if at <= n.w.now {
		do()
		return
	}
	n.consumed = append(n.consumed, worldSeen{at, do})
}

// post journals and sends what a change left. It returns when that is safe.
func (n *worldNode) post() (safe int64) {
	w := n.w
	safe = w.now
	if n.logged {
		if len(n.log) > 0 {
			safe = max(safe, n.log[len(n.log)-1].at)
		}
		if len(n.fx.Journal.Ends) > 0 {
			safe = max(safe, w.now+w.rnd.Int64N(12))
		}
		from := 0
		for _, end := range n.fx.Journal.Ends {
			n.log = append(n.log, worldRecord{safe, append([]byte(nil), n.fx.Journal.Buf[from:end]...)})
			from = end
		}
	}
	n.fx.Journal.Reset()
	from := 0
	for _, mail := range n.fx.Outbox.Mail {
		data := append([]byte(nil), n.fx.Outbox.Buf[from:mail.End]...)
		from = mail.End
		mail.To.Each(func(num uint16) bool {
			link := [2]int{n.num, meshRoll{w.m, n.num}.node(num)}
			require.NotEqual(n.t, n.num, link[1])
			if w.cut[link] || w.gone[link[0]] || w.gone[link[1]] {
				return true
			}
			lane := w.lanes[link]
			at := w.now + 1 + w.rnd.Int64N(4)
			if w.rnd.IntN(50) == 0 {
				at += w.rnd.Int64N(700)
			}
			if mail.Safe {
				at = max(at+safe-w.now, lane[0], lane[1])
				lane[1] = at
			} else {
				at = max(at, lane[0])
				lane[0] = at
			}
			w.lanes[link] = lane
			w.mail = append(w.mail, &worldMail{at: at, from: n.num, to: link[1], epoch: w.epoch[link], kind: mail.Kind, data: data})
			return true
		})
	}
	n.fx.Outbox.Reset()
	for _, a := range n.fx.Added {
		id := a.Adder.(adder).id
		delete(n.waits, id)
		if a.Err == nil {
			n.seen(safe, func() { w.jobs[id].accepted = true })
		}
	}
	n.fx.Added, n.fx.Wakes = nil, nil
	return safe
}

// note remembers what became of a job, for whoever looks into a failure.
func (w *world) note(id ID, format string, a ...any) {
	w.history[id] = append(w.history[id], fmt.Sprintf("%d ", w.now-t0)+fmt.Sprintf(format, a...))
}

func (w *world) receive(l *worldMail) {
	n := w.nodes[l.to]
	n.do(func(s *Shard) {
		msg, err := DecodeMessage(l.kind, l.data, s.limits.Roll)
		require.NoError(w.t, err)
		num, _ := s.limits.Roll.Number(w.m.nodes[l.from].id)
		if w.history[msg.ID] != nil || l.kind == MsgReplJob || l.kind == MsgYourJob {
			w.note(msg.ID, "%d->%d %s flags %d left %d turn %d", l.from, l.to, l.kind, msg.Flags, msg.Left, msg.Turn)
		}
		if (n.leaving || n.low) && (l.kind == MsgReplJob || l.kind == MsgYourJob) {
			if l.kind == MsgYourJob {
				s.Refuse(n.clock(), num, msg, &n.fx)
			}
			return
		}
		_ = s.Receive(n.clock(), num, msg, &n.fx)
	})
}

// pass lets time pass.
func (w *world) pass(ms int64) {
	for end := w.now + ms; ; {
		next := end + 1
		for _, l := range w.mail {
			next = min(next, l.at)
		}
		for _, n := range w.nodes {
			if !n.alive {
				continue
			}
			if at, ok := n.s.Next(); ok {
				next = min(next, max(at-n.skew, w.now))
			}
			for _, c := range n.consumed {
				next = min(next, c.at)
			}
		}
		if next > end {
			w.now = end
			return
		}
		w.now = max(w.now, next)
		for _, n := range w.nodes {
			for n.alive && len(n.consumed) > 0 && n.consumed[0].at <= w.now {
				do := n.consumed[0].do
				n.consumed = n.consumed[1:]
				do()
			}
		}
		for i := 0; i < len(w.mail); {
			l := w.mail[i]
			if l.at > w.now {
				i++
				continue
			}
			w.mail = append(w.mail[:i], w.mail[i+1:]...)
			link := [2]int{l.from, l.to}
			if w.nodes[l.to].alive && !w.cut[link] && w.epoch[link] == l.epoch && !w.gone[l.from] && !w.gone[l.to] {
				w.receive(l)
			}
		}
		for _, n := range w.nodes {
			if n.alive {
				n.do(func(s *Shard) {
					for rounds := 0; s.Tick(n.clock(), 100, &n.fx); rounds++ {
						require.Less(w.t, rounds, 1000, "the wheel does not come to rest")
					}
				})
			}
		}
	}
}
