package reference

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/disqo/disqo/server/servertest"
)

const (
	startPatience = 30 * time.Second      // until a node answers PING
	startPoll     = 10 * time.Millisecond // between two looks at a node that starts
	startTries    = 20                    // other ports are tried if somebody took these first
	dialPatience  = 5 * time.Second       // to connect to a node on this machine

	// Client ports are looked for here and bus ports 10,000 above: below the
	// range that the system takes for port 0, and away from what the suite of
	// the reference takes (25000 and up, and their buses).
	portFirst, portCount = 12000, 2900
	busOffset            = 10000
)

// foreign names the program to be tested instead of ours.
func foreign() string { return os.Getenv("DISQO_TEST_SERVER") }

// program returns the path of the broker to be tested.
func program(t testing.TB) string {
	if path := foreign(); path != "" {
		return path
	}
	return servertest.Binary(t)
}

// node is a broker in a process of its own that may be killed and started
// again, on the same port and directory.
type node struct {
	program string
	work    string // the directory it is started in
	name    string // of its own directory, below work
	port    int
	lives   int // how often it was started

	cmd    *exec.Cmd
	exited chan struct{} // closed when the process is gone
}

// newNode writes a configuration and starts a node on free ports.
func newNode(program, work, name string, directives ...string) (*node, error) {
	n := &node{program: program, work: work, name: name}
	if err := os.Mkdir(filepath.Join(work, name), 0o755); err != nil {
		return nil, err
	}
	var err error
	for range startTries {
		if n.port, err = freePort(); err != nil {
			return nil, err
		}
		lines := append([]string{"port " + strconv.Itoa(n.port), "dir ./" + name, "logfile log.txt", "loglevel notice"}, directives...)
		if err = os.WriteFile(filepath.Join(work, n.config()), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return nil, err
		}
		if err = n.start(); err == nil {
			return n, nil
		}
	}
	return nil, err
}

// config is the configuration file, as the node is told it.
func (n *node) config() string { return filepath.Join(n.name, "node.conf") }

func (n *node) addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// alive reports whether the node was not killed.
func (n *node) alive() bool { return n.cmd != nil }

// crashed reports whether a node that was started is gone without a kill.
func (n *node) crashed() bool {
	select {
	case <-n.exited:
		return true
	default:
		return false
	}
}

// launch starts the process and waits for nothing.
func (n *node) launch() error {
	out, err := os.OpenFile(filepath.Join(n.work, n.name, "out.txt"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }() // the process has its own
	cmd, exited := exec.Command(n.program, n.config()), make(chan struct{})
	cmd.Dir, cmd.Stdout, cmd.Stderr = n.work, out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	n.cmd, n.exited = cmd, exited
	n.lives++
	go func() {
		_ = cmd.Wait() // it is killed, or ends too early, which ready says
		close(exited)
	}()
	return nil
}

// ready waits until the node answers PING, as the reference's suite asks it.
func (n *node) ready() error {
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for end := time.Now().Add(startPatience); ; {
		err := n.ping()
		if err == nil {
			return nil
		}
		select {
		case <-n.exited:
			n.cmd = nil
			return fmt.Errorf("%s ended while it started:\n%s", n.name, n.log())
		case <-tick.C:
		}
		if time.Now().After(end) {
			n.kill()
			return fmt.Errorf("%s does not serve after %s: %w\n%s", n.name, startPatience, err, n.log())
		}
	}
}

// start starts the process and waits until it serves.
func (n *node) start() error {
	if err := n.launch(); err != nil {
		return err
	}
	return n.ready()
}

// kill ends the process with SIGKILL and waits until it is gone; its port is
// then free.
func (n *node) kill() {
	if !n.alive() {
		return
	}
	_ = n.cmd.Process.Kill()
	<-n.exited // the kernel does not refuse
	n.cmd = nil
}

// ping sends an inline PING with the odd line end of the reference's suite.
func (n *node) ping() error {
	nc, err := net.DialTimeout("tcp", n.addr(), dialPatience)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(dialPatience)); err != nil {
		return err
	}
	if _, err := nc.Write([]byte("PING\r\n\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(nc).ReadString('\n')
	if err == nil && line != "+PONG\r\n" {
		err = fmt.Errorf("PING was answered %q", line)
	}
	return err
}

// log returns the end of what the node logged and printed.
func (n *node) log() string {
	const kept = 2 << 10
	var text strings.Builder
	for _, file := range []string{"log.txt", "out.txt"} {
		b, err := os.ReadFile(filepath.Join(n.work, n.name, file))
		if err != nil || len(b) == 0 {
			continue
		}
		fmt.Fprintf(&text, "--- %s/%s\n%s\n", n.name, file, b[max(0, len(b)-kept):])
	}
	return text.String()
}

// portTurn is where the next search for a port begins.
var portTurn = os.Getpid() * 37

// freePort returns a client port that is free together with its bus port, on
// TCP and, for the bus, on UDP.
func freePort() (int, error) {
	for range portCount {
		portTurn++
		if port := portFirst + portTurn%portCount; free(port) {
			return port, nil
		}
	}
	return 0, errors.New("no pair of ports is free")
}

func free(port int) bool {
	for _, p := range []int{port, port + busOffset} {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	u, err := net.ListenPacket("udp", ":"+strconv.Itoa(port+busOffset))
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}
