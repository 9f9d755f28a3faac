package config

const (
	kb = 1 << 10
	mb = 1 << 20
	gb = 1 << 30
)

// Why two of Disque's features cannot be switched on, and what to do instead.
const (
	whyNoDaemon = "disqo stays in the foreground: run it under systemd or docker, or start it with '&'"
	whyNoLog    = "this version keeps jobs in memory only; the append-only file is not available"
)

// referenceDirectives are Disque's own, with its names, defaults and rules for
// who may read and set them. First those that CONFIG GET shows, in the order in
// which the reference emits them, then the others.
var referenceDirectives = []directive{
	{"requirepass", readable | settable | secret, text(func(c *Config) *string { return &c.RequirePass }, "", "at most 512 bytes", passBytesMax),
		"password that clients have to send with AUTH; empty asks for none"},
	{"unixsocket", readable, path(func(c *Config) *string { return &c.UnixSocket }, ""),
		"also accept clients on this unix socket"},
	{"logfile", readable, path(func(c *Config) *string { return &c.LogFile }, ""),
		"write the log to this file; empty writes to standard error"},
	{"pidfile", readable, path(func(c *Config) *string { return &c.PidFile }, ""),
		"write the process id to this file; empty writes none"},
	{"maxmemory", readable | settable, size(func(c *Config) *int64 { return &c.MaxMemory }, 1*gb, 0, unboundedBytes),
		"memory for jobs and queues; 0 sets no limit"},
	{"maxmemory-samples", readable | settable | inert, number(func(c *Config) *int { return &c.MaxMemorySamples }, 5, 1, unboundedNumber, "jobs"),
		"jobs looked at to find one to evict"},
	{"timeout", readable | settable, number(func(c *Config) *int { return &c.Timeout }, 0, 0, unboundedNumber, "seconds"),
		"close a client that was idle for so long; 0 never does"},
	{"auto-aof-rewrite-percentage", readable | settable | dormant, number(func(c *Config) *int { return &c.AutoAOFRewritePercentage }, 100, 0, unboundedNumber, "per cent"),
		"growth of the append-only file that starts a rewrite; 0 never does"},
	{"auto-aof-rewrite-min-size", readable | settable | dormant, size(func(c *Config) *int64 { return &c.AutoAOFRewriteMinSize }, 64*mb, 0, unboundedBytes),
		"do not rewrite an append-only file smaller than this"},
	{"slowlog-log-slower-than", readable | settable, number(func(c *Config) *int { return &c.SlowlogLogSlowerThan }, 10000, -1, unboundedNumber, "microseconds"),
		"log commands that took longer; 0 logs every command, -1 none"},
	{"latency-monitor-threshold", readable | settable, number(func(c *Config) *int { return &c.LatencyMonitorThreshold }, 0, 0, unboundedNumber, "milliseconds"),
		"record events that took this long; 0 is off"},
	{"slowlog-max-len", readable | settable, number(func(c *Config) *int { return &c.SlowlogMaxLen }, 128, 0, 1<<20, "entries"),
		"length of the slow log"},
	{"port", readable, number(func(c *Config) *int { return &c.Port }, 7711, 0, 55535, "TCP port"),
		"port for clients, the cluster bus is 10000 above; 0 picks a free one"},
	{"tcp-backlog", readable | inert, number(func(c *Config) *int { return &c.TCPBacklog }, 511, 0, unboundedNumber, "connections"),
		"length of the queue of connections not accepted yet"},
	{"databases", readable | inert, number(func(c *Config) *int { return &c.Databases }, 16, 1, unboundedNumber, "databases"),
		"a leftover from Redis"},
	{"maxclients", readable | settable, number(func(c *Config) *int { return &c.MaxClients }, 10000, 1, 1<<20, "clients"),
		"clients connected at once"},
	{"watchdog-period", readable | settable | inert, number(func(c *Config) *int { return &c.WatchdogPeriod }, 0, 0, unboundedNumber, "milliseconds"),
		"report an event loop that hangs for so long"},
	{"hz", readable | settable | inert, clamped(func(c *Config) *int { return &c.HZ }, 10, 1, 500, "per second"),
		"how often background work runs"},
	{"cluster-node-timeout", readable | settable, number(func(c *Config) *int { return &c.ClusterNodeTimeout }, 15000, 1, unboundedNumber, "milliseconds"),
		"silence after which a node is suspected to be down"},
	{"tcp-keepalive", readable | settable, keepalive(func(c *Config) *int { return &c.TCPKeepalive }),
		"interval of TCP keepalive probes; 0 sends none"},
	{"no-appendfsync-on-rewrite", readable | inert, boolean(func(c *Config) *bool { return &c.NoAppendFsyncOnRewrite }, false),
		"do not sync the append-only file during a rewrite"},
	{"daemonize", readable, refused(func(c *Config) *bool { return &c.Daemonize }, whyNoDaemon),
		"go to the background: not available, run under systemd or docker, or start with '&'"},
	{"activerehashing", readable | settable | inert, boolean(func(c *Config) *bool { return &c.ActiveRehashing }, true),
		"rehash tables in the background"},
	{"aof-rewrite-incremental-fsync", readable | settable | inert, boolean(func(c *Config) *bool { return &c.AOFRewriteIncrementalFsync }, true),
		"sync in steps during a rewrite"},
	{"aof-load-truncated", readable | settable | dormant, boolean(func(c *Config) *bool { return &c.AOFLoadTruncated }, true),
		"start with an append-only file whose end is torn"},
	{"aof-enqueue-jobs-once", readable | settable | dormant, boolean(func(c *Config) *bool { return &c.AOFEnqueueJobsOnce }, false),
		"queue restored jobs again at the next start"},
	{"maxmemory-policy", readable | settable, enum(func(c *Config) *string { return &c.MaxMemoryPolicy }, "acks", "acks", "noeviction"),
		"what to give up when memory is full: jobs that can never be delivered again, or nothing"},
	{"loglevel", readable | settable, enum(func(c *Config) *string { return &c.LogLevel }, "notice", "debug", "verbose", "notice", "warning"),
		"how much to log"},
	{"appendfsync", readable | settable | dormant, enum(func(c *Config) *string { return &c.AppendFsync }, "everysec", "always", "everysec", "no"),
		"when to sync the append-only file"},
	{"syslog-facility", readable | inert, enum(func(c *Config) *string { return &c.SyslogFacility }, "local0",
		"user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
		"facility for syslog"},
	{"appendonly", readable | settable, refused(func(c *Config) *bool { return &c.AppendOnly }, whyNoLog),
		"keep jobs on disk: not available, this version keeps jobs in memory only"},
	{"dir", readable | settable, directory(func(c *Config) *string { return &c.Dir }),
		"where relative paths of the other directives start"},
	{"client-output-buffer-limit", readable | settable, outputLimit(func(c *Config) *OutputLimit { return &c.ClientOutputBufferLimit }, OutputLimit{Hard: 64 * mb}),
		"from hard unread bytes on, no more of a client's commands are read until it reads; 0 sets no limit, soft and seconds have no effect"},
	{"unixsocketperm", readable, octal(func(c *Config) *uint32 { return &c.UnixSocketPerm }, 0, 0o777),
		"permissions of the unix socket; 0 leaves them to the umask"},
	{"bind", readable, addresses(func(c *Config) *[]string { return &c.Bind }),
		"addresses to listen on"},

	{"appendfilename", dormant, baseName(func(c *Config) *string { return &c.AppendFilename }, "disque.aof"),
		"name of the append-only file"},
	{"cluster-config-file", 0, path(func(c *Config) *string { return &c.ClusterConfigFile }, "nodes.conf"),
		"where this node keeps its identity and the nodes it knows"},
	{"rename-command", secret, renames(func(c *Config) *[]Rename { return &c.RenameCommand }),
		"rename or disable a command; repeatable"},
	{"syslog-enabled", inert, boolean(func(c *Config) *bool { return &c.SyslogEnabled }, false),
		"log to syslog"},
	{"syslog-ident", inert, text(func(c *Config) *string { return &c.SyslogIdent }, "disque", "at most 255 bytes", identBytesMax),
		"name used in syslog"},
}
