package node

import (
	"github.com/disqo/disqo/aof"
	"github.com/disqo/disqo/replication"
	"github.com/disqo/disqo/store"
)

// The words in which a front and its node talk are those of the rooms below:
// a front needs no other import.
type (
	Job       = store.Job
	Spec      = store.Spec
	ID        = store.ID
	Set       = store.Set
	Adder     = store.Adder
	State     = store.State
	Terms     = store.Terms
	Refusal   = store.Refusal
	Classes   = store.Classes
	Counts    = store.Counts
	Event     = store.Event
	Pause     = store.Pause
	QueueStat = store.QueueStat
	Shortage  = replication.Shortage
	FullError = aof.FullError
	FS        = aof.FS
	Policy    = aof.Policy
)

// The directions in which a queue can be paused.
const (
	PauseIn  = store.PauseIn
	PauseOut = store.PauseOut
)

// States of jobs that are spoken of outside the store.
const (
	Acked     = store.Acked
	NumStates = store.NumStates
)

// Classes of jobs, and events that are counted.
const (
	ClassActive  = store.ClassActive
	ClassAcked   = store.ClassAcked
	ClassDelayed = store.ClassDelayed
	ClassQueued  = store.ClassQueued
	ClassWaiting = store.ClassWaiting
	ClassDead    = store.ClassDead
	Purgeable    = store.Purgeable

	EventDelivered = store.EventDelivered
	EventAcked     = store.EventAcked
	EventNacked    = store.EventNacked
	EventExpired   = store.EventExpired
	EventRetried   = store.EventRetried
	EventDied      = store.EventDied
	EventKicked    = store.EventKicked
	EventPurged    = store.EventPurged
	EventQueued    = store.EventQueued
	EventLeft      = store.EventLeft
)

// Bounds and defaults of the terms of a job.
const (
	DefaultPriority = store.DefaultPriority
	MaxReason       = store.MaxReason
)

// NeverSync is the policy of a log that is synced once, at its end.
const NeverSync = aof.No

// What a node refuses with, besides *Shortage.
var (
	ErrBadID         = store.ErrBadID
	ErrPaused        = store.ErrPaused
	ErrMaxLen        = store.ErrMaxLen
	ErrTooManyQueues = store.ErrTooManyQueues
	ErrFull          = store.ErrFull
	ErrNoJob         = store.ErrNoJob
	ErrTooLate       = store.ErrTooLate
	ErrLogBusy       = aof.ErrBusy
	ErrLogClosed     = aof.ErrClosed
	ErrLogUnfinished = aof.ErrUnfinished
	ErrBackup        = aof.ErrBackup
	ErrNotEmpty      = aof.ErrNotEmpty
)

// ParseID reads the text form of a job id; see store.ParseID.
func ParseID(text []byte) (id ID, ok bool, err error) { return store.ParseID(text) }

// ParsePolicy returns the policy of that name: always, everysec or no.
func ParsePolicy(name string) (Policy, bool) { return aof.ParsePolicy(name) }

// ParseState returns the state of that name.
func ParseState(name string) (State, bool) { return store.ParseState(name) }
