package node

import (
	"cmp"

	"github.com/disqo/disqo/store"
)

// Waiter is a consumer that waits for a job; see store.Waiter.
type Waiter interface {
	store.Waiter
	// Await is called before Wake: what m asks for must be safe before the job
	// that was delivered, if it is at most once, may be handed on.
	Await(m Mark)
}

// Ticket is a waiter's place in the FIFOs of its queues.
type Ticket struct{ places []place }

type place struct {
	sh *shard
	t  *store.Ticket
}

// Block puts w at the end of each queue's FIFO, once a queue. If a job turns
// up on the way, it is delivered to w, which is woken, and the rest is left.
// Unblock must be called when the wait is over, however it ended.
func (n *Node) Block(queues [][]byte, w Waiter) (*Ticket, error) {
	tk := &Ticket{places: make([]place, 0, len(queues))}
	seen := make(map[string]struct{}, len(queues))
	for _, q := range queues {
		if _, dup := seen[string(q)]; dup {
			continue
		}
		seen[string(q)] = struct{}{}
		sh := n.byQueue(q)
		var t *store.Ticket
		var refused error
		err := n.apply(sh, forJobs(1), &Mark{}, func(s *store.Shard, now int64, fx *store.Effects) {
			t, refused = s.Block(now, q, w, fx)
		})
		if err = cmp.Or(err, refused); err != nil {
			if n.Unblock(tk); w.Claim() {
				return nil, err
			}
			break // a job came before the error did
		}
		if t == nil {
			break
		}
		tk.places = append(tk.places, place{sh, t})
	}
	return tk, nil
}

// Unblock takes a waiter out of the FIFOs.
func (n *Node) Unblock(tk *Ticket) {
	for _, p := range tk.places {
		_ = n.apply(p.sh, room{}, &Mark{}, func(s *store.Shard, _ int64, _ *store.Effects) { s.Unblock(p.t) })
	}
	tk.places = nil
}
