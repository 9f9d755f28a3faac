// Package sim runs clusters on a simulated clock, network and disk: many nodes
// in one process and one goroutine, so that a seed decides everything that
// happens and a failure can be repeated at will.
//
// What is real: the store, the messages between nodes, the apply path, the timers
// and the recovery of server/node, and the log, over a file system in memory that
// can lose power (aof/memfs). What is simulated: time, links between nodes (a
// TCP connection each way, as package replication has them), who is known to be
// dead (what gossip would say), clients, and the kernel that kills and freezes
// processes.
//
// A seed is turned into a plan, which is a list of steps: commands of clients and
// faults. How often each kind of fault occurs is itself drawn by the seed (swarm
// testing; Groce and others, ISSTA 2012), so that some runs have many kills and
// no partitions, and others the opposite. After each event the invariants of the
// nodes it touched are checked, and in the end, with all faults healed, what was
// promised to clients.
//
// Of a failing plan the steps that do not matter are taken out (delta debugging;
// Zeller and Hildebrandt, TSE 2002) before it is shown.
package sim
