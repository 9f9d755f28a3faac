package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// ProbeGap is the longest time for which a node took no ADDJOB.
type ProbeGap struct {
	Node  int           `json:"node"`     // counted from 1
	Added int           `json:"added"`    // adds answered during the fault
	Fault time.Duration `json:"fault_ns"` // from the last answer before the fault to the end of it
	Heal  time.Duration `json:"heal_ns"`  // from the last answer before the end of the fault to the next fault
}

// ProbeRound is one fault of a probe.
type ProbeRound struct {
	Fault  string        `json:"fault"`
	Nodes  string        `json:"nodes"`   // who was hit, counted from 1
	Gaps   []ProbeGap    `json:"gaps"`    // of the nodes that are alive
	Back   time.Duration `json:"back_ns"` // from the start of killed nodes until they serve
	Copies []int         `json:"copies"`  // jobs added during the fault by how many nodes know them 5 s after it, from none to all
}

// OK reports whether no node took no ADDJOB for too long, and all copies are
// there.
func (r *ProbeRound) OK() bool {
	copies := 0
	for n, jobs := range r.Copies {
		if n < min(3, len(r.Copies)-1) {
			copies += jobs
		}
	}
	return copies == 0 && !slices.ContainsFunc(r.Gaps, func(g ProbeGap) bool { return max(g.Fault, g.Heal) > probeBound })
}

func (r *ProbeRound) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-9s %-4s", r.Fault, r.Nodes)
	for _, g := range r.Gaps {
		fmt.Fprintf(&b, "  node %d: %.0f ms (heal %.0f ms), added %d", g.Node, milliseconds(g.Fault), milliseconds(g.Heal), g.Added)
	}
	fmt.Fprintf(&b, "  back %.0f ms  jobs by copies %v", milliseconds(r.Back), r.Copies)
	if !r.OK() {
		b.WriteString("  FAILED")
	}
	return b.String()
}

// ProbeReport is what a probe came to.
type ProbeReport struct {
	Seed   uint64       `json:"seed"`
	Nodes  int          `json:"nodes"`
	Rounds []ProbeRound `json:"rounds"`
	Kept   string       `json:"kept,omitempty"` // the nodes' directories, if not all is well
}

// Err returns an error unless all is well.
func (r *ProbeReport) Err() error {
	for i := range r.Rounds {
		if !r.Rounds[i].OK() {
			return fmt.Errorf("a node took no ADDJOB for longer than %s, or copies are missing: %s; the nodes' files are in %s, the seed was %d",
				probeBound, &r.Rounds[i], r.Kept, r.Seed)
		}
	}
	return nil
}

func (r *ProbeReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d  nodes %d\n", r.Seed, r.Nodes)
	for i := range r.Rounds {
		fmt.Fprintln(&b, &r.Rounds[i])
	}
	return b.String()
}
