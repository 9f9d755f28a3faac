// Package disqueaof reads the append-only file of Disque 1.0, and finds which jobs
// are live at its end.
//
// The file is a sequence of commands in RESP, each an array of bulk strings:
//
//	LOADJOB <serialized job>   the job is there
//	DELJOB <id> ...            it is gone: acknowledged, deleted, expired, given away
//
// Nothing else is in it: neither deliveries nor acknowledgements as such, counters or
// PAUSE. disque-module, which writes the same jobs through Redis, adds SELECT, ACKJOB
// and DEQUEUE; they are understood, the RDB preamble of its rewritten files is not.
//
// The package knows no file, node or clock: whoever reads decides what is to become
// of jobs whose TTL is over, and of those that may have been delivered already.
package disqueaof
