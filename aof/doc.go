// Package aof is the room of the append-only file: a durable, segmented log of
// bytes that knows nothing of jobs. Open or Begin give a Log; Append takes
// records, Commit says when they are on the disk, Drop forgets the oldest, and
// Scan reads them back. DESIGN.md has the format, what is assumed of the disk
// and what a crash can leave behind.
package aof
