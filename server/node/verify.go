package node

import "fmt"

// Verify returns an error if what the node holds contradicts itself: at a cost
// that grows with its queues, or with its jobs too if all is set. Nobody may use
// the node meanwhile who minds to wait.
func (n *Node) Verify(all bool) (err error) {
	for i := range n.shards {
		sh := &n.shards[i]
		sh.mu.Lock()
		if all {
			err = sh.s.Verify(0)
		} else {
			err = sh.s.VerifyCounts()
		}
		if next, ok := sh.s.Next(); err == nil && ok && sh.next.Load() > next {
			err = fmt.Errorf("the timers of shard %d are looked at %d ms late", i, sh.next.Load()-next)
		}
		sh.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
