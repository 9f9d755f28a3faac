package config

import (
	"path/filepath"

	"github.com/disqo/disqo/server/acl"
)

// Config is one immutable snapshot of every directive. Whoever holds one may
// keep it as long as it likes and must not write to it, its slices included.
// Sizes are bytes. Defaults are in the table, not here: see Default.
type Config struct {
	// Network.

	Port           int      // TCP port for clients, 0..55535 (the bus uses port+10000); 0 = pick a free one
	Bind           []string // addresses to listen on, at most 16; empty = all
	UnixSocket     string   // path of a unix socket for clients, see Path; "" = none
	UnixSocketPerm uint32   // permission bits of the unix socket, 0..0777; 0 = what the umask leaves
	TCPBacklog     int      // no effect: Go takes the kernel's somaxconn
	TCPKeepalive   int      // seconds between keepalive probes; 0 = no probes
	Timeout        int      // seconds after which an idle client is closed; 0 = never
	MaxClients     int      // connections accepted at once, 1..1048576
	ProtectedMode  bool     // without a password, serve loopback clients only

	// Identity and access.

	RequirePass    string    // a password of the default user, at most 512 bytes; "" = none
	User           acl.Users // those that were made or changed; see Account
	ACLLogMaxLen   int       // refusals kept for ACL LOG, 0..1048576; 0 = none
	TLSPort        int       // TCP port for clients that speak TLS, 0..65535; 0 = pick a free one, -1 = there is none
	TLSCertFile    string    // see Path; PEM
	TLSKeyFile     string    // see Path; PEM
	TLSCACertFile  string    // see Path; PEM; "" = none
	TLSAuthClients string    // certificates of clients: "no", "optional" or "yes"
	HTTPPort       int       // TCP port of the HTTP side, 0..65535; 0 = pick a free one, -1 = there is none
	Dashboard      string    // pages of the HTTP side: "yes", "ro" without what changes something, or "no"
	RenameCommand  []Rename  // commands renamed or disabled, sorted by From, all applied at once

	// Process.

	Dir             string // absolute directory that relative paths start from, see Path; checked to exist
	LogFile         string // see Path; "" = standard error
	LogLevel        string // "debug", "verbose", "notice" or "warning"
	LogFormat       string // "text" or "json"
	PidFile         string // see Path; "" = none is written
	Daemonize       bool   // always false: yes is refused
	Procs           int    // threads that run Go code (GOMAXPROCS), 0..4096; 0 = the environment's, or one less than there are processors
	ShutdownTimeout int    // seconds SHUTDOWN waits for work in progress, 0..86400; 0 = does not wait

	// Memory and jobs.

	MaxMemory       int64  // bytes for jobs and queues; 0 = no limit
	MaxMemoryPolicy string // "acks" (when full, drop jobs that can never be delivered again) or "noeviction"
	MaxJobSize      int64  // largest body of a job, 1kb..512mb
	MaxQueueName    int    // longest queue name in bytes, 1..65535
	MaxQueues       int    // queues that may exist at once, 1..1000000000

	// What one client may ask for.

	MaxArguments            int         // arguments of one command, 16..1048576
	MaxInlineSize           int64       // bytes of one inline command, 1kb..1mb
	UnauthMaxArguments      int         // arguments of one command before AUTH, 3..65536
	UnauthMaxBulk           int64       // longest argument before AUTH, 1kb..512mb
	UnauthOutputLimit       int64       // unread replies before AUTH at which the client is closed, 1kb..512mb
	AuthTimeout             int         // seconds a client may be quiet before AUTH, 0..86400; 0 = no limit
	CommandTimeout          int         // seconds a started command has to arrive whole, 0..86400; 0 = no limit
	ClientWriteTimeout      int         // seconds without progress after which a write fails, 1..86400
	ClientInputBufferLimit  int64       // unparsed input kept beyond one command, 16kb..1gb
	ClientOutputBufferLimit OutputLimit // unsent replies a client may leave unread
	MultiMaxCommands        int         // commands one MULTI may queue, 1..1048576
	MultiMaxBytes           int64       // bytes one MULTI may queue, 1kb..1gb

	// Cluster.

	ClusterConfigFile  string // where this node keeps its identity and known peers, see Path; never ""
	ClusterNodeTimeout int    // milliseconds without contact before a node is suspected, 1 or more

	Join                 []string // host[:port[@busport]], default port 7711: where to find the cluster, at most 64; sorted
	AdvertiseAddr        string   // IP or host name for other nodes to use; "" = found out
	AdvertisePort        int      // client port for other nodes to name, 0..65535; 0 = Port
	ClusterPort          int      // TCP and UDP port of the bus, 0..65535; 0 = pick a free one, -1 = Port+10000, or 0 if Port is 0
	ClusterSecret        string   // shared by all nodes, at most 512 bytes; "" = none. Never shown.
	ClusterSecretAlso    string   // another one that nodes may have, at most 512 bytes; "" = none. Never shown.
	ClusterTLSCertFile   string   // see Path; PEM; "" = links have certificates made of ClusterSecret
	ClusterTLSKeyFile    string   // see Path; PEM
	ClusterTLSCACertFile string   // see Path; PEM
	ClusterName          string   // must be the same on all nodes, at most 200 bytes
	ClusterProtectedMode bool     // without ClusterSecret, the bus keeps to loopback addresses
	DefaultReplicate     int      // copies of a job, unless told, 1..65535
	DefaultSync          int      // of these, how many before the answer, 1..65535

	// Observation.

	SlowlogLogSlowerThan    int // microseconds from which a command is logged; 0 = every one, -1 = none
	SlowlogMaxLen           int // entries kept, 0..1048576; 0 = none
	LatencyMonitorThreshold int // milliseconds from which an event is recorded; 0 = off

	// The append-only file.

	AppendOnly               bool   // keep jobs on disk, see AOFDir
	AppendFsync              string // "always", "everysec" or "no"
	AutoAOFRewritePercentage int    // garbage that starts a rewrite, in per cent of what lives; 0 = never
	AutoAOFRewriteMinSize    int64  // no rewrite below this size
	AOFSegmentSize           int64  // size of each file, 1mb..1gb
	AOFLoadTruncated         bool   // load a log whose end is torn
	AOFEnqueueJobsOnce       bool   // load the log at the next start, and queue at once what was queued

	// Accepted for compatibility, no effect.

	AppendFilename             string // a file name, never a path
	Databases                  int
	HZ                         int // clamped to 1..500
	WatchdogPeriod             int // milliseconds
	MaxMemorySamples           int
	ActiveRehashing            bool
	NoAppendFsyncOnRewrite     bool
	AOFRewriteIncrementalFsync bool
	SyslogEnabled              bool
	SyslogIdent                string
	SyslogFacility             string // "user" or "local0".."local7"
}

