package cluster

import (
	"maps"
	"math/rand/v2"
	"time"
)

const (
	upkeepPause = 100 * time.Millisecond
	saveAgain   = time.Second            // after nodes.conf could not be written
	settleTime  = 2 * time.Second        // after a node came: gossip may have missed somebody
	settlePause = 250 * time.Millisecond // between exchanges meanwhile
	settleCrowd = 32                     // more members than that for each that came exchange as much as so many
	rejoinPause = 20 * time.Millisecond  // for a node to refute what it heard of itself
)

// upkeep is the cluster's own clock: it takes messages, tries the lost again,
// notices what changed, and follows cluster-node-timeout.
func (c *Cluster) upkeep() {
	t := time.NewTicker(upkeepPause)
	defer t.Stop()
	seen := map[string]Member{}
	var tended, settled time.Time
	for {
		select {
		case <-c.ctx.Done():
			return
		case m := <-c.inbox:
			c.hear(m)
		case <-c.kick:
		case <-t.C:
		}
		c.followTimeout()
		c.announce()
		now := c.now()
		if now.Sub(tended) >= addressPause {
			tended = now
			c.tend()
		}
		if now.Sub(settled) >= settlePause {
			settled = now
			c.settle()
		}
		c.retry()
		seen = c.notice(seen)
	}
}

// followTimeout makes memberlist anew when cluster-node-timeout has changed:
// its times are fixed. The sockets and the roster stay.
func (c *Cluster) followTimeout() {
	if g := c.gossip.Load(); g.timeout == c.o.NodeTimeout() && !g.retired.Load() {
		return
	}
	c.life.Lock()
	defer c.life.Unlock()
	if c.ctx.Err() != nil {
		return
	}
	if err := c.replace(); err != nil {
		c.warn("", "cluster: starting gossip failed; it is tried again", "error", err)
	}
}

// retry tries to reach the members that are lost, on and on: a partition heals
// though both sides took each other for dead.
func (c *Cluster) retry() {
	c.mu.Lock()
	now := c.now()
	c.peers.age(now, c.o.NodeTimeout()*3/2)
	ids := c.peers.due(now, jitter)
	c.mu.Unlock()
	for _, id := range ids {
		c.run(func() { c.rejoin(id) })
	}
}

// rejoin exchanges what each knows with a lost node. If one holds the other
// for dead, each learns of that by the first exchange and refutes it by the
// second.
func (c *Cluster) rejoin(id string) {
	g := c.gossip.Load()
	for range 2 {
		if g.rejoin(id) != nil {
			break
		}
		c.sleep(rejoinPause)
		if c.alive(id) {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		p.busy = false
	}
}

// settle exchanges what each knows with some living member while nodes come:
// gossip goes to those that are known, and not for long. Each exchange carries
// all members, so if few come to many, who know them by gossip, few do.
func (c *Cluster) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.now().Sub(c.grown) > settleTime || rand.N(len(c.peers)+1) > settleCrowd*c.came {
		return
	}
	for id, p := range c.peers { // in random order
		if p.alive && !p.busy && p.shown(c.now()) {
			p.busy = true
			c.wg.Go(func() { c.rejoin(id) })
			return
		}
	}
}

// grow notes that a node came. The caller holds c.mu.
func (c *Cluster) grow() {
	now := c.now()
	if now.Sub(c.grown) > settleTime {
		c.came = 0
	}
	c.came++
	c.grown = now
}

// notice compares the members with those seen last, logs what changed and
// tells whom it concerns. It returns the members.
func (c *Cluster) notice(seen map[string]Member) map[string]Member {
	if c.same(seen) {
		return seen
	}
	list := c.Members()
	now := make(map[string]Member, len(list))
	for _, m := range list {
		now[m.ID] = m
	}
	if maps.Equal(seen, now) {
		return seen
	}
	for id, m := range now {
		was, known := seen[id]
		c.logMember(was, m, known)
		if m.Failed && !was.Failed {
			signal(c.hurry)
		}
	}
	for id, m := range seen {
		if _, ok := now[id]; !ok && !m.Handshake && !m.Self {
			c.log.Info("cluster: node gone", "node", id, "address", m.Address())
			signal(c.hurry)
		}
	}
	signal(c.dirty)
	if c.o.OnChange != nil {
		c.o.OnChange()
	}
	return now
}

// same reports whether the members are those seen last. It is asked all the
// time, and with many members making their list takes long.
func (c *Cluster) same(seen map[string]Member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, count, same := c.now(), 1, seen[c.id] == c.self()
	for _, p := range c.peers {
		f := p.face(now)
		if f.shown {
			count++
		}
		if f != p.noticed {
			p.noticed, same = f, false
		}
	}
	for id, h := range c.handshakes {
		if !h.quiet {
			count++
			same = same && seen[id] == h.Member
		}
	}
	return same && count == len(seen)
}

// logMember logs what changed about a member.
func (c *Cluster) logMember(was, m Member, known bool) {
	switch {
	case m.Handshake || m.Self:
	case m.Failed && !was.Failed:
		c.log.Warn("cluster: node failed", "node", m.ID, "address", m.Address())
	case !known:
		c.log.Info("cluster: node known", "node", m.ID, "address", m.Address())
	case was.Failed && !m.Failed:
		c.log.Info("cluster: node is back", "node", m.ID, "address", m.Address())
	case was.Address() != m.Address():
		c.log.Info("cluster: node has another address", "node", m.ID, "was", was.Address(), "address", m.Address())
	case was.Leaving != m.Leaving:
		c.log.Info("cluster: node is leaving", "node", m.ID, "leaving", m.Leaving)
	}
}

// saver writes nodes.conf when something changed, and a last time at the end.
// A node that is killed a moment after it came to a cluster shall find back, so
// it waits only as long as the write before took: it leaves the disk free half
// of the time, however many nodes come.
func (c *Cluster) saver() {
	for {
		select {
		case <-c.dirty:
		case <-c.ctx.Done():
			c.trySave()
			return
		}
		began := c.now()
		if !c.trySave() {
			c.sleep(saveAgain)
			signal(c.dirty)
			continue
		}
		c.sleep(c.now().Sub(began))
	}
}

func (c *Cluster) trySave() bool {
	err := c.Save()
	if err != nil {
		c.warn("", "cluster: saving the known nodes failed", "error", err)
	}
	return err == nil
}
