package load

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

// Options say what load to make. The zero value of a field means its default.
type Options struct {
	Addrs     []string      // host:port of the broker, or of its nodes, which the connections take in turns; required
	Protocol  string        // one of Protocols, default "disque"
	Producers int           // connections that add jobs, default 16
	Consumers int           // connections that get and acknowledge jobs, default 16
	Idle      int           // connections that do nothing, default none
	Jobs      int           // jobs a phase, default 100,000
	Size      int           // bytes of a body, at least 8, default 128
	Depth     int           // adds in one write, and jobs in one fetch and one acknowledgement, default 1; "deliver" has 1
	Backlog   int           // in "both", jobs added and not acknowledged at which producers pause, default 10,000
	Rate      int           // in "deliver", jobs a second, default 1,000
	Copies    int           // nodes that must have a job before its producer is answered, default what the broker does; only "disque"
	Queue     string        // default "bench"
	Queues    int           // how many queues the jobs are spread over, default 1; more only for "produce" and "consume" by "disque"
	First     int           // number of the first job to add; those below, of earlier runs, may come out as well
	Timeout   time.Duration // bound on each wait for a reply, default 30 s
	Progress  io.Writer     // a line a second; nil for none
}

// Bounds that keep a mistyped option from taking the machine.
const (
	SizeMin  = 8 // a body begins with the job's number
	SizeMax  = 64 << 20
	DepthMax = 10_000

	maxClients = 20_000
	maxJobs    = 1 << 31
	maxQueues  = 100_000
	maxRate    = 1_000_000
)

// Phases are what Run can do, in the order in which they make sense.
var Phases = []string{"produce", "consume", "both", "deliver"}

func (o *Options) fill(phase string) error {
	if !slices.Contains(Phases, phase) {
		return fmt.Errorf("load: there is no phase %q; the phases are %s", phase, strings.Join(Phases, ", "))
	}
	o.Protocol, o.Queue = cmp.Or(o.Protocol, "disque"), cmp.Or(o.Queue, "bench")
	o.Producers, o.Consumers = cmp.Or(o.Producers, 16), cmp.Or(o.Consumers, 16)
	o.Jobs, o.Size, o.Depth = cmp.Or(o.Jobs, 100_000), cmp.Or(o.Size, 128), cmp.Or(o.Depth, 1)
	o.Backlog, o.Rate, o.Queues = cmp.Or(o.Backlog, 10_000), cmp.Or(o.Rate, 1000), cmp.Or(o.Queues, 1)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	if phase == "deliver" {
		o.Depth = 1
	}
	switch {
	case len(o.Addrs) == 0:
		return errors.New("load: Addrs is required")
	case protocols[o.Protocol] == nil:
		return fmt.Errorf("load: there is no protocol %q; the protocols are %s", o.Protocol, strings.Join(Protocols, ", "))
	case o.Queues > 1 && (o.Protocol != "disque" || phase != "produce" && phase != "consume"):
		return errors.New(`load: more than one queue is for the phases produce and consume by "disque" only`)
	case o.Copies > 0 && o.Protocol != "disque":
		return fmt.Errorf("load: %q has no copies", o.Protocol)
	}
	if err := bounds.Of("load").
		Int("Producers", o.Producers, 1, maxClients).Int("Consumers", o.Consumers, 1, maxClients).
		Int("Idle", o.Idle, 0, maxClients).Int("Jobs", o.Jobs, 1, maxJobs).Int("Size", o.Size, SizeMin, SizeMax).
		Int("Depth", o.Depth, 1, DepthMax).Int("Backlog", o.Backlog, 1, maxJobs).Int("Rate", o.Rate, 1, maxRate).
		Int("Copies", o.Copies, 0, 127).Int("Queues", o.Queues, 1, maxQueues).Int("First", o.First, 0, maxJobs).Err(); err != nil {
		return err
	}
	o.Jobs = (o.Jobs + o.Depth - 1) / o.Depth * o.Depth
	return nil
}
