package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clusterNode is one node: its place in the network, its files, its process.
type clusterNode struct {
	index int
	addr  string // host:port
	dir   string // its log is in the file log there
	log   *os.File
	proc  *Process // nil while it is dead
}

// nodes are a cluster on one machine.
type nodes struct {
	path       string // of the binary
	directives []string
	net        *fabric
	all        []*clusterNode
}

// startNodes starts a cluster with its files below dir, and waits until each
// node knows and reaches all others. It ends with close.
func startNodes(ctx context.Context, o *ClusterOptions, dir string) (ns *nodes, err error) {
	ns = &nodes{directives: o.Directives}
	defer func() {
		if err != nil {
			ns.close()
		}
	}()
	if ns.path, err = exec.LookPath(o.Server); err != nil {
		return ns, fmt.Errorf("bench: %w", err)
	}
	if ns.path, err = filepath.Abs(ns.path); err != nil { // as it is started in another directory
		return ns, fmt.Errorf("bench: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return ns, fmt.Errorf("bench: %w", err)
	}
	if ns.net, err = newFabric(o.Nodes); err != nil {
		return ns, err
	}
	for i := range o.Nodes {
		n := &clusterNode{index: i, addr: net.JoinHostPort(ns.net.addr(i), strconv.Itoa(clusterPort))}
		n.dir = filepath.Join(dir, fmt.Sprintf("node%d", i+1))
		if err = os.MkdirAll(n.dir, 0o755); err != nil {
			return ns, fmt.Errorf("bench: %w", err)
		}
		if n.log, err = os.Create(filepath.Join(n.dir, "log")); err != nil {
			return ns, fmt.Errorf("bench: %w", err)
		}
		ns.all = append(ns.all, n)
		if err = ns.start(ctx, i); err != nil {
			return ns, err
		}
	}
	return ns, ns.meet(ctx)
}

// close ends all nodes and the network.
func (ns *nodes) close() {
	for _, n := range ns.all {
		ns.kill(n.index)
		_ = n.log.Close()
	}
	if ns.net != nil {
		ns.net.close()
	}
}

// start starts node i and waits for nothing. It dies with ctx.
func (ns *nodes) start(ctx context.Context, i int) error {
	n := ns.all[i]
	p := newProcess(ctx, Program{Path: ns.path, Args: Flags(ns.net.addr(i), clusterPort, n.dir, ns.directives...), Dir: n.dir, Addr: n.addr})
	out := io.MultiWriter(p.log, n.log)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.begin(func(c *exec.Cmd) error { return ns.net.start(i, c) }); err != nil {
		return err
	}
	n.proc = p
	return nil
}

// kill ends node i by SIGKILL, if it runs.
func (ns *nodes) kill(i int) {
	if n := ns.all[i]; n.proc != nil {
		n.proc.Kill()
		n.proc = nil
	}
}

// ended returns an error if a node ended that was not killed.
func (ns *nodes) ended() error {
	for _, n := range ns.all {
		if n.proc == nil {
			continue
		}
		select {
		case <-n.proc.Exited():
			return fmt.Errorf("bench: node %d ended by itself with %v; its log ends:\n%s", n.index+1, n.proc.cmd.ProcessState, n.proc.Log())
		default:
		}
	}
	return nil
}

// Between two looks at the processes.
const clusterLook = 50 * time.Millisecond

// wait lets time pass as long as no node ends by itself. It calls look now and
// then.
func (ns *nodes) wait(ctx context.Context, d time.Duration, look func()) error {
	tick := time.NewTicker(clusterLook)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < d; {
		look()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if err := ns.ended(); err != nil {
			return err
		}
	}
	return nil
}

// terminate ends node i by SIGTERM. An error says that it did not end, or not well.
func (ns *nodes) terminate(i int) error {
	n := ns.all[i]
	p := n.proc
	n.proc = nil
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("bench: node %d: %w", i+1, err)
	}
	late := time.NewTimer(stopPatience)
	defer late.Stop()
	select {
	case <-p.Exited():
	case <-late.C:
		p.Kill()
		return fmt.Errorf("bench: node %d does not end within %s after SIGTERM; its log ends:\n%s", i+1, stopPatience, p.Log())
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("bench: node %d ends after SIGTERM with %v; its log ends:\n%s", i+1, p.cmd.ProcessState, p.Log())
	}
	return nil
}

