package server

import (
	"errors"
	"strconv"

	"github.com/disqo/disqo/server/node"
)

// fault is an error whose text is the reply to the client, code and all.
type fault string

func (f fault) Error() string { return string(f) }

const (
	errSyntax       fault = "ERR syntax error"
	errBadID        fault = "BADID Invalid Job ID format."
	errNotInteger   fault = "ERR value is not an integer or out of range"
	errTimeoutValue fault = "ERR timeout is not an integer or out of range"
	errTimeoutSign  fault = "ERR timeout is negative"

	leavingText = "LEAVING This node is leaving the cluster, please connect to a different one"
)

// replies are what the lower rooms' errors are called on the wire.
var replies = []struct {
	err  error
	text string
}{
	{node.ErrPaused, "PAUSED Queue paused in input, try later"},
	{node.ErrMaxLen, "MAXLEN Queue is already longer than the specified MAXLEN count"},
	{node.ErrTooManyQueues, "ERR the node has as many queues as max-queues allows; use existing ones or raise it"},
	{node.ErrFull, "OOM the node cannot address more jobs; consume some or add a node"},
	{node.ErrNoJob, "NOJOB Job not known in the context of this node."},
	{node.ErrTooLate, "TOOLATE Half of job TTL already elapsed, you are no longer allowed to postpone the next delivery."},
	{node.ErrLogBusy, "MISCONF Errors writing to the AOF file: the disk does not keep up, try again later"},
	{node.ErrBadID, string(errBadID)},
}

// faultText returns what a client is told about an error.
func faultText(err error) string {
	var f fault
	if errors.As(err, &f) {
		return string(f)
	}
	var full *node.FullError
	if errors.As(err, &full) {
		return "MISCONF Errors writing to the AOF file: " + full.Error() +
			". No job is added until there is space; acknowledging jobs goes on and makes some"
	}
	var short *node.Shortage
	if errors.As(err, &short) {
		return "NOREPL " + short.Error()
	}
	for _, r := range replies {
		if errors.Is(err, r.err) {
			return r.text
		}
	}
	return "ERR " + err.Error()
}

// parseInt reads a signed 64-bit integer as the reference does: strtoll, whole
// and without leading space; a leading + is fine and the empty string is 0.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}

// parseTimeout reads milliseconds; 0 is no timeout.
func parseTimeout(b []byte) (int64, error) {
	n, ok := parseInt(b)
	if !ok {
		return 0, errTimeoutValue
	}
	if n < 0 {
		return 0, errTimeoutSign
	}
	return min(n, maxTimeout), nil
}

// maxTimeout keeps deadlines within what a time.Duration can hold.
const maxTimeout = 1 << 42
