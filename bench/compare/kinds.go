package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/disqo/disqo/bench"
)

// kind is a kind of broker.
type kind struct {
	protocol string   // of package load
	program  string   // found in PATH unless the user says where it is
	count    []string // a command whose answer is how many jobs there are, or has it in registered_jobs; nil: it cannot be asked
	cluster  bool     // nodes of it make a cluster by CLUSTER MEET
	scraped  bool     // its metrics are taken each second
	args     func(port int, dir, policy string) []string
}

var kinds = map[string]kind{
	"disqo":  {protocol: "disque", program: "disqo", count: []string{"INFO"}, cluster: true, args: roomy},
	"disque": {protocol: "disque", program: "disque-server", count: []string{"INFO"}, cluster: true, args: roomy},
	"scraped": {protocol: "disque", program: "disqo", count: []string{"INFO"}, cluster: true, scraped: true, args: func(port int, dir, policy string) []string {
		return append(roomy(port, dir, policy), "--http-port", "0")
	}},
	"list":   {protocol: "list", program: "redis-server", count: []string{"LLEN", queue}, args: redis},
	"stream": {protocol: "stream", program: "redis-server", count: []string{"XLEN", queue}, args: redis},
	"beanstalkd": {protocol: "beanstalkd", program: "beanstalkd", args: func(port int, dir, policy string) []string {
		args := []string{"-l", host, "-p", strconv.Itoa(port)}
		switch policy {
		case always:
			return append(args, "-b", dir, "-f", "0")
		case everySecond:
			return append(args, "-b", dir, "-f", "1000")
		}
		return args
	}},
}

const (
	host  = "127.0.0.1"
	queue = "bench"
)

// Policies of a log.
const (
	memory      = "memory" // none
	everySecond = "everysec"
	always      = "always"
)

var policies = []string{memory, everySecond, always}

func appendOnly(policy string) []string {
	if policy == memory {
		return []string{"--appendonly", "no"}
	}
	return []string{"--appendonly", "yes", "--appendfsync", policy}
}

// roomy bounds memory far above what the jobs need, so that no measurement comes near
// the levels.
func roomy(port int, dir, policy string) []string {
	return bench.Flags(host, port, dir, append(appendOnly(policy), "--maxmemory", "16gb")...)
}

// redis keeps no snapshots: a log is what is compared.
func redis(port int, dir, policy string) []string {
	return bench.Flags(host, port, dir, append(appendOnly(policy), "--save", "")...)
}

// System is a broker to measure.
type System struct {
	Name string // in the report
	kind kind
	path string   // of its binary
	addr []string // of nodes that run already; none are started then
}

// ParseSystems reads a list of systems, separated by commas, each
// [name:]kind[=path or @host:port]: "reference:disque=/usr/bin/disque-server,list".
func ParseSystems(text string) (systems []System, err error) {
	for item := range strings.SplitSeq(text, ",") {
		if item == "" {
			continue
		}
		s, err := parseSystem(item)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(systems, func(o System) bool { return o.Name == s.Name }) {
			return nil, fmt.Errorf("compare: there are two systems %q; name one of them, as in other:%s", s.Name, item)
		}
		systems = append(systems, s)
	}
	return systems, nil
}

func parseSystem(item string) (s System, err error) {
	what, path, hasPath := strings.Cut(item, "=")
	if !hasPath {
		var addr string
		var runs bool
		if what, addr, runs = strings.Cut(item, "@"); runs {
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return s, fmt.Errorf("compare: %q: %w", item, err)
			}
			s.addr = []string{addr}
		}
	}
	name, of, named := strings.Cut(what, ":")
	if !named {
		of = name
	}
	k, ok := kinds[of]
	if !ok {
		return s, fmt.Errorf("compare: there is no kind of broker %q; there are %s", of, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	s.Name, s.kind = name, k
	if s.addr != nil {
		return s, nil
	}
	if path == "" {
		path = k.program
	}
	if s.path, err = exec.LookPath(path); err != nil {
		return s, fmt.Errorf("compare: %s: %w; say where it is, as in %s=/path/to/%s", name, err, what, k.program)
	}
	return s, nil
}

var errUncounted = errors.New("compare: it cannot be asked how many jobs it has")

// jobs asks a broker how many jobs it has.
func (k kind) jobs(ctx context.Context, addr string) (int, error) {
	if k.count == nil {
		return 0, errUncounted
	}
	if k.count[0] != "INFO" {
		text, err := bench.Ask(ctx, addr, ':', k.count...)
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(text)
	}
	text, err := bench.Ask(ctx, addr, '$', "INFO", "jobs")
	if err != nil {
		return 0, err
	}
	n := bench.Field(text, "registered_jobs")
	if n == "" {
		return 0, errUncounted
	}
	return strconv.Atoi(n)
}
