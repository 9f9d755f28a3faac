// Package planted has the faults that can be built into the product, to see that
// the tests find them. It takes the build tag planted: without it no fault can be
// chosen, and the compiler removes what asks for one.
package planted

// Bug is a fault.
type Bug uint8

// The faults. Each is asked for where the code it spoils is.
const (
	None             Bug = iota
	AckBeforeSync        // the log says durable without having synced
	UnlinkEarly          // Drop removes files before the batch that says so is durable
	SkipDirSync          // the directory entry of a new segment is not synced
	IgnoreShortWrite     // a short write is taken for a whole one
	StaleReplayStart     // the oldest segment of the log is not read
	GotJobBeforeLog      // a message is sent though what it depends on is not in the log yet
	LostWake             // a consumer that was handed a job is not woken
	DoubleHandOff        // a consumer that has a job, or has gone, is handed another
	ForgetWillQueue      // the holders of a job are not asked before it is queued again
	NoRetryOfSetAck      // the holders of an acknowledged job are told once
	OneCopyLess          // ADDJOB is answered when one node less than promised holds the job
	ClockInStore         // the store reads the clock of the machine
	DroppedNack          // NACK does nothing
	Resurrect            // what was deleted comes back with the log
	HastyDeath           // a delivery that failed is counted twice
	UntoldDeath          // the other holders of a job that died are not told
	numBugs
)

var names = [numBugs]string{
	"none", "ack before sync", "unlink early", "skip directory sync", "ignore short write", "stale replay start", "message before log",
	"lost wake", "double hand-off", "forget WILLQUEUE", "no retry of SETACK", "one copy less", "clock in store", "dropped NACK", "resurrect",
	"hasty death", "untold death",
}

// String returns the fault in a few words.
func (b Bug) String() string { return names[b] }
