package replication

import "fmt"

// Situation is what decides whether a job can be placed.
type Situation struct {
	Copies    int  // nodes that shall hold the job, 1 or more
	Reachable int  // peers that could hold a copy now
	Leaving   bool // this node is leaving the cluster and holds no new job
	LowMemory bool // this node is short of memory and holds no new job
}

// Shortage says why a job cannot have the copies it asks for. Its text is the
// protocol's, without the leading NOREPL, and how many copies are missing.
type Shortage struct {
	Reason   string // why this node cannot hold a copy itself; "" when it can
	Wanted   int    // copies
	Possible int
}

func (e *Shortage) Error() string {
	const text = "Not enough reachable nodes for the requested replication level"
	missing := fmt.Sprintf(" (copies wanted %d, possible %d)", e.Wanted, e.Possible)
	if e.Reason == "" {
		return text + missing
	}
	return text + ", since I'm unable to hold a copy of the message for the following reason: " + e.Reason + missing
}

// Plan returns how many peers must hold a copy, or a *Shortage. The reason why
// this node holds none is named when one more copy would have been enough.
func Plan(s Situation) (peers int, err error) {
	external := s.Leaving || s.LowMemory
	peers = s.Copies
	if !external {
		peers--
	}
	if peers <= s.Reachable {
		return peers, nil
	}
	short := &Shortage{Wanted: s.Copies, Possible: s.Reachable + s.Copies - peers}
	switch {
	case !external || peers-1 != s.Reachable:
	case s.Leaving:
		short.Reason = "I'm leaving the cluster"
	default:
		short.Reason = "I'm out of memory"
	}
	return 0, short
}
