package server

import (
	"fmt"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/config"
)

// Flags of a command. The first eight are the reference's, which COMMAND
// shows; the others are ours.
const (
	write       = 1 << iota // changes jobs or queues
	readonly                //
	denyOOM                 // refused when memory is full
	admin                   //
	random                  //
	loading                 // allowed while the log is loaded
	skipMonitor             //
	fast                    //
	preAuth                 // allowed before AUTH
	immediate               // executed at once within MULTI
	noMulti                 // refused within MULTI
	secret                  // not shown by MONITOR and SLOWLOG: it may hold a password
	overtakes               // executed while ADDJOBs before it wait for their copies
	full                    // takes a word FULL more than its arity says
	namesQueue              // its first argument is a queue
	namesQueues             // it names queues as GETJOB does
	namesJobs               // its first arguments are ids of jobs
)

var flagNames = [...]string{"write", "readonly", "denyoom", "admin", "random", "loading", "skip_monitor", "fast"}

// command is a row of the command table.
type command struct {
	name  string
	run   func(s *session, args [][]byte)
	arity int // words, the name included; negative: at least that many; 0: any
	flags int
	stats *commandStats
}

// commandStats is what INFO commandstats and the metrics tell.
type commandStats struct {
	calls atomic.Int64
	nanos atomic.Int64
	timed bool // the durations are counted, too: somebody may look at them
	took  histogram
}

func (c *commandStats) add(took time.Duration) {
	c.calls.Add(1)
	c.nanos.Add(int64(took))
	if c.timed {
		c.took.add(took)
	}
}

// takes reports whether the number of words is right.
func (c *command) takes(args [][]byte) bool {
	n := len(args)
	if c.arity <= 0 {
		return n >= -c.arity
	}
	return n == c.arity || n == c.arity+1 && c.flags&full != 0 && is(args[n-1], "FULL")
}

func (c *command) flagNames() (names []string) {
	for f := c.flags & (1<<len(flagNames) - 1); f != 0; f &= f - 1 {
		names = append(names, flagNames[bits.TrailingZeros(uint(f))])
	}
	return names
}

