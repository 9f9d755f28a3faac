package httpapi

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/disqo/disqo/server/node"
)

// Figures are what a scrape shows of a broker, besides what Go and the process
// say of themselves.
type Figures struct {
	ID, Version, Commit string
	Address             string // host:port for clients
	Uptime              time.Duration

	Commands []Command

	Connections, Rejected int64 // since the start
	Connected, Blocked    int64 // now
	NetInput, NetOutput   int64 // bytes

	Jobs       node.Counts
	QueueCount int // that are live

	MemoryUsed, MemoryMax int64 // bytes accounted; 0: no bound

	Log     node.LogInfo
	Loading bool

	Peers                []Peer
	Known, Reachable     int // nodes of the cluster, this one included; peers
	Leaving              bool
	LinksSent, LinksRead int64 // bytes
	BadMessages          int64
	Copies               Histogram // how long ADDJOBs waited for copies
}

// QueuesMost bounds the queues that the dashboard lists; queuesScraped those that a
// scrape names, each of which is a score of samples.
const (
	QueuesMost    = 1000
	queuesScraped = 500
)

// Command is what is known of the calls of a command.
type Command struct {
	Name  string
	Calls Histogram
}

// Histogram counts durations.
type Histogram struct {
	Count uint64
	Sum   time.Duration
	// Buckets is how many took less than 1, 2, 4, 8 ... microseconds.
	Buckets []uint64
}

// Peer is another node.
type Peer struct {
	ID      string
	Address string // host:port for clients
	State   node.PeerState
	Failed  bool
	Leaving bool
}

// metric is what one or more samples have in common.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func newMetric(kind prometheus.ValueType, name, help string, labels []string) metric {
	return metric{prometheus.NewDesc("disqo_"+name, help, labels, nil), kind}
}

func gauge(name, help string, labels ...string) metric {
	return newMetric(prometheus.GaugeValue, name, help, labels)
}

func counter(name, help string, labels ...string) metric {
	return newMetric(prometheus.CounterValue, name, help, labels)
}

var (
	buildInfo = gauge("build_info", "Which program this is; always 1.", "version", "commit")
	uptime    = gauge("uptime_seconds", "Time since the broker was started.")
	durations = prometheus.NewDesc("disqo_command_duration_seconds", "Time to execute commands, without waiting.", []string{"command"}, nil)

	connections = counter("connections_total", "Client connections accepted.")
	rejected    = counter("connections_rejected_total", "Client connections refused: maxclients, protected mode.")
	connected   = gauge("connected_clients", "Clients connected now.")
	blocked     = gauge("blocked_clients", "Clients waiting in GETJOB now.")
	netInput    = counter("network_receive_bytes_total", "Bytes received from clients.")
	netOutput   = counter("network_transmit_bytes_total", "Bytes sent to clients.")

	jobs      = gauge("jobs", "Jobs known to this node, by state.", "state")
	jobEvents = counter("job_events_total", "What happened to jobs at this node.", "event")

	queues      = gauge("queues", "Queues that are live.")
	queueJobs   = gauge("queue_jobs", "Jobs of a queue, by state; of the first queues only.", "queue", "state")
	queueAge    = gauge("queue_oldest_job_age_seconds", "Age of the oldest queued job of a queue.", "queue")
	queueEvents = counter("queue_job_events_total", "What happened to jobs of a queue since it came to life.", "queue", "event")
	queueWaits  = gauge("queue_blocked_consumers", "Consumers waiting for jobs of a queue.", "queue")
	queuePaused = gauge("queue_paused", "1 if a queue is paused in that direction.", "queue", "direction")
	queuesRest  = gauge("queues_not_listed", "Live queues that have no samples of their own, as there are too many.")

	memoryUsed = gauge("memory_used_bytes", "Bytes accounted to jobs and queues.")
	memoryMax  = gauge("memory_max_bytes", "maxmemory; 0 is no bound.")
	loading    = gauge("loading", "1 while the append-only file is loaded.")

	logOn       = gauge("aof_enabled", "1 if there is an append-only file.")
	logSize     = gauge("aof_size_bytes", "Bytes of the append-only file that are used.")
	logDisk     = gauge("aof_disk_bytes", "Bytes that the append-only file takes on the disk.")
	logSegments = gauge("aof_segments", "Files of the append-only file.")
	logBatches  = counter("aof_batches_total", "Batches written to the append-only file.")
	logSyncs    = counter("aof_syncs_total", "Syncs of the append-only file.")
	logSlow     = counter("aof_slow_syncs_total", "Syncs that took longer than a second.")
	logSync     = gauge("aof_last_sync_seconds", "Time that the last sync took.")
	logFull     = gauge("aof_disk_full", "1 while no job is added, as the disk is full.")
	logFailed   = gauge("aof_failed", "1 if the append-only file cannot be written any more.")

	nodes       = gauge("cluster_nodes", "Nodes of the cluster, this one included, dead ones too.")
	reachable   = gauge("cluster_reachable_peers", "Peers that could take a copy.")
	leaving     = gauge("cluster_leaving", "1 if this node is leaving the cluster.")
	peerUp      = gauge("peer_link_up", "1 if the link to a peer is established.", "peer")
	peerSuspect = gauge("peer_suspect", "1 if a peer was silent for longer than cluster-node-timeout.", "peer")
	peerFailed  = gauge("peer_failed", "1 if gossip says that a peer is dead.", "peer")
	peerRTT     = gauge("peer_round_trip_seconds", "Round trip of the last ping of a peer.", "peer")
	peerOutbox  = gauge("peer_outbox_bytes", "Bytes that wait to be sent to a peer.", "peer")
	linksSent   = counter("link_transmit_bytes_total", "Bytes sent to peers.")
	linksRead   = counter("link_receive_bytes_total", "Bytes received from peers.")
	badMessages = counter("link_bad_messages_total", "Messages of peers that made no sense.")
	copies      = prometheus.NewDesc("disqo_replication_duration_seconds", "Time that ADDJOBs waited for copies on other nodes.", nil, nil)
)

