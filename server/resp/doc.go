// Package resp is the guard at the front door and the pen that writes replies.
//
// Guard: a [Decoder] takes bytes as a socket delivers them and hands out whole, well-formed commands within [Limits],
// or says in Disque's words what is wrong with them. It keeps its place in an incomplete command, never calls
// itself, and bounds what one connection can make it hold. Only a frame that it has validated from the first byte to
// the last reaches redcon.ReadNextCommand, our RESP codec, which by itself can be killed by 26 bytes.
//
//	          Space, Fill                  Next
//	socket ------------------> [ buf ] ------------+--> Command             a whole command
//	                                               +--> more bytes needed   the scan state is kept
//	                                               +--> *TooLargeError      skipped unbuffered; carry on
//	                                               +--> *ProtocolError      answer it and close; sticky
//
// A command has one of two forms. Only the first byte decides which:
//
//	*2\r\n$4\r\nQLEN\r\n$1\r\nq\r\n     multibulk: counted, binary safe
//	QLEN "q"\n                          inline: anything else up to LF, words split as sdssplitargs does
//
// Pen: a [Reply] appends RESP2 or RESP3 to a byte slice. [AppendQuoted] and [Echo] make client input fit to be shown.
//
// What it is not: it reads no socket, sets no deadline, knows no command, starts no goroutine and takes no lock.
// A Decoder belongs to one goroutine.
package resp
