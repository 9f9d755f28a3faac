package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
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
// report, which has one run; the error says why it could not go on.
func Kill(ctx context.Context, o KillOptions) (r TortureReport, err error) {
	if err := o.fill(); err != nil {
		return r, err
	}
	dir, err := WorkDir(o.Dir, "disqo-kill")
	if err != nil {
		return r, fmt.Errorf("bench: %w", err)
	}
	r = TortureReport{Program: "kill", Seed: o.Seed, Nodes: 1, Least: o.Cycles * voidBelow}
	r.Runs = []TortureRun{{Name: o.Policy, Least: voidBelow, spare: 10 + o.Cycles/4, Kept: dir}}
	k := &killer{
		o: o, run: &r.Runs[0], check: NewChecker(), rng: rand.New(rand.NewPCG(o.Seed, 0)),
		prog: Program{Path: o.Server, Dir: dir, Args: Flags("127.0.0.1", o.Port, dir, "--appendonly", "yes", "--appendfsync", o.Policy)},
	}
	if o.Port != 0 {
		k.prog.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	}
	k.load = newKillLoad(k.check, o)
	fmt.Fprintf(o.Progress, "%s: seed %d, %s\n", o.Policy, o.Seed, dir)
	if err = k.cycles(ctx); err == nil {
		err = k.drain(ctx)
	}
	return r, k.run.end(o.Progress, k.check, err)
}

// killer is one run of Kill.
type killer struct {
	o     KillOptions
	run   *TortureRun
	check *Checker
	rng   *rand.Rand
	prog  Program
	load  *killLoad
}

// cycles kills until enough kills count, or too many do not.
func (k *killer) cycles(ctx context.Context) error {
	for n := 1; n <= k.o.Cycles+k.run.Void && k.run.Void <= k.run.spare; n++ {
		c, err := k.cycle(ctx, n)
		if err != nil {
			return fmt.Errorf("cycle %d: %w", n, err)
		}
		void := ""
		if k.run.add(c) {
			void = " void"
		}
		k.run.Load += c.Load
		fmt.Fprintf(k.o.Progress, "cycle %d%s  load %d ms  added %d  acked %d  due %d  restart %.1f ms\n", n, void,
			c.Load.Milliseconds(), c.Added, c.Acked, c.Due, milliseconds(c.Restart))
	}
	k.run.loaded(k.check)
	return nil
}

// cycle is one life: start, load, kill.
func (k *killer) cycle(ctx context.Context, n int) (TortureRound, error) {
	p, err := StartProcess(ctx, k.prog)
	if err != nil {
		return TortureRound{}, err
	}
	defer p.Kill()
	c := TortureRound{Number: n, Restart: time.Since(p.Started)}
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
