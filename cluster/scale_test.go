package cluster

import (
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var gossipNodes = flag.Int("gossip.nodes", 100, "how many nodes TestGossipScale has")

const (
	scaleTimeout = 15 * time.Second // cluster-node-timeout, the default
	scalePort    = 17711
	scaleTries   = 3                    // of each kind
	scaleSeeds   = 3                    // nodes that the others join
	scaleLook    = 5 * time.Millisecond // between looks at who sees what
)

// swarm is many nodes in one bubble, with all that this package does but
// nodes.conf and sockets.
type swarm struct {
	t     *testing.T
	w     *wires
	dir   string
	log   record
	nodes []*Cluster
	hosts []*wireHost
}

func newSwarm(t *testing.T, dir string) *swarm {
	return &swarm{t: t, dir: dir, w: &wires{hosts: map[netip.AddrPort]*wireHost{}}}
}

// add starts a node that joins the first ones.
func (s *swarm) add() *Cluster {
	i := len(s.nodes)
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), scalePort)
	}
	o := Options{
		Identity: &Identity{path: filepath.Join(s.dir, fmt.Sprint(i)), self: Member{ID: newID(), Self: true}},
		Bind:     []string{"127.0.0.1"}, Advertise: at(i).Addr().String(), ClientPort: 7711, Secret: "secret", Name: "scale",
		NodeTimeout: func() time.Duration { return scaleTimeout },
		Log:         slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for j := range scaleSeeds {
		o.Join = append(o.Join, fmt.Sprintf("%v:7711@%d", at(j).Addr(), scalePort))
	}
	c, err := New(o)
	require.NoError(s.t, err)
	for _, d := range c.bus.doors {
		d.close()
	}
	h := s.w.host(at(i))
	c.bus.doors, c.bus.port, c.bus.connect = []door{h.door()}, scalePort, h.connect
	c.bus.start()
	c.life.Lock()
	require.NoError(s.t, c.replace())
	c.life.Unlock()
	c.run(c.upkeep)
	c.run(c.joinLoop)
	s.nodes, s.hosts = append(s.nodes, c), append(s.hosts, h)
	return c
}

// kill ends a node without a word.
func (s *swarm) kill(i int) {
	s.hosts[i].down.Store(true)
	s.nodes[i].Close()
}

// end closes all.
func (s *swarm) end() {
	for i := range s.nodes {
		s.kill(i)
	}
	time.Sleep(time.Minute) // memberlist's goroutines end by and by
}

// knows returns how many living members a node knows.
func knows(c *Cluster) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.peers {
		if p.alive && !p.fail && p.shown(c.now()) {
			n++
		}
	}
	return n
}

// shows reports whether a node shows another, and that such.
func shows(c *Cluster, id string, such func(p *peer) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	return p != nil && p.shown(c.now()) && such(p)
}

// spread is when the first, the middle and the last of the nodes saw something.
type spread struct{ first, half, most, all time.Duration } // most: 19 of 20

func (s spread) String() string {
	return fmt.Sprintf("%.2f %.2f %.2f s", s.first.Seconds(), s.half.Seconds(), s.all.Seconds())
}

// watch waits until all of the nodes see something.
func (s *swarm) watch(start time.Time, nodes []*Cluster, seen func(c *Cluster) bool) spread {
	nodes = slices.Clone(nodes)
	var times []time.Duration
	for time.Since(start) < 10*scaleTimeout {
		nodes = slices.DeleteFunc(nodes, func(c *Cluster) bool {
			if !seen(c) {
				return false
			}
			times = append(times, time.Since(start))
			return true
		})
		if len(nodes) == 0 {
			return spread{times[0], times[len(times)/2], times[len(times)*19/20], times[len(times)-1]}
		}
		time.Sleep(scaleLook)
	}
	s.t.Fatalf("%d nodes do not see it", len(nodes))
	return spread{}
}

// counted is what nodes sent.
type counted struct{ packets, packetBytes, streams, streamBytes int64 }

func (s *swarm) count() counted {
	return counted{s.w.packets.Load(), s.w.packetBytes.Load(), s.w.streams.Load(), s.w.streamBytes.Load()}
}

// since returns what each of so many nodes sent since an earlier count, in a
// second of so many.
func (s *swarm) since(was counted, nodes int, seconds float64) string {
	now, by := s.count(), float64(nodes)*seconds
	return fmt.Sprintf("%.3g packets (%.4g bytes), %.3g connections (%.4g bytes)", float64(now.packets-was.packets)/by, float64(now.packetBytes-was.packetBytes)/by,
		float64(now.streams-was.streams)/by, float64(now.streamBytes-was.streamBytes)/by)
}