// states and events are the labels of node.Counts.
var (
	states = [...]string{
		node.ClassWaiting: "wait-repl", node.ClassActive: "active", node.ClassDelayed: "delayed", node.ClassQueued: "queued", node.ClassAcked: "acked",
		node.ClassDead: "dead",
	}
	events = [...]string{
		node.EventDelivered: "delivered", node.EventAcked: "acked", node.EventNacked: "nacked", node.EventExpired: "expired",
		node.EventRetried: "retried", node.EventDied: "died", node.EventKicked: "kicked", node.EventPurged: "purged",
		node.EventQueued: "queued", node.EventLeft: "left",
	}
)

// collector shows the figures of a broker at each scrape.
type collector struct{ b Broker }

// Describe implements prometheus.Collector: which samples there are is known only
// when they are taken.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	f := c.b.Figures()
	send := func(m metric, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, v, labels...)
	}
	send(buildInfo, 1, f.Version, f.Commit)
	send(uptime, f.Uptime.Seconds())
	for _, cmd := range f.Commands {
		ch <- cmd.Calls.metric(durations, cmd.Name)
	}
	send(connections, float64(f.Connections))
	send(rejected, float64(f.Rejected))
	send(connected, float64(f.Connected))
	send(blocked, float64(f.Blocked))
	send(netInput, float64(f.NetInput))
	send(netOutput, float64(f.NetOutput))
	for k, state := range states {
		send(jobs, float64(f.Jobs.Jobs[k]), state)
	}
	for k, event := range events {
		send(jobEvents, float64(f.Jobs.Events[k]), event)
	}
	send(queues, float64(f.QueueCount))
	named := c.b.Queues()
	named = named[:min(len(named), queuesScraped)]
	send(queuesRest, float64(max(0, f.QueueCount-len(named))))
	for i := range named {
		sendQueue(&named[i], send)
	}
	send(memoryUsed, float64(f.MemoryUsed))
	send(memoryMax, float64(f.MemoryMax))
	send(loading, bit(f.Loading))
	sendLog(&f.Log, send)
	send(nodes, float64(f.Known))
	send(reachable, float64(f.Reachable))
	send(leaving, bit(f.Leaving))
	for _, p := range f.Peers {
		send(peerUp, bit(p.State.Linked), p.ID)
		send(peerSuspect, bit(p.State.Suspect), p.ID)
		send(peerFailed, bit(p.Failed), p.ID)
		send(peerRTT, p.State.RTT.Seconds(), p.ID)
		send(peerOutbox, float64(p.State.Outbox), p.ID)
	}
	send(linksSent, float64(f.LinksSent))
	send(linksRead, float64(f.LinksRead))
	send(badMessages, float64(f.BadMessages))
	ch <- f.Copies.metric(copies)
}

func sendQueue(q *node.QueueStat, send func(m metric, v float64, labels ...string)) {
	name := label(q.Name)
	for k, state := range states {
		send(queueJobs, float64(q.Counts.Jobs[k]), name, state)
	}
	for k, event := range events {
		send(queueEvents, float64(q.Counts.Events[k]), name, event)
	}
	age := 0.0
	if q.Oldest > 0 {
		age = max(0, time.Since(time.Unix(0, q.Oldest)).Seconds())
	}
	send(queueAge, age, name)
	send(queueWaits, float64(q.Blocked), name)
	send(queuePaused, bit(q.Pause&node.PauseIn != 0), name, "in")
	send(queuePaused, bit(q.Pause&node.PauseOut != 0), name, "out")
}

func sendLog(l *node.LogInfo, send func(m metric, v float64, labels ...string)) {
	send(logOn, bit(l.State != "off"))
	if l.State == "off" {
		return
	}
	send(logSize, float64(l.Sizes.Used))
	send(logDisk, float64(l.Sizes.Disk))
	send(logSegments, float64(l.Sizes.Files))
	send(logBatches, float64(l.Sizes.Batches))
	send(logSyncs, float64(l.Sizes.Syncs))
	send(logSlow, float64(l.Sizes.Slow))
	send(logSync, l.Sizes.SyncLast.Seconds())
	send(logFull, bit(l.Full != nil))
	send(logFailed, bit(l.Err != nil))
}

// label returns the name of a queue as Prometheus takes it: UTF-8, others quoted.
func label(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

func bit(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

// metric returns the histogram as Prometheus takes it: buckets that add up, by
// their upper bounds in seconds.
func (h *Histogram) metric(desc *prometheus.Desc, labels ...string) prometheus.Metric {
	buckets, sum := make(map[float64]uint64, len(h.Buckets)), uint64(0)
	for i, n := range h.Buckets {
		sum += n
		if i%2 == 0 { // each fourth power of two is enough
			buckets[float64(uint64(1)<<i)/1e6] = sum
		}
	}
	return prometheus.MustNewConstHistogram(desc, max(h.Count, sum), h.Sum.Seconds(), buckets, labels...)
}
