package config

// ourDirectives are those that Disque does not have: mostly bounds on what one
// client may take. Each default serves ordinary use; each bound is where more
// would endanger the node rather than help anybody.
var ourDirectives = []directive{
	{"protected-mode", readable | settable, boolean(func(c *Config) *bool { return &c.ProtectedMode }, true),
		"serve only loopback clients until a password is set"},
	{"logformat", readable, enum(func(c *Config) *string { return &c.LogFormat }, "text", "text", "json"),
		"form of a log line"},
	{"max-job-size", readable | settable, size(func(c *Config) *int64 { return &c.MaxJobSize }, 4*mb, 1*kb, 512*mb),
		"largest body of a job"},
	{"max-arguments", readable | settable, number(func(c *Config) *int { return &c.MaxArguments }, 65536, 16, 1<<20, "arguments"),
		"arguments of one command"},
	{"max-inline-size", readable | settable, size(func(c *Config) *int64 { return &c.MaxInlineSize }, 64*kb, 1*kb, 1*mb),
		"length of an inline command"},
	{"unauth-max-arguments", readable | settable, number(func(c *Config) *int { return &c.UnauthMaxArguments }, 10, 3, 65536, "arguments"),
		"arguments of one command before AUTH"},
	{"unauth-max-bulk", readable | settable, size(func(c *Config) *int64 { return &c.UnauthMaxBulk }, 16*kb, 1*kb, 512*mb),
		"longest argument before AUTH"},
	{"command-timeout", readable | settable, number(func(c *Config) *int { return &c.CommandTimeout }, 30, 0, 86400, "seconds"),
		"a command has to arrive whole within this time from its first byte; 0 waits forever"},
	{"client-write-timeout", readable | settable, number(func(c *Config) *int { return &c.ClientWriteTimeout }, 10, 1, 86400, "seconds"),
		"close a client that took no byte of its replies for so long"},
	{"client-input-buffer-limit", readable | settable, size(func(c *Config) *int64 { return &c.ClientInputBufferLimit }, 1*mb, 16*kb, 1*gb),
		"input read ahead of the command being executed"},
	{"max-queue-name", readable | settable, number(func(c *Config) *int { return &c.MaxQueueName }, 1024, 1, 65535, "bytes"),
		"longest name of a queue"},
	{"max-queues", readable | settable, number(func(c *Config) *int { return &c.MaxQueues }, 1000000, 1, 1000000000, "queues"),
		"queues that exist at once"},
	{"multi-max-commands", readable | settable, number(func(c *Config) *int { return &c.MultiMaxCommands }, 65536, 1, 1<<20, "commands"),
		"commands queued by one MULTI"},
	{"multi-max-bytes", readable | settable, size(func(c *Config) *int64 { return &c.MultiMaxBytes }, 64*mb, 1*kb, 1*gb),
		"bytes queued by one MULTI"},
	{"shutdown-timeout", readable | settable, number(func(c *Config) *int { return &c.ShutdownTimeout }, 10, 0, 86400, "seconds"),
		"how long SHUTDOWN waits for work in progress; 0 does not wait"},
	{"procs", readable, number(func(c *Config) *int { return &c.Procs }, 0, 0, 4096, "threads"),
		"threads that run Go code at once (GOMAXPROCS); 0 leaves it to Go"},
}
