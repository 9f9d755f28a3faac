package cluster

import (
	"fmt"
	"log"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const labelHead = "disqo/"

// gossip is one memberlist from its creation to its end: RESET and a change of
// cluster-node-timeout make a new one over the same sockets.
type gossip struct {
	c         *Cluster
	id        string
	timeout   time.Duration // cluster-node-timeout it was made for
	transport *transport
	list      *memberlist.Memberlist
	retired   atomic.Bool // a later one has taken its place: nothing it says counts
	told      meta        // of this node, what gossip says; under Cluster.mu
}

// suspicion is how many probe intervals a suspect has to prove that it lives,
// in a cluster of up to ten nodes; with a hundred it is twice that.
const suspicion = 9

// tune sets memberlist's times such that a dead node is known to be dead after
// 1.0 to 1.3 times timeout in a cluster of up to ten nodes: it is probed once
// in an interval of a tenth, by somebody, for one interval, then suspected for
// nine.
func tune(conf *memberlist.Config, timeout time.Duration) {
	probe := min(max(timeout/10, 20*time.Millisecond), 10*time.Second)
	conf.ProbeInterval, conf.ProbeTimeout = probe, probe/2
	conf.SuspicionMult, conf.SuspicionMaxTimeoutMult = suspicion, 1
	conf.AwarenessMaxMultiplier = 2 // a node that is slow itself probes half as often
	conf.IndirectChecks = 3
	conf.GossipInterval, conf.GossipNodes, conf.RetransmitMult = 50*time.Millisecond, 3, 4
	conf.PushPullInterval = min(max(timeout, 500*time.Millisecond), 15*time.Second)
	conf.TCPTimeout = min(max(timeout/2, time.Second), 5*time.Second)
	// The dead are remembered until everybody knows that they are: else one that
	// does not would bring them back.
	conf.GossipToTheDeadTime = min(max(3*timeout, 3*time.Second), time.Minute)
	conf.DeadNodeReclaimTime = time.Millisecond
}

// newGossip makes a memberlist that knows nobody yet. The caller holds c.life.
func (c *Cluster) newGossip() (*gossip, error) {
	c.mu.Lock()
	g := &gossip{c: c, id: c.id, timeout: c.o.NodeTimeout()}
	c.mu.Unlock()
	g.transport = newTransport(c.bus, g.id, c.addressOf)
	conf := memberlist.DefaultLANConfig()
	tune(conf, g.timeout)
	here := place(g.id)
	conf.Name, conf.Transport = g.id, g.transport
	conf.AdvertiseAddr, conf.AdvertisePort, conf.BindPort = here.Addr().String(), int(here.Port()), int(here.Port())
	conf.ProtocolVersion, conf.EnableCompression = memberlist.ProtocolVersionMax, false
	conf.Keyring, conf.GossipVerifyIncoming, conf.GossipVerifyOutgoing = c.ring, true, true
	conf.Label = labelHead + c.o.Name
	conf.Delegate, conf.Events, conf.Alive, conf.Merge = g, g, g, g
	conf.Logger = log.New(bridge{c.log, c.lines, &c.refused}, "", 0)
	var err error
	if g.list, err = memberlist.Create(conf); err != nil {
		_ = g.transport.Shutdown()
		return nil, fmt.Errorf("gossip: %w", err)
	}
	return g, nil
}

// retire ends it. The sockets stay.
func (g *gossip) retire() {
	g.retired.Store(true)
	_ = g.list.Shutdown()
}

// replace puts a new memberlist in the place of the present one, if any. The
// caller holds c.life. On an error there is none until the next call.
func (c *Cluster) replace() error {
	if old := c.gossip.Load(); old != nil {
		old.retire()
	}
	c.mu.Lock()
	c.peers.doubt(c.now())
	c.mu.Unlock()
	g, err := c.newGossip()
	if err != nil {
		return err
	}
	c.gossip.Store(g)
	c.bus.user.Store(g.transport)
	c.announce()
	c.wake()
	return nil
}

// announce tells the others what this node says of itself, if that changed.
// memberlist drops the news if it refutes an older life of this node at the same
// moment, so upkeep looks again. It must not be called under c.mu.
func (c *Cluster) announce() {
	c.announcing.Lock()
	defer c.announcing.Unlock()
	g := c.gossip.Load()
	if g == nil || g.retired.Load() {
		return
	}
	c.mu.Lock()
	told := g.told == c.meta()
	c.mu.Unlock()
	if told {
		return
	}
	_ = g.list.UpdateNode(time.Nanosecond) // the time waits for others to hear it; nobody needs to
}

// say sends a message to the bus at an address, whoever is there.
func (g *gossip) say(to netip.AddrPort, m message) error {
	return g.list.SendReliable(&memberlist.Node{Addr: net.IP(to.Addr().AsSlice()), Port: to.Port()}, m.encode())
}

// join exchanges what each knows with the node at an address.
func (g *gossip) join(to netip.AddrPort) error {
	_, err := g.list.Join([]string{to.String()})
	return err
}

// rejoin does the same with a node whose id is known.
func (g *gossip) rejoin(id string) error {
	_, err := g.list.Join([]string{id + "/" + place(id).String()})
	return err
}
