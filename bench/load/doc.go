// Package load makes load on a job queue and measures what it does.
//
// It drives brokers that speak Disque's commands, Redis lists and streams as
// reliable queues, and beanstalkd, all through the same life of a job: it is
// added, handed out, acknowledged and gone. So that the generator is not what
// is measured, one goroutine on one thread serves all connections: it waits for
// the sockets, reads what is there, and writes the next prepared requests,
// without an allocation per job.
//
//	protocol   requests and replies of one kind of queue
//	client     one connection: a producer, a consumer, or one that does nothing
//	engine     all of them, a phase from its start to its end
//	poller     the sockets: epoll, or a goroutine each where there is none
//
// Every job is counted: one that comes twice, or mangled, or not at all, is an
// error, not a figure.
package load
