package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fabric is a network for a cluster on one machine. Each node lives in a
// network namespace of its own, with one interface, whose other end is a port
// of a bridge in one more namespace, the hub. Clients connect from the hub.
//
// Every node has a fixed table of its neighbours' Ethernet addresses. To cut a
// link, the sender's entry for the receiver is set to an address that nobody
// has: TCP, UDP and all else from the one to the other vanishes, in this
// direction only, and nobody is told. It needs the ip command and no filter.
//
// Namespaces have no names: they exist as long as a process in them or the
// fabric. All that is started in one dies with this process, so nothing
// stays, however it ends.
type fabric struct {
	hub   *netns
	nodes []*netns
}

// hubAddr is the clients' address.
const hubAddr = "10.231.0.254"

// newFabric makes a network for so many nodes, at most clusterNodesMax.
func newFabric(nodes int) (f *fabric, err error) {
	f = &fabric{}
	defer func() {
		if err != nil {
			f.close()
			err = fmt.Errorf("bench: a network for the cluster: %w", err)
		}
	}()
	if f.hub, err = newNetns(); err != nil {
		return f, err
	}
	wires := []string{
		"link set lo up", "link add br0 type bridge", "link set br0 up", "address add " + hubAddr + "/24 dev br0",
	}
	for i := range nodes {
		ns, err := newNetns()
		if err != nil {
			return f, err
		}
		f.nodes = append(f.nodes, ns)
		wires = append(wires,
			fmt.Sprintf("link add n%d type veth peer name eth0 netns %s", i, ns.path()),
			fmt.Sprintf("link set n%d master br0 up", i))
	}
	if err = f.hub.ip(wires); err != nil {
		return f, err
	}
	for i, ns := range f.nodes {
		if err = ns.ip([]string{
			"link set lo up", "link set eth0 address " + etherAddr(i), "link set eth0 up",
			"address add " + f.addr(i) + "/24 dev eth0",
		}); err != nil {
			return f, err
		}
	}
	return f, f.cut(nil)
}

// close gives the namespaces up.
func (f *fabric) close() {
	for _, ns := range append(f.nodes, f.hub) {
		if ns != nil {
			_ = ns.file.Close()
		}
	}
}

// addr is the IP address of node i.
func (f *fabric) addr(i int) string { return fmt.Sprintf("10.231.0.%d", i+1) }

// etherAddr is the Ethernet address of node i; nobody has that of -1.
func etherAddr(i int) string { return fmt.Sprintf("02:e7:00:00:00:%02x", i+1) }

// cut makes what goes over these links vanish, and heals all others.
func (f *fabric) cut(links []link) error {
	for from, ns := range f.nodes {
		var entries []string
		for to := range f.nodes {
			lladdr := etherAddr(to)
			if slices.Contains(links, link{from, to}) {
				lladdr = etherAddr(-1)
			}
			if to != from {
				entries = append(entries, fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", f.addr(to), lladdr))
			}
		}
		if err := ns.ip(entries); err != nil {
			return err
		}
	}
	return nil
}

// dial connects from the hub.
func (f *fabric) dial(ctx context.Context, addr string, timeout time.Duration) (c *conn, err error) {
	err = f.hub.do(func() error {
		c, err = dial(ctx, addr, timeout)
		return err
	})
	return c, err
}

// start starts a process in the namespace of node i.
func (f *fabric) start(i int, cmd *exec.Cmd) error {
	// The signal comes when the thread ends that starts the process; threads of
	// the Go runtime stay, once they are no longer locked.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return f.nodes[i].do(cmd.Start)
}

// freeze stops the process, or lets it go on.
func (p *Process) freeze(stop bool) error {
	if stop {
		return p.cmd.Process.Signal(syscall.SIGSTOP)
	}
	return p.cmd.Process.Signal(syscall.SIGCONT)
}

// netns is a network namespace.
type netns struct{ file *os.File }

const ownNetns = "/proc/thread-self/ns/net"

func newNetns() (*netns, error) {
	ns := &netns{}
	return ns, onThread(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			if errors.Is(err, unix.EPERM) {
				err = errors.New("a network namespace needs root, or CAP_SYS_ADMIN and CAP_NET_ADMIN")
			}
			return err
		}
		ns.file, err = os.Open(ownNetns)
		return err
	})
}

// path is what the namespace is called by as long as it is open here.
func (ns *netns) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.file.Fd()) }

// do runs f within the namespace: sockets that it opens and processes that it
// starts, in its own goroutine, belong to the namespace.
func (ns *netns) do(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// ip runs the commands of ip(8) within the namespace.
func (ns *netns) ip(commands []string) error {
	return ns.do(func() error {
		cmd := exec.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
		out, err := cmd.CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%w; it is in the package iproute2", err)
		}
		if err != nil {
			return fmt.Errorf("ip -batch: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	})
}

// onThread runs f in a goroutine that has its thread to itself, so that f may
// change the thread's namespace. The thread goes back home afterwards; one that
// cannot ends with its goroutine.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(ownNetns)
		if err == nil {
			err = f()
			if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			_ = home.Close()
		}
		done <- err
	}()
	return <-done
}