// restart ends nodes by SIGTERM and starts them again, each when the one before is there
// and reaches all others.
func (ns *nodes) restart(ctx context.Context, list []int) error {
	for _, i := range list {
		if err := ns.terminate(i); err != nil {
			return err
		}
		if err := ns.start(ctx, i); err != nil {
			return err
		}
		if err := ns.until(ctx, func() error { return ns.allWhole(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// strike begins a fault.
func (ns *nodes) strike(ctx context.Context, s *strike) error {
	var errs []error
	if len(s.cut) > 0 {
		errs = append(errs, ns.net.cut(s.cut))
	}
	for _, i := range s.kill {
		ns.kill(i)
	}
	for _, i := range s.freeze {
		errs = append(errs, ns.all[i].proc.freeze(true))
	}
	return errors.Join(append(errs, ns.restart(ctx, s.restart))...)
}

// heal ends a fault.
func (ns *nodes) heal(ctx context.Context, s *strike) error {
	var errs []error
	if len(s.cut) > 0 {
		errs = append(errs, ns.net.cut(nil))
	}
	for _, i := range s.kill {
		errs = append(errs, ns.start(ctx, i))
	}
	for _, i := range s.freeze {
		errs = append(errs, ns.all[i].proc.freeze(false))
	}
	return errors.Join(errs...)
}

// ask sends node i a command on a connection of its own and returns the reply,
// which must be of the given kind.
func (ns *nodes) ask(ctx context.Context, i int, kind byte, args ...string) (string, error) {
	c, err := ns.net.dial(ctx, ns.all[i].addr, dialPatience)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.do(kind, args...)
}

// meet introduces the first node to all others and waits until the cluster is
// whole.
func (ns *nodes) meet(ctx context.Context) error {
	serves := func(i int) error {
		_, err := ns.ask(ctx, i, ':', "QLEN", clusterQueue)
		return err
	}
	if err := ns.until(ctx, func() error { return ns.every(serves) }); err != nil {
		return err
	}
	for i := 1; i < len(ns.all); i++ {
		if _, err := ns.ask(ctx, 0, '+', "CLUSTER", "MEET", ns.net.addr(i), strconv.Itoa(clusterPort)); err != nil {
			return fmt.Errorf("bench: CLUSTER MEET: %w", err)
		}
	}
	return ns.until(ctx, func() error { return ns.allWhole(ctx) })
}

// every does something with each node, until an error.
func (ns *nodes) every(do func(i int) error) error {
	for i := range ns.all {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// allWhole returns an error unless each node knows all and reaches all others.
func (ns *nodes) allWhole(ctx context.Context) error {
	return ns.every(func(i int) error { return ns.whole(ctx, i) })
}

// whole returns an error unless node i knows all nodes and reaches all others.
func (ns *nodes) whole(ctx context.Context, i int) error {
	text, err := ns.ask(ctx, i, '$', "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	if err := Whole(text, len(ns.all)); err != nil {
		return fmt.Errorf("node %d %w", i+1, err)
	}
	return nil
}

// Whole returns an error unless the node that answered CLUSTER INFO so knows so
// many nodes, itself included, and reaches all others.
func Whole(info string, nodes int) error {
	known, reached := Field(info, "cluster_known_nodes"), Field(info, "cluster_reachable_nodes")
	if known != strconv.Itoa(nodes) || reached != strconv.Itoa(nodes-1) {
		return fmt.Errorf("knows %s nodes, itself included, of %d, and reaches %s others", known, nodes, reached)
	}
	return nil
}

// until waits until something holds, no node ended, and returns the last error
// if it does not within startPatience.
func (ns *nodes) until(ctx context.Context, holds func() error) error {
	tick := time.NewTicker(drainLook)
	defer tick.Stop()
	begun := time.Now()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if ended := ns.ended(); ended != nil {
			return ended
		}
		if time.Since(begun) > startPatience {
			return fmt.Errorf("bench: after %s: %w", startPatience, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Field returns a field of INFO, or "" if there is none.
func Field(info, name string) string {
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && k == name {
			return v
		}
	}
	return ""
}