// table returns the command table. Up to fastack it is the reference's; then comes
// what goes past it, and what Redis clients need to connect.
func table() []command {
	return []command{
		{"auth", cmdAuth, -2, readonly | loading | fast | preAuth | immediate | secret, nil},
		{"ping", cmdPing, -1, readonly | fast, nil},
		{"info", cmdInfo, -1, readonly | loading, nil},
		{"shutdown", cmdShutdown, -1, readonly | admin | loading | noMulti, nil},
		{"monitor", cmdMonitor, 1, readonly | admin | noMulti, nil},
		{"debug", cmdDebug, -2, admin | noMulti, nil},
		{"config", cmdConfig, -2, readonly | admin | secret, nil},
		{"cluster", cmdCluster, -2, readonly | admin, nil},
		{"client", cmdClient, -2, readonly | admin, nil},
		{"slowlog", cmdSlowlog, -2, readonly, nil},
		{"time", cmdTime, 1, readonly | fast, nil},
		{"command", cmdCommand, 0, readonly | loading, nil},
		{"latency", cmdLatency, -2, readonly | admin | loading, nil},
		{"hello", cmdHello, -1, readonly | fast | preAuth | secret | noMulti, nil},
		{"addjob", cmdAddJob, -4, write | denyOOM | fast | overtakes | namesQueue, nil},
		{"ackjob", cmdAckJob, -1, write | fast | overtakes | namesJobs, nil},
		{"deljob", cmdDelJob, -1, write | fast | namesJobs, nil},
		{"show", cmdShow, 2, readonly | fast | full | namesJobs, nil},
		{"loadjob", cmdLoadJob, 2, write, nil},
		{"bgrewriteaof", cmdBgRewriteAOF, 1, readonly | admin, nil},
		{"qlen", cmdQLen, 2, readonly | fast | namesQueue, nil},
		{"qpeek", cmdQPeek, 3, readonly | namesQueue, nil},
		{"qstat", cmdQStat, 2, readonly | fast | full | namesQueue, nil},
		{"qscan", cmdQScan, -1, readonly, nil},
		{"jscan", cmdJScan, -1, readonly, nil},
		{"enqueue", cmdEnqueue, -1, write | denyOOM | fast | namesJobs, nil},
		{"nack", cmdNack, -1, write | denyOOM | fast | overtakes | namesJobs, nil},
		{"dequeue", cmdDequeue, -1, write | fast | namesJobs, nil},
		{"working", cmdWorking, 2, write | fast | namesJobs, nil},
		{"pause", cmdPause, -3, readonly | fast | namesQueue, nil},
		{"getjob", cmdGetJob, -2, write | fast | namesQueues, nil},
		{"fastack", cmdFastAck, -1, write | fast | overtakes | namesJobs, nil},

		{"bury", cmdBury, -2, write | fast | namesJobs, nil},
		{"kick", cmdKick, -2, write | denyOOM | namesQueue, nil},
		{"kickjob", cmdKickJob, -2, write | denyOOM | fast | namesJobs, nil},
		{"promote", cmdPromote, -2, write | fast | namesJobs, nil},
		{"qpurge", cmdQPurge, -2, write | namesQueue, nil},

		{"backup", cmdBackup, 2, readonly | admin | noMulti, nil},
		{"acl", cmdACL, -2, admin | secret, nil},
		{"multi", cmdMulti, 1, readonly | fast | immediate, nil},
		{"exec", cmdExec, 1, write | immediate, nil},
		{"discard", cmdDiscard, 1, readonly | fast | immediate, nil},
		{"echo", cmdEcho, 2, readonly | fast, nil},
		{"select", cmdSelect, 2, readonly | fast, nil},
		{"readonly", cmdReadOnly, 1, readonly | fast, nil},
		{"reset", cmdReset, 1, readonly | fast | preAuth | immediate, nil},
		{"quit", cmdQuit, 0, readonly | fast | preAuth | immediate, nil},
	}
}

// commands is the table as one server uses it: renamed, with its statistics.
type commands struct {
	rows   []command           // in the order of the table
	byName map[string]*command // by the name that clients use
}

// time makes all commands count their durations. It is called before they are used.
func (c *commands) time() {
	for i := range c.rows {
		c.rows[i].stats.timed = true
	}
}

// longestName bounds the names that are looked up.
const longestName = 64

func newCommands(renames []config.Rename) (*commands, error) {
	c := &commands{rows: table(), byName: map[string]*command{}}
	own := map[string]*command{}
	for i := range c.rows {
		row := &c.rows[i]
		row.stats = &commandStats{}
		own[row.name] = row
		c.byName[row.name] = row
	}
	for _, r := range renames {
		if own[strings.ToLower(r.From)] == nil {
			return nil, fmt.Errorf("rename-command %s: there is no such command", r.From)
		}
		delete(c.byName, strings.ToLower(r.From))
	}
	for _, r := range renames {
		to := strings.ToLower(r.To)
		switch {
		case to == "":
			continue
		case len(to) > longestName:
			return nil, fmt.Errorf("rename-command %s %s: the new name is longer than %d bytes", r.From, r.To, longestName)
		case c.byName[to] != nil:
			return nil, fmt.Errorf("rename-command %s %s: there is another command of that name", r.From, r.To)
		}
		c.byName[to] = own[strings.ToLower(r.From)]
	}
	return c, nil
}

// find returns the command of that name, in any case, or nil.
func (c *commands) find(name []byte) *command {
	var buf [longestName]byte
	if len(name) > len(buf) {
		return nil
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b |= 0x20
		}
		buf[i] = b
	}
	return c.byName[string(buf[:len(name)])]
}

// lower returns an argument in lower case.
func lower(b []byte) string { return strings.ToLower(string(b)) }
