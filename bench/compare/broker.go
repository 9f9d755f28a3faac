package compare

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/disqo/disqo/bench"
)

// broker is a system that serves, in processes of its own, or started by others.
type broker struct {
	s     System
	addrs []string
	procs []*bench.Process
	dir   string
	progs []bench.Program

	stopScraping context.CancelFunc // nil: nobody scrapes
	scraping     sync.WaitGroup
}

const (
	busOffset    = 10_000           // from a node's port to that of its bus
	meetPatience = 30 * time.Second // until all nodes know each other
	pollEvery    = 5 * time.Millisecond
)

// start starts a system with its files below dir.
func (s System) start(ctx context.Context, dir, policy string, nodes int) (b *broker, err error) {
	b = &broker{s: s, addrs: s.addr}
	if s.addr != nil {
		return b, nil
	}
	if b.dir, err = os.MkdirTemp(dir, s.Name+"-"); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer func() {
		if err != nil {
			b.end()
		}
	}()
	for i := range nodes {
		own := filepath.Join(b.dir, strconv.Itoa(i))
		if err = os.Mkdir(own, 0o755); err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		port, err := freePort()
		if err != nil {
			return nil, fmt.Errorf("compare: %w", err)
		}
		addr := net.JoinHostPort(host, strconv.Itoa(port))
		b.addrs = append(b.addrs, addr)
		b.progs = append(b.progs, bench.Program{Path: s.path, Args: s.kind.args(port, own, policy), Dir: own, Addr: addr})
	}
	if err = b.launch(ctx); err != nil {
		return nil, err
	}
	if nodes > 1 {
		err = b.meet(ctx)
	}
	return b, err
}

// launch starts the processes and waits until they serve.
func (b *broker) launch(ctx context.Context) error {
	for _, prog := range b.progs {
		prog.Serves = func(ctx context.Context, addr string) error {
			_, err := b.s.kind.jobs(ctx, addr)
			if err == errUncounted {
				return answers(ctx, addr)
			}
			return err
		}
		p, err := bench.StartProcess(ctx, prog)
		if err != nil {
			return err
		}
		b.procs = append(b.procs, p)
	}
	if b.s.kind.scraped {
		return b.scrape(ctx)
	}
	return nil
}

// answers returns nil if somebody listens.
func answers(ctx context.Context, addr string) error {
	nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = nc.Close()
	}
	return err
}

// kill ends the processes.
func (b *broker) kill() {
	if b.stopScraping != nil {
		b.stopScraping()
		b.scraping.Wait()
	}
	for _, p := range b.procs {
		p.Kill()
	}
	b.procs = nil
}

// end ends the processes and removes their files.
func (b *broker) end() {
	b.kill()
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// meet makes a cluster of the nodes.
func (b *broker) meet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, meetPatience)
	defer cancel()
	for _, addr := range b.addrs[1:] {
		_, port, _ := net.SplitHostPort(addr)
		if _, err := bench.Ask(ctx, b.addrs[0], '+', "CLUSTER", "MEET", host, port); err != nil {
			return err
		}
	}
	var missing error
	err := poll(ctx, func() (bool, error) {
		for _, addr := range b.addrs {
			text, err := bench.Ask(ctx, addr, '$', "CLUSTER", "INFO")
			if err != nil {
				return false, err
			}
			if missing = bench.Whole(text, len(b.addrs)); missing != nil {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil && missing != nil {
		err = fmt.Errorf("compare: %s: a node %w, after %s", b.s.Name, missing, meetPatience)
	}
	return err
}

// poll calls so until it returns true or an error, or ctx is done.
func poll(ctx context.Context, so func() (bool, error)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// cpu is the processor time that the processes have used so far.
func (b *broker) cpu() (sum time.Duration) {
	for _, p := range b.procs {
		sum += processCPU(p.PID())
	}
	return sum
}

// resident is the memory that the processes have, in bytes.
func (b *broker) resident() (sum int64) {
	for _, p := range b.procs {
		sum += processMemory(p.PID())
	}
	return sum
}

// log is the end of what the processes logged.
func (b *broker) log() string {
	var text strings.Builder
	for _, p := range b.procs {
		text.WriteString(p.Log())
	}
	return text.String()
}

// freePort returns a port that nobody listens on now, and neither on that of
// the bus that goes with it.
func freePort() (int, error) {
	const tries = 100
	for range tries {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if port+busOffset > 65535 {
			continue
		}
		bus, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port+busOffset)))
		if err == nil {
			_ = bus.Close()
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free pair of ports in %d tries", tries)
}