// How long news takes to reach all of many nodes, and what gossip sends. Times
// are simulated; work takes none. The figures are those of DESIGN.md.
func TestGossipScale(t *testing.T) { // not parallel: it takes all of a processor for seconds
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, dir)
		defer s.end()
		start := time.Now()
		s.startAll(*gossipNodes)
		for range scaleTries {
			s.join()
		}
		for _, c := range s.nodes[:scaleTries] {
			s.leave(c)
		}
		time.Sleep(time.Until(start.Add(scaleTimeout + settleTime))) // each node's first exchange is late by up to scaleTimeout
		s.rest()
		s.die()
		t.Logf("the network lost %d", s.w.lost.Load())
	})
}

// startAll starts so many within a second and waits until all know all
// and have told what they know.
func (s *swarm) startAll(count int) {
	was, start := s.count(), time.Now()
	for range count {
		s.add()
		time.Sleep(rand.N(2 * time.Second / time.Duration(count)))
	}
	took := s.watch(start, s.nodes, func(c *Cluster) bool { return knows(c) == count-1 })
	for quiet := false; !quiet; {
		before := s.w.packets.Load()
		time.Sleep(settleTime)
		quiet = s.w.packets.Load()-before < int64(3*settleTime.Seconds())*int64(count) // at rest it is 1.3 in a second
	}
	s.t.Logf("%d nodes start: all is known after %v, and quiet after %v; meanwhile each sent %s", count, took, time.Since(start), s.since(was, count, 1))
}

// join adds a node to the others.
func (s *swarm) join() {
	was, start, others := s.count(), time.Now(), slices.Clone(s.nodes)
	c := s.add()
	var wg sync.WaitGroup
	var known, all spread
	wg.Go(func() {
		known = s.watch(start, others, func(o *Cluster) bool { return shows(o, c.id, func(p *peer) bool { return p.alive }) })
	})
	wg.Go(func() { all = s.watch(start, []*Cluster{c}, func(*Cluster) bool { return knows(c) == len(others) }) })
	wg.Wait()
	time.Sleep(settleTime + settlePause)
	s.t.Logf("a node joins: known after %v, knows all after %v; in %v each node sent %s", known, all.all, time.Since(start), s.since(was, len(s.nodes), 1))
	assert.Less(s.t, max(known.all, all.all), 3*time.Second)
}

// leave makes a node say that it is leaving.
func (s *swarm) leave(c *Cluster) {
	was, start := s.count(), time.Now()
	require.NoError(s.t, c.SetLeaving(true))
	others := slices.DeleteFunc(slices.Clone(s.nodes), func(o *Cluster) bool { return o == c })
	took := s.watch(start, others, func(o *Cluster) bool { return shows(o, c.id, func(p *peer) bool { return p.meta.leaving }) })
	time.Sleep(time.Second)
	s.t.Logf("a node is leaving: seen after %v; in %v each node sent %s", took, time.Since(start), s.since(was, len(s.nodes), 1))
	assert.Less(s.t, took.most, 3*time.Second)
	assert.Less(s.t, took.all, 2*s.exchange(), "packets go to random nodes and may miss one, which learns it from an exchange then")
}

// exchange is the time in which each node exchanges all it knows with one other,
// see memberlist's pushPullScale.
func (s *swarm) exchange() time.Duration {
	return scaleTimeout * time.Duration(1+max(0, math.Ceil(math.Log2(float64(len(s.nodes))/32))))
}

// rest counts what is sent while nothing happens, for as long as it takes until
// each node has exchanged all it knows once.
func (s *swarm) rest() {
	was := s.count()
	period := s.exchange()
	time.Sleep(period)
	s.t.Logf("at rest each node sends in a second %s", s.since(was, len(s.nodes), period.Seconds()))
	for _, c := range s.nodes {
		require.Equal(s.t, len(s.nodes)-1, knows(c))
	}
}

// die kills nodes and waits until the others show them as failed, and no others.
func (s *swarm) die() {
	rand.Shuffle(len(s.nodes), func(i, j int) {
		s.nodes[i], s.nodes[j] = s.nodes[j], s.nodes[i]
		s.hosts[i], s.hosts[j] = s.hosts[j], s.hosts[i]
	})
	suspected := time.Duration(suspicion * max(1, math.Log10(float64(len(s.nodes)-scaleTries))) * float64(scaleTimeout/10))
	living := s.nodes[scaleTries:]
	var wg sync.WaitGroup
	for i, c := range s.nodes[:scaleTries] {
		start := time.Now()
		s.kill(i)
		wg.Go(func() {
			time.Sleep(suspected)
			took := s.watch(start, living, func(o *Cluster) bool { return shows(o, c.id, func(p *peer) bool { return p.fail }) })
			s.t.Logf("a node dies: failed after %v", took)
			assert.Greater(s.t, took.first, suspected)
			assert.Less(s.t, took.all, suspected+scaleTimeout)
		})
		time.Sleep(time.Second)
	}
	wg.Wait()
	for _, c := range living {
		require.Equal(s.t, len(living)-1, knows(c))
	}
}
