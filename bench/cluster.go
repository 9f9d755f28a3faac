package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// Cluster tortures clusters: for each fault it starts one on a network of its
// own, loads it, strikes and heals it again and again, leaves it in calm,
// drains it, and judges. What it finds wrong with jobs is in the report; the
// error says why it could not go on. It needs root on Linux, and the ip
// command.
func Cluster(ctx context.Context, o ClusterOptions) (r ClusterReport, err error) {
	if err := o.fill(5, ClusterFaults...); err != nil {
		return r, err
	}
	r.Seed, r.Nodes, r.Least = o.Seed, o.Nodes, o.Least
	for i, fault := range o.Faults {
		run, err := clusterRun(ctx, &o, uint64(i), fault)
		r.Runs = append(r.Runs, run)
		if err != nil {
			return r, fmt.Errorf("%s: %w", fault, err)
		}
		fmt.Fprintf(o.Progress, "%s: %s\n", fault, run.judgement())
	}
	return r, nil
}

// clusterTorture is one run of Cluster.
type clusterTorture struct {
	o     *ClusterOptions
	run   *ClusterRun
	check *Checker
	rng   *rand.Rand
	nodes *nodes
	load  *clusterLoad
	begun time.Time
	told  time.Time // when the latest line of progress was written
	phase string    // what it was about
}

// clusterRun is the torture by one fault. The files of a run in which all went
// well are removed.
func clusterRun(ctx context.Context, o *ClusterOptions, number uint64, fault string) (run ClusterRun, err error) {
	run = ClusterRun{Fault: fault}
	dir, err := workDir(o.Dir, "disqo-cluster-"+fault+"-")
	if err != nil {
		return run, fmt.Errorf("bench: %w", err)
	}
	run.Kept = dir
	fmt.Fprintf(o.Progress, "%s: seed %d, %d nodes, %s\n", fault, o.Seed, o.Nodes, dir)
	t := &clusterTorture{o: o, run: &run, check: NewChecker(), rng: rand.New(rand.NewPCG(o.Seed, number))}
	if t.nodes, err = startNodes(ctx, o, dir); err != nil {
		run.Failures = []string{"it did not start"}
		return run, err
	}
	defer t.nodes.close()
	t.load = newClusterLoad(t.check, t.nodes, o)
	t.begun, t.told = time.Now(), time.Now()
	if err = t.rounds(ctx); err == nil {
		err = t.wait(ctx, "calm", o.Calm)
	}
	if err == nil {
		err = t.drain(ctx)
	}
	run.NoRepl, run.Late = int(t.load.noRepl.Load()), int(t.load.late.Load())
	run.count(t.check.Verdict(err == nil))
	if err != nil {
		run.Failures = []string{"it could not go on"}
		return run, err
	}
	if run.judge(); run.OK() {
		run.Kept = ""
		return run, os.RemoveAll(dir)
	}
	return run, nil
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
	t.run.LoadDelivered = t.check.Verdict(false).Delivered
	t.run.LoadAdded, t.run.LoadAcked = t.check.Counts()
	return nil
}

// round is a fault and the time to heal after it.
func (t *clusterTorture) round(ctx context.Context, number int) error {
	s := plan(t.run.Fault, len(t.nodes.all), t.rng)
	name := fmt.Sprintf("round %d: %s %s", number, t.run.Fault, s.text)
	r := ClusterRound{Number: number, Nodes: s.text}
	began, _ := t.check.Counts()
	if err := t.nodes.strike(&s); err != nil {
		return err
	}
	err := t.wait(ctx, name, t.o.FaultTime)
	healed, _ := t.check.Counts()
	if err = errors.Join(err, t.nodes.heal(ctx, &s)); err != nil {
		return err
	}
	if err := t.wait(ctx, fmt.Sprintf("round %d: healed", number), t.o.HealTime); err != nil {
		return err
	}
	ended, _ := t.check.Counts()
	r.Fault, r.Heal = healed-began, ended-healed
	t.run.Rounds = append(t.run.Rounds, r)
	return nil
}

// Between two looks at the processes, and between two lines of progress.
const (
	clusterLook = 50 * time.Millisecond
	clusterTell = 5 * time.Second
)

// wait lets time pass as long as no node ends by itself. It says how things are
// when the phase begins, and every few seconds.
func (t *clusterTorture) wait(ctx context.Context, phase string, d time.Duration) error {
	tick := time.NewTicker(clusterLook)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < d; {
		if phase != t.phase || time.Since(t.told) > clusterTell {
			t.tell(phase)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := t.nodes.ended(); err != nil {
			return err
		}
	}
	return nil
}

// tell writes a line of progress.
func (t *clusterTorture) tell(phase string) {
	t.told, t.phase = time.Now(), phase
	adds, acks := t.check.Counts()
	fmt.Fprintf(t.o.Progress, "  %5.1f s  %-30s  added %d  acked %d  due %d  norepl %d\n",
		time.Since(t.begun).Seconds(), phase, adds, acks, t.check.Due(), t.load.noRepl.Load())
}
