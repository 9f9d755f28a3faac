// Package node is a broker without sockets: the shards of the store, the one
// path by which jobs change, memory levels and timers.
//
// Every change of a job, whoever asks for it (a client, a timer, a peer), goes
// through apply in apply.go. Lock order: a shard's mutex is the only lock that
// is taken here, and no two of them are ever held together. Under it there is
// no system call, no channel operation and no log line.
package node
