package bench

import (
	"fmt"
	"io"
	"time"
)

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

// Cycle is one life of the broker.
type Cycle struct {
	Number  int           `json:"number"`
	Void    bool          `json:"void,omitempty"` // too little was added for it to count
	Load    time.Duration `json:"load_ns"`        // from the first client to the kill
	Added   int           `json:"added"`          // ADDJOBs answered
	Acked   int           `json:"acked"`          // jobs whose ACKJOB was answered
	Due     int           `json:"due"`            // jobs due at the kill
	Restart time.Duration `json:"restart_ns"`     // from the start of the process before the load until it served
}

// KillReport is what a torture came to.
type KillReport struct {
	Seed    uint64  `json:"seed"`
	Policy  string  `json:"policy"`
	Kills   int     `json:"kills"` // those that count
	Void    int     `json:"void"`
	Cycles  []Cycle `json:"cycles"`
	Verdict Verdict `json:"verdict"`
	Kept    string  `json:"kept,omitempty"` // the broker's directory, if something is wrong
}

func (o *KillOptions) fill() error {
	o.Server, o.Policy = or(o.Server, "./disqo"), or(o.Policy, "always")
	o.Cycles, o.Seed = or(o.Cycles, 200), or(o.Seed, 1)
	o.Producers, o.Consumers, o.Backlog = or(o.Producers, 8), or(o.Consumers, 8), or(o.Backlog, 20_000)
	o.Patience = or(o.Patience, 20*time.Second)
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	switch o.Policy {
	case "always", "everysec", "no":
	default:
		return fmt.Errorf("bench: Policy is %q, it must be always, everysec or no", o.Policy)
	}
	return within([]bound{
		{"Cycles", o.Cycles, 1, 100_000}, {"Producers", o.Producers, 1, maxClients},
		{"Consumers", o.Consumers, 1, maxClients}, {"Port", o.Port, 0, 65535}, {"Backlog", o.Backlog, 1000, 10_000_000},
	})
}
