package bench

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/disqo/disqo/bench/bounds"
)

const maxClients = 10_000

// KillOptions say how to torture a broker by SIGKILL. The zero value of a
// field means its default.
type KillOptions struct {
	Server    string        // path of the binary, default ./disqo
	Port      int           // to start it on, for a broker that does not log its address; default 0: any
	Dir       string        // where a directory for the run is made, default the system's for temporary files
	Policy    string        // appendfsync: always (default), everysec or no; a killed process loses nothing under any, but at-most-once jobs under the last two
	Cycles    int           // kills that count, 1 to 100,000, default 200
	Seed      uint64        // of all that is random, default 1
	Producers int           // connections that add jobs, default 8
	Consumers int           // connections that get and acknowledge jobs, default 8; one more gets at-most-once jobs
	Backlog   int           // jobs that are due at which producers pause, default 20,000: a restart stays quick
	Patience  time.Duration // without a delivery at the end, until missing jobs are lost, default 20 s
	Progress  io.Writer     // a line a cycle; nil for none
}

func (o *KillOptions) fill() error {
	o.Server, o.Policy = cmp.Or(o.Server, "./disqo"), cmp.Or(o.Policy, "always")
	o.Cycles, o.Seed = cmp.Or(o.Cycles, 200), cmp.Or(o.Seed, 1)
	o.Producers, o.Consumers, o.Backlog = cmp.Or(o.Producers, 8), cmp.Or(o.Consumers, 8), cmp.Or(o.Backlog, 20_000)
	o.Patience = cmp.Or(o.Patience, 20*time.Second)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	switch o.Policy {
	case "always", "everysec", "no":
	default:
		return fmt.Errorf("bench: Policy is %q, it must be always, everysec or no", o.Policy)
	}
	return bounds.Of("bench").
		Int("Cycles", o.Cycles, 1, 100_000).Int("Producers", o.Producers, 1, maxClients).
		Int("Consumers", o.Consumers, 1, maxClients).Int("Port", o.Port, 0, 65535).
		Int("Backlog", o.Backlog, 1000, 10_000_000).Err()
}