// OutputLimit bounds the replies a client leaves unread. From Hard on no more
// of its commands are read, and if it takes nothing for ClientWriteTimeout it is
// closed; a client that does read loses nothing, however slow it is.
type OutputLimit struct {
	Hard        int64 // bytes; 0 = no limit
	Soft        int64 // accepted for compatibility, no effect
	SoftSeconds int   // accepted for compatibility, no effect
}

// Rename gives a command another name.
type Rename struct {
	From string // the command's own name, any case
	To   string // its new name; "" = the command is disabled
}

// Default returns a new Config in which every directive has its default, and
// Dir is the working directory.
func Default() *Config {
	c := new(Config)
	for i := range table {
		table[i].reset(c)
	}
	return c
}

// Account returns the user of that name, nil if there is none. The default user is
// always there.
func (c *Config) Account(name string) *acl.User {
	if u := c.User.Get(name); u != nil || name != acl.DefaultName {
		return u
	}
	return acl.Default
}

// Knows reports whether a password is a user's: one of those of the user, or
// requirepass if it is the default user.
func (c *Config) Knows(u *acl.User, h acl.Hash) bool {
	if u.Name == acl.DefaultName && c.RequirePass != "" {
		u = u.Also(acl.HashOf([]byte(c.RequirePass)))
	}
	return u.Has(h)
}

// NeedsNone reports whether a user may log in without a password.
func (c *Config) NeedsNone(u *acl.User) bool {
	return u.On && u.NoPass && (u.Name != acl.DefaultName || c.RequirePass == "")
}

// Open reports whether whoever connects is the default user, without a password.
func (c *Config) Open() bool { return c.NeedsNone(c.Account(acl.DefaultName)) }

// AOFDir is the directory of the append-only file, as Dir is now.
func (c *Config) AOFDir() string { return c.Path("appendonlydir") }

// Path resolves a path from the configuration: a relative one starts at Dir,
// an absolute or empty one is returned as it is. After CONFIG SET dir, relative
// paths that are opened from then on start at the new directory.
func (c *Config) Path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}
