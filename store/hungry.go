package store

import "slices"

// A node whose consumers wait asks seldom when nobody has jobs for it. So a node
// that cannot give remembers who asked, and gives when it can: a consumer need
// not wait for the next question.

const (
	hungryLasts = callMost + 5000 // milliseconds: by then whoever still waits has asked again
	hungryMost  = 4096            // queue names remembered in a shard,
	hungryNodes = 64              // and nodes for each
)

// hunger is the nodes that wait for jobs of a queue, who waits longest first.
type hunger []giver

// remember notes that a node waits for jobs of a queue.
func (s *Shard) remember(now int64, from uint16, name []byte) {
	h := s.hungry[string(name)]
	if h == nil && len(s.hungry) >= hungryMost {
		s.forgetHungry(now)
		if len(s.hungry) >= hungryMost {
			return
		}
	}
	h = slices.DeleteFunc(h, func(g giver) bool { return g.node == from || now-g.at > hungryLasts })
	if len(h) < hungryNodes {
		s.hungry[string(name)] = append(h, giver{from, now})
	}
}

// forgetHungry drops what is too old to be true.
func (s *Shard) forgetHungry(now int64) {
	for name, h := range s.hungry {
		if now-h[len(h)-1].at > hungryLasts {
			delete(s.hungry, name)
		}
	}
}

// feed gives jobs of a queue that nobody here waits for to nodes that asked
// before there were any, one to each.
func (s *Shard) feed(now int64, q *queue, fx *Effects) {
	h := s.hungry[q.name]
	for len(h) > 0 && q.jobs.Len() > 0 && q.pause&PauseOut == 0 {
		to := h[0]
		h = h[1:]
		if now-to.at <= hungryLasts && s.view.Linked.Has(to.node) && s.suits(q, to.node) {
			s.giveFirst(now, q, to.node, fx)
		}
	}
	if len(h) == 0 {
		delete(s.hungry, q.name)
	} else {
		s.hungry[q.name] = h
	}
}
