package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"time"
)

const (
	killAfterMin = 500 * time.Millisecond // of load before a kill
	killAfterMax = 3 * time.Second
	voidBelow    = 500         // answered adds before a kill; with less it shows nothing
	exitPatience = time.Second // until a broker that broke its connections is gone
	shelfEvery   = 8           // cycles between two that consume the jobs that live long
)

// Kill starts a broker with a log, loads it, kills it with SIGKILL at a random
// moment and starts it again on the same directory, over and over; at the end
// it drains the broker and judges. What it finds wrong with jobs is in the
// report's Verdict; the error says why it could not go on.
func Kill(ctx context.Context, o KillOptions) (r KillReport, err error) {
	if err := o.fill(); err != nil {
		return r, err
	}
	dir, err := workDir(o.Dir, "disqo-kill")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	r.Seed, r.Policy = o.Seed, o.Policy
	k := &killer{
		o: o, report: &r, check: NewChecker(), rng: rand.New(rand.NewPCG(o.Seed, 0)),
		prog: Program{Path: o.Server, Dir: dir, Port: o.Port, Args: []string{"--appendonly", "yes", "--appendfsync", o.Policy}},
	}
	k.load = newKillLoad(k.check, o)
	fmt.Fprintf(o.Progress, "seed %d, policy %s, %s\n", o.Seed, o.Policy, dir)
	if err = k.cycles(ctx); err == nil {
		err = k.drain(ctx)
	}
	r.Verdict = k.check.Verdict(err == nil)
	if err == nil && r.Verdict.OK() {
		return r, os.RemoveAll(dir)
	}
	r.Kept = dir
	return r, err
}

// killer is one run of Kill.
type killer struct {
	o      KillOptions
	report *KillReport
	check  *Checker
	rng    *rand.Rand
	prog   Program
	load   *killLoad
}

// cycles kills until enough kills count.
func (k *killer) cycles(ctx context.Context) error {
	for n := 1; k.report.Kills < k.o.Cycles; n++ {
		c, err := k.cycle(ctx, n)
		if err != nil {
			return fmt.Errorf("cycle %d: %w", n, err)
		}
		void := ""
		if c.Void = c.Added < voidBelow; c.Void {
			k.report.Void++
			void = " void"
		} else {
			k.report.Kills++
		}
		k.report.Cycles = append(k.report.Cycles, c)
		fmt.Fprintf(k.o.Progress, "cycle %d%s  load %d ms  added %d  acked %d  due %d  restart %.1f ms\n", n, void,
			c.Load.Milliseconds(), c.Added, c.Acked, c.Due, milliseconds(c.Restart))
		if k.report.Void > 10+k.o.Cycles/4 {
			return fmt.Errorf("%d cycles added less than %d jobs: this shows nothing", k.report.Void, voidBelow)
		}
	}
	return nil
}

// cycle is one life: start, load, kill.
func (k *killer) cycle(ctx context.Context, n int) (Cycle, error) {
	p, err := StartProcess(ctx, k.prog)
	if err != nil {
		return Cycle{}, err
	}
	defer p.Kill()
	c := Cycle{Number: n, Restart: time.Since(p.Started)}
	adds, acks := k.check.Counts()
	life := killAfterMin + time.Duration(k.rng.Int64N(int64(killAfterMax-killAfterMin)))
	begun := time.Now()
	run := k.load.start(ctx, p.Addr, killWork{add: true, shelf: n%shelfEvery == 0, keep: true})
	err = untilKill(ctx, p, run, life)
	close(run.ending)
	p.Kill()
	c.Load, c.Due = time.Since(begun), k.check.Due()
	err = errors.Join(err, run.wait())
	if k.o.Policy != "always" {
		// Only a synced log knows which at-most-once jobs were never delivered;
		// after a kill any other broker may keep them all back.
		k.check.Abandoned(math.MaxInt32)
	}
	k.check.Cut()
	now, nowAcks := k.check.Counts()
	c.Added, c.Acked = now-adds, nowAcks-acks
	return c, err
}

// untilKill waits for the moment of the kill; whatever ends before is wrong.
func untilKill(ctx context.Context, p *Process, run *killRun, life time.Duration) error {
	timer := time.NewTimer(life)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.Exited():
	case <-run.failed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return p.broke()
}

// broke says how the broker is after its clients failed. One that ends breaks
// its connections first.
func (p *Process) broke() error {
	select {
	case <-p.Exited():
		return errors.New("the broker ended by itself; its log ends:\n" + p.Log())
	case <-time.After(exitPatience):
		return errors.New("the broker runs, but a client failed; its log ends:\n" + p.Log())
	}
}
