// Package server is the front: connections, sessions, the command table,
// configuration at work, INFO.
//
// Three layers, each of which can be tested without the others:
//
//	resp        bytes in, whole well-formed commands out, within limits
//	session     commands in, reply bytes out; knows nothing of sockets
//	connection  moves bytes between a socket and its session
//
// A connection's goroutine reads, executes and writes. Whatever a client sent
// at once is one batch: it is executed whole and its replies leave in one
// write. Somebody who completes a reply that had to wait (a blocked GETJOB)
// marks it and wakes the connection; nobody else ever writes to a client, so a
// slow one holds up nobody.
package server
