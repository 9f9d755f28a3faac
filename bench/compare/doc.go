// Package compare measures brokers side by side, on one machine and in one run:
// disqo, the reference it descends from, Redis lists and streams as reliable
// queues, and beanstalkd.
//
// Machines drift, so figures of different runs cannot be compared. Each
// measurement has a fresh process, all systems take turns at going first, and a
// ratio is one of neighbours in time. What is said of a figure is its median
// and its extremes.
//
//	kinds       what can be measured, how it is started and asked
//	broker      one system in processes of its own
//	throughput  jobs a second, processor time and latency, by phase
//	memory      resident bytes a stored job
//	delivery    how soon a consumer that waits has a job
//	recovery    how long a log takes to load after a kill
//	growth      what a job costs the more of them are there
package compare
