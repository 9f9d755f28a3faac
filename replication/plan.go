package replication

// Situation is what decides whether a job can be placed.
type Situation struct {
	Copies    int  // nodes that shall hold the job, 1 or more
	Reachable int  // peers that could hold a copy now
	Leaving   bool // this node is leaving the cluster and holds no new job
	LowMemory bool // this node is short of memory and holds no new job
}

// Shortage says why a job cannot have the copies it asks for. Its text is the
// protocol's, without the leading NOREPL.
type Shortage struct {
	Reason string // why this node cannot hold a copy itself; "" when it can
}

func (e *Shortage) Error() string {
	const text = "Not enough reachable nodes for the requested replication level"
	if e.Reason == "" {
		return text
	}
	return text + ", since I'm unable to hold a copy of the message for the following reason: " + e.Reason
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
	if !external || peers-1 != s.Reachable {
		return 0, &Shortage{}
	}
	if s.Leaving {
		return 0, &Shortage{Reason: "I'm leaving the cluster"}
	}
	return 0, &Shortage{Reason: "I'm out of memory"}
}
