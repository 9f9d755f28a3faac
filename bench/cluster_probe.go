package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	probePause   = 5 * time.Millisecond   // between an answer and the next ADDJOB
	probeBound   = 200 * time.Millisecond // that no live node may be without a successful ADDJOB
	copiesWithin = 5 * time.Second        // from the return of a node until it has the copies that it missed
	copiesSample = 100                    // jobs of a round and a node that are looked at
)

// ClusterProbe measures for how long each live node takes no ADDJOB without
// options while another node is dead or frozen, and while that comes back. It
// also looks whether the jobs added meanwhile have all their copies soon after.
// The faults are kill-one, freeze and none; it is like Cluster otherwise, on
// three nodes.
func ClusterProbe(ctx context.Context, o ClusterOptions) (r ProbeReport, err error) {
	if err := o.fill(3, "kill-one", "freeze"); err != nil {
		return r, err
	}
	for _, f := range o.Faults {
		if f != "kill-one" && f != "freeze" && f != noFault {
			return r, fmt.Errorf("bench: there is no live node to probe during %q that has all it needs; the probe knows kill-one, freeze and none", f)
		}
	}
	r.Seed, r.Nodes = o.Seed, o.Nodes
	dir, err := WorkDir(o.Dir, "disqo-probe")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	r.Kept = dir
	fmt.Fprintf(o.Progress, "probe: seed %d, %d nodes, %s\n", o.Seed, o.Nodes, dir)
	ns, err := startNodes(ctx, &o, dir)
	if err != nil {
		return r, err
	}
	defer ns.close()
	p := &clusterProbe{o: &o, nodes: ns, rng: rand.New(rand.NewPCG(o.Seed, 0))}
	stop := p.start(ctx)
	defer stop()
	for _, fault := range o.Faults {
		for n := range o.Rounds {
			round, err := p.round(ctx, fault)
			if err != nil {
				return r, fmt.Errorf("%s, round %d: %w", fault, n+1, err)
			}
			r.Rounds = append(r.Rounds, round)
			fmt.Fprintln(o.Progress, &round)
		}
	}
	if r.Err() == nil {
		r.Kept = ""
		return r, os.RemoveAll(dir)
	}
	return r, nil
}

// clusterProbe is one run of ClusterProbe.
type clusterProbe struct {
	o       *ClusterOptions
	nodes   *nodes
	rng     *rand.Rand
	probers []*prober
}

// start lets a prober for each node work until the returned function is
// called.
func (p *clusterProbe) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i := range p.nodes.all {
		b := &prober{last: time.Now()}
		p.probers = append(p.probers, b)
		wg.Go(func() { b.run(ctx, p.nodes, i) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// round is a fault, the time to heal, and a look at the copies.
func (p *clusterProbe) round(ctx context.Context, fault string) (r ProbeRound, err error) {
	s := plan(fault, len(p.nodes.all), p.rng)
	r = ProbeRound{Fault: fault, Nodes: s.text}
	for _, b := range p.probers {
		b.restart()
	}
	err = p.nodes.strike(ctx, &s)
	if err == nil {
		err = p.wait(ctx, p.o.FaultTime)
	}
	var ids []string
	for i, b := range p.probers {
		gap, added := b.restart()
		if !slices.Contains(s.down(), i) {
			r.Gaps = append(r.Gaps, ProbeGap{Node: i + 1, Fault: gap, Added: len(added)})
			ids = append(ids, added[:min(len(added), copiesSample)]...)
		}
	}
	if err = errors.Join(err, p.nodes.heal(ctx, &s)); err != nil {
		return r, err
	}
	begun := time.Now()
	if err = p.nodes.until(ctx, func() error { return p.serving(ctx, s.kill) }); err != nil {
		return r, err
	}
	if r.Back = time.Since(begun); len(s.kill) == 0 {
		r.Back = 0
	}
	if err = p.wait(ctx, copiesWithin); err == nil {
		r.Copies, err = p.copies(ctx, ids)
	}
	if err == nil {
		err = p.wait(ctx, p.o.HealTime-time.Since(begun))
	}
	for i := range r.Gaps {
		r.Gaps[i].Heal, _ = p.probers[r.Gaps[i].Node-1].restart()
	}
	return r, err
}

// serving returns an error unless all these nodes answer.
func (p *clusterProbe) serving(ctx context.Context, which []int) error {
	for _, i := range which {
		if _, err := p.nodes.ask(ctx, i, ':', "QLEN", clusterQueue); err != nil {
			return err
		}
	}
	return nil
}

// wait lets time pass as long as no node ends by itself.
func (p *clusterProbe) wait(ctx context.Context, d time.Duration) error {
	return p.nodes.wait(ctx, d, func() {})
}

// copies returns how many of the jobs so many nodes know: the first figure is
// for those that no node knows.
func (p *clusterProbe) copies(ctx context.Context, ids []string) ([]int, error) {
	holders := make([]int, len(ids))
	for _, n := range p.nodes.all {
		c, err := p.nodes.net.dial(ctx, n.addr, dialPatience)
		if err != nil {
			return nil, err
		}
		for i, id := range ids {
			c.command("SHOW", id)
			var null bool
			if err = c.flush(); err == nil {
				null, err = c.skip()
			}
			if err != nil {
				c.close()
				return nil, fmt.Errorf("SHOW at node %d: %w", n.index+1, err)
			}
			if !null {
				holders[i]++
			}
		}
		c.close()
	}
	copies := make([]int, len(p.nodes.all)+1)
	for _, n := range holders {
		copies[n]++
	}
	return copies, nil
}
