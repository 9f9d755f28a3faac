package bench

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/disqo/disqo/bench/bounds"
)

// ClusterOptions say how to torture a cluster. The zero value of a field means
// its default.
type ClusterOptions struct {
	Server     string        // path of the binary, default ./disqo
	Directives []string      // arguments of each node besides --bind, --port and --dir, default ClusterDirectives
	Dir        string        // where a directory for each run is made, default the system's for temporary files
	Nodes      int           // 3 to 100, default 5; 3 for a probe
	Faults     []string      // one run each, of ClusterFaults or "none"; default all ClusterFaults, kill-one and freeze for a probe
	Rounds     int           // faults in a run, 1 to 1,000, default 5
	FaultTime  time.Duration // how long each fault lasts, at least 100 ms, default 10 s
	HealTime   time.Duration // between the end of a fault and the next, at least 100 ms, default 10 s
	Calm       time.Duration // without any load, before the drain, default 10 s
	Rate       int           // adds a second that all producers together try, 1 to 100,000, default 1,000
	Producers  int           // clients that add jobs, default 10
	Consumers  int           // clients that get and acknowledge jobs, at least Nodes, default 10 or Nodes
	Least      int           // answered adds of all runs together below which they show nothing, default 20,000
	Patience   time.Duration // without a delivery at the end, until missing jobs are lost, default 20 s
	Seed       uint64        // of all that is random, default 1
	Progress   io.Writer     // a line a fault and every few seconds; nil for none
}

// ClusterDirectives let disqo talk to more than loopback without a secret, and
// notice a dead peer soon.
const ClusterDirectives = "--cluster-protected-mode no --protected-mode no --cluster-node-timeout 2000"

// Bounds and figures of a torture of a cluster.
const (
	clusterNodesMax = 100
	clusterPort     = 7711             // of every node, each at an address of its own
	clusterQueue    = "cluster"        // all jobs go through one queue
	clusterBacklog  = 20_000           // jobs that are due at which producers pause
	leastWindow     = 100              // answered adds in each fault; with less it shows nothing
	restWithin      = 10 * time.Second // from the end of the drain until no node holds a job
)

func (o *ClusterOptions) fill(nodes int, faults ...string) error {
	o.Server, o.Nodes = cmp.Or(o.Server, "./disqo"), cmp.Or(o.Nodes, nodes)
	o.Rounds, o.Rate, o.Seed, o.Least = cmp.Or(o.Rounds, 5), cmp.Or(o.Rate, 1000), cmp.Or(o.Seed, 1), cmp.Or(o.Least, 20_000)
	o.FaultTime, o.HealTime, o.Calm = cmp.Or(o.FaultTime, 10*time.Second), cmp.Or(o.HealTime, 10*time.Second), cmp.Or(o.Calm, 10*time.Second)
	o.Producers, o.Consumers = cmp.Or(o.Producers, 10), cmp.Or(o.Consumers, max(10, o.Nodes))
	o.Patience = cmp.Or(o.Patience, 20*time.Second)
	if o.Directives == nil {
		o.Directives = strings.Fields(ClusterDirectives)
	}
	if o.Faults == nil {
		o.Faults = faults
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	for _, f := range o.Faults {
		if f != noFault && !slices.Contains(ClusterFaults, f) {
			return fmt.Errorf("bench: there is no fault %q, there are %s and %s", f, strings.Join(ClusterFaults, ", "), noFault)
		}
	}
	if len(o.Faults) == 0 {
		return errors.New("bench: Faults is empty")
	}
	if o.Calm < 0 || o.Patience < 0 {
		return errors.New("bench: Calm and Patience must not be negative")
	}
	return bounds.Of("bench").
		Int("Nodes", o.Nodes, 3, clusterNodesMax).Int("Rounds", o.Rounds, 1, 1000).Int("Rate", o.Rate, 1, 100_000).
		Int("Producers", o.Producers, 1, maxClients).Int("Consumers", o.Consumers, o.Nodes, maxClients).
		Int("Least", o.Least, 1, 1<<31).Int("FaultTime in ms", int(o.FaultTime.Milliseconds()), 100, 3_600_000).
		Int("HealTime in ms", int(o.HealTime.Milliseconds()), 100, 3_600_000).Err()
}
