// Package store holds the jobs: a sharded, in-memory state machine.
//
// A [Shard] owns every job of the queues that hash to it. It is pure: its
// methods take the time and fill [Effects]; the package starts no goroutine,
// reads no clock, does no I/O and logs nothing. Callers serialise access to a
// shard (one mutex per shard, see server/node) and act on the effects after
// they have released it.
//
// What the store is not: it knows no connection, no peer, no log, and never
// decides when it is time to do something. DESIGN.md has the state machine and
// the memory layout.
package store
