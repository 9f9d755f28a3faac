package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Cluster tortures clusters: for each fault it starts one on a network of its
// own, loads it, strikes and heals it again and again, leaves it in calm,
// drains it, and judges. What it finds wrong with jobs is in the report; the
// error says why it could not go on. It needs root on Linux, and the ip
// command.
func Cluster(ctx context.Context, o ClusterOptions) (r TortureReport, err error) {
	if err := o.fill(5, ClusterFaults...); err != nil {
		return r, err
	}
	r = TortureReport{Program: "cluster", Seed: o.Seed, Nodes: o.Nodes, Least: o.Least}
	for i, fault := range o.Faults {
		dir, err := WorkDir(o.Dir, "disqo-cluster-"+fault+"-")
		if err != nil {
			return r, fmt.Errorf("bench: %w", err)
		}
		fmt.Fprintf(o.Progress, "%s: seed %d, %d nodes, %s\n", fault, o.Seed, o.Nodes, dir)
		r.Runs = append(r.Runs, TortureRun{Name: fault, Least: leastWindow, Cluster: new(ClusterRun), Kept: dir})
		t := &clusterTorture{o: &o, run: &r.Runs[i], check: NewChecker(), rng: rand.New(rand.NewPCG(o.Seed, uint64(i)))}
		if err := t.run.end(o.Progress, t.check, t.play(ctx)); err != nil {
			return r, fmt.Errorf("%s: %w", fault, err)
		}
	}
	return r, nil
}

// clusterTorture is one run of Cluster.
type clusterTorture struct {
	o     *ClusterOptions
	run   *TortureRun
	check *Checker
	rng   *rand.Rand
	nodes *nodes
	load  *clusterLoad
	begun time.Time
	told  time.Time // when the latest line of progress was written
	phase string    // what it was about
}

// play is the run from the start of the cluster to the end of the drain.
func (t *clusterTorture) play(ctx context.Context) (err error) {
	if t.nodes, err = startNodes(ctx, t.o, t.run.Kept); err != nil {
		return err
	}
	defer t.nodes.close()
	t.load = newClusterLoad(t.check, t.nodes, t.o, gentle(t.run.Name))
	t.begun, t.told = time.Now(), time.Now()
	if err = t.rounds(ctx); err == nil {
		err = t.wait(ctx, "calm", t.o.Calm)
	}
	if err == nil {
		err = t.drain(ctx)
	}
	c := t.run.Cluster
	c.NoRepl, c.Late, c.Slowest = int(t.load.noRepl.Load()), int(t.load.late.Load()), time.Duration(t.load.slowest.Load())
	return err
}

// rounds strikes and heals under load.
func (t *clusterTorture) rounds(ctx context.Context) error {
	stop := t.load.run(ctx, true)
	defer stop()
	for n := 1; n <= t.o.Rounds; n++ {
		if err := t.round(ctx, n); err != nil {
			return fmt.Errorf("round %d: %w", n, err)
		}
	}
	t.run.Load = time.Since(t.begun)
	t.run.loaded(t.check)
	return nil
}

// round is a fault and the time to heal after it.
func (t *clusterTorture) round(ctx context.Context, number int) error {
	s := plan(t.run.Name, len(t.nodes.all), t.rng)
	name := fmt.Sprintf("round %d: %s %s", number, t.run.Name, s.text)
	r := TortureRound{Number: number, Nodes: s.text}
	begun := time.Now()
	adds, acks := t.check.Counts()
	if err := t.nodes.strike(ctx, &s); err != nil {
		return err
	}
	err := t.wait(ctx, name, t.o.FaultTime)
	nowAdds, nowAcks := t.check.Counts()
	r.Load, r.Due = time.Since(begun), t.check.Due()
	r.Added, r.Acked = nowAdds-adds, nowAcks-acks
	if err = errors.Join(err, t.nodes.heal(ctx, &s)); err != nil {
		return err
	}
	if err := t.wait(ctx, fmt.Sprintf("round %d: healed", number), t.o.HealTime); err != nil {
		return err
	}
	ended, _ := t.check.Counts()
	r.Healed = ended - nowAdds
	t.run.add(r)
	return nil
}

// clusterTell is the time between two lines of progress.
const clusterTell = 5 * time.Second

// wait lets time pass as long as no node ends by itself. It says how things are
// when the phase begins, and every few seconds.
func (t *clusterTorture) wait(ctx context.Context, phase string, d time.Duration) error {
	return t.nodes.wait(ctx, d, func() {
		if phase != t.phase || time.Since(t.told) > clusterTell {
			t.tell(phase)
		}
	})
}

// tell writes a line of progress.
func (t *clusterTorture) tell(phase string) {
	t.told, t.phase = time.Now(), phase
	adds, acks := t.check.Counts()
	fmt.Fprintf(t.o.Progress, "  %5.1f s  %-30s  added %d  acked %d  due %d  norepl %d\n",
		time.Since(t.begun).Seconds(), phase, adds, acks, t.check.Due(), t.load.noRepl.Load())
}
