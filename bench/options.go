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
	for _, d := range []struct {
		field *int
		def   int
	}{{&o.Producers, 16}, {&o.Consumers, 16}, {&o.Jobs, 100_000}, {&o.Size, 128}, {&o.Depth, 1}} {
		if *d.field == 0 {
			*d.field = d.def
		}
	}
	if o.Queue == "" {
		o.Queue = "bench"
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Addr == "" {
		return errors.New("bench: Addr is required")
	}
	for _, b := range []struct {
		name             string
		value, low, high int
	}{
		{"Producers", o.Producers, 1, maxClients}, {"Consumers", o.Consumers, 1, maxClients},
		{"Jobs", o.Jobs, 1, 1 << 31}, {"Size", o.Size, 8, maxSize}, {"Depth", o.Depth, 1, maxDepth},
	} {
		if b.value < b.low || b.value > b.high {
			return fmt.Errorf("bench: %s is %d, it must be %d to %d", b.name, b.value, b.low, b.high)
		}
	}
	return nil
}
