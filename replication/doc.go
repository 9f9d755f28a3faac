// Package replication is what nodes say to each other about jobs: how many
// copies a job needs, and where they can be.
//
// A node that runs alone replicates nothing; [Plan] is what it needs to know:
// whether a job that asks for copies can have them.
package replication
