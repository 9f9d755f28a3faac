// Package torture is the proof of what a hostile or clumsy client cannot do to
// a broker. It cannot kill it, whatever bytes it sends; cannot make it work
// longer than in proportion to those bytes, nor hold much more memory than the
// limits say; cannot slow down the others by not reading, not writing, or
// sending a byte a second; cannot take a job with it when it goes away before
// the job was handed over; and leaves nothing behind when it is gone: no
// descriptor, goroutine, waiter or byte.
//
// The package has tests only. They run on Linux against a broker in a process
// of its own, whose memory, time and descriptors they read in /proc. They run
// one after another, so that their figures mean something, and log them (-v).
// TORTURE_PROCS=1 gives the broker one processor.
//
// What it is not: a benchmark, a test of the protocol's grammar (server/resp),
// or of what commands mean (server).
package torture
