package bench

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Options say what load to make. The zero value of a field means its default.
type Options struct {
	Addr      string        // host:port of the broker; required
	Producers int           // connections that add jobs, default 16
	Consumers int           // connections that get and acknowledge jobs, default 16
	Jobs      int           // jobs a phase, default 100,000
	Size      int           // bytes of a body, at least 8, default 128
	Depth     int           // adds in one write, and jobs in one GETJOB, default 1
	Backlog   int           // in "both", jobs added and not acknowledged at which producers pause, default 10,000
	Queue     string        // default "bench"
	Timeout   time.Duration // bound on each wait for a reply, default 30 s
	Progress  io.Writer     // a line a second; nil for none
}

// Bounds that keep a mistyped option from taking the machine.
const (
	maxClients = 10_000
	maxDepth   = 10_000
	maxSize    = 64 << 20
)

func (o *Options) fill() error {
	o.Producers, o.Consumers = or(o.Producers, 16), or(o.Consumers, 16)
	o.Jobs, o.Size, o.Depth = or(o.Jobs, 100_000), or(o.Size, 128), or(o.Depth, 1)
	o.Backlog = or(o.Backlog, 10_000)
	o.Queue, o.Timeout = or(o.Queue, "bench"), or(o.Timeout, 30*time.Second)
	if o.Addr == "" {
		return errors.New("bench: Addr is required")
	}
	return within([]bound{
		{"Producers", o.Producers, 1, maxClients}, {"Consumers", o.Consumers, 1, maxClients},
		{"Jobs", o.Jobs, 1, 1 << 31}, {"Size", o.Size, 8, maxSize}, {"Depth", o.Depth, 1, maxDepth},
		{"Backlog", o.Backlog, 1, 1 << 31},
	})
}

// or returns value, or def if it is the zero value.
func or[T comparable](value, def T) T {
	var zero T
	if value == zero {
		return def
	}
	return value
}

// bound is an option's value and what it may be.
type bound struct {
	name             string
	value, low, high int
}

// within returns an error for the first value out of its bounds.
func within(bounds []bound) error {
	for _, b := range bounds {
		if b.value < b.low || b.value > b.high {
			return fmt.Errorf("bench: %s is %d, it must be %d to %d", b.name, b.value, b.low, b.high)
		}
	}
	return nil
}
