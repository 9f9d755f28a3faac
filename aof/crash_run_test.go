package aof_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/aof/memfs"
)

// crashRun runs a script and, at every operation on the file system, looks at
// what a crash would leave.
type crashRun struct {
	*owner
	often  weights
	random int // crash states at chance per operation
	deeper int // one recovery in so many is crashed as well
	dice   *rand.Rand

	ops, states, deep int
	err               error // the first bad state
}

// newCrashRun returns one with an empty file system.
func newCrashRun(policy aof.Policy, seed uint64) *crashRun {
	rng := rand.New(rand.NewPCG(seed, uint64(policy)))
	segment := int64(8<<10 + rng.IntN(3)*4<<10)
	c := &crashRun{
		owner:  newOwner(aof.Options{SegmentSize: segment, Policy: policy}, rng),
		often:  weights{reclaim: 60, rotate: 20, restart: 25, epoch: 6, off: 3},
		random: 20, deeper: 100, dice: rand.New(rand.NewPCG(seed, 99)),
	}
	c.sizes.huge, c.sizes.oneIn = 3000, 200
	if rng.IntN(2) == 0 {
		c.sizes.huge = 20_000
	}
	c.hook = c.crash
	fs := memfs.New()
	fs.OnOp(c.hook)
	c.on(fs)
	return c
}

// run does the script for so many operations, and reports the first bad state.
func (c *crashRun) run(ops int) error {
	err := c.open()
	for err == nil && c.err == nil && c.ops < ops {
		err = c.step(c.often)
	}
	if c.err != nil {
		return c.err
	}
	return err
}

// crash is the hook.
func (c *crashRun) crash(op memfs.Op) error {
	c.ops++
	try := func(fs *memfs.FS, whole bool, how string) {
		if c.err == nil {
			c.states++
			fs.SetCapacity(0) // whoever starts it again has made room
			if err := c.judge(fs, whole); err != nil {
				c.err = fmt.Errorf("crash before %v, %s: %w", op, how, err)
			}
		}
	}
	try(c.fs.CrashNone(), false, "nothing kept")
	try(c.fs.CrashAll(), true, "all kept")
	try(c.fs.Clone(), true, "killed")
	for range c.random {
		try(c.fs.CrashRandom(c.dice), false, "some kept")
	}
	return nil
}

// judge recovers the log of a crashed file system and says what is wrong with
// it. whole says that nothing was lost but memory.
func (c *crashRun) judge(fs *memfs.FS, whole bool) error {
	if c.dice.IntN(c.deeper) == 0 {
		if err := c.judgeDeeper(fs.Clone(), whole); err != nil {
			return err
		}
	}
	first, err := c.recover(fs)
	if err == nil {
		err = c.oracle.judge(first, whole)
	}
	if err != nil || c.dice.IntN(4) != 0 {
		return err
	}
	again, err := c.recover(fs.CrashNone())
	if err == nil && fmt.Sprint(first) != fmt.Sprint(again) {
		err = fmt.Errorf("%w: what recovery gave is not durable: %d, now %d records", errLost, len(first), len(again))
	}
	return err
}

// judgeDeeper crashes the recovery at each of its operations.
func (c *crashRun) judgeDeeper(fs *memfs.FS, whole bool) error {
	var bad error
	fs.OnOp(func(op memfs.Op) error {
		for i, twin := range []*memfs.FS{fs.CrashNone(), fs.CrashAll(), fs.CrashRandom(c.dice), fs.Clone()} {
			c.deep++
			list, err := c.recover(twin)
			if err == nil {
				err = c.oracle.judge(list, whole && i%2 == 1)
			}
			if err != nil && bad == nil {
				bad = fmt.Errorf("crash of the recovery before %v: %w", op, err)
			}
		}
		return nil
	})
	_, err := c.recover(fs)
	if bad != nil {
		return bad
	}
	return err
}
