//go:build invariants

package node

import "sync/atomic"

// After every change what costs little is verified, and everything after each of
// verifyEvery changes while a shard has up to verifyMost jobs.
const (
	verifyEvery = 1024
	verifyMost  = 20_000
)

var changes atomic.Uint32 // of all shards of all nodes

// verify panics if the shard contradicts itself. Its lock is held.
func (sh *shard) verify() {
	err := sh.s.VerifyCounts()
	if changes.Add(1)%verifyEvery == 0 && err == nil && sh.s.Jobs() <= verifyMost {
		err = sh.s.Verify(0)
	}
	if err != nil {
		panic(err)
	}
}
