// Package aof is the room of the append-only file: a durable log of bytes that
// knows nothing of jobs. This version keeps jobs in memory only and refuses
// appendonly yes; the encoding of a job that a log will hold is
// store.AppendJob.
package aof
