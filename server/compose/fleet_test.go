package compose_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	askTimeout = 3 * time.Second
	lookEvery  = 100 * time.Millisecond // while waiting for something
)

// fleet is where the nodes are now. A port changes with each start of a
// container and with each return to its network.
type fleet struct {
	p    *project
	list atomic.Pointer[[]container]
}

// refresh asks the engine and returns the nodes.
func (f *fleet) refresh() []container {
	list := f.p.containers()
	f.list.Store(&list)
	return list
}

// addrs returns the addresses at which nodes serve clients.
func (f *fleet) addrs() (addrs []string) {
	for _, c := range *f.list.Load() {
		if c.addr != "" {
			addrs = append(addrs, c.addr)
		}
	}
	return addrs
}

// node returns a node by its number.
func (f *fleet) node(number int) container {
	f.p.t.Helper()
	for _, c := range f.refresh() {
		if c.number == number {
			return c
		}
	}
	require.FailNow(f.p.t, "no such node", "%d", number)
	return container{}
}

// ask sends a command to a node and returns the reply as text.
func ask(addr string, args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	c := connect(addr)
	defer func() { _ = c.Close() }()
	v, err := c.Do(ctx, args...).Result()
	return fmt.Sprint(v), err
}

// must is ask for a node that has to answer.
func must(t *testing.T, addr string, args ...any) string {
	t.Helper()
	text, err := ask(addr, args...)
	require.NoError(t, err, "%v", args)
	return text
}

// field returns the value of a line "key:value" of INFO or CLUSTER INFO.
func field(text, key string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+":"); ok {
			return v
		}
	}
	return ""
}

// eventually waits until a condition is met, and returns how long it took. The
// condition returns "" or what is missing.
func eventually(t *testing.T, within time.Duration, what string, condition func() string) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		missing := condition()
		took := time.Since(begun)
		if missing == "" {
			return took
		}
		require.Less(t, took, within, "%s: %s", what, missing)
		time.Sleep(lookEvery)
	}
}

// whole waits until so many nodes run and each reaches all others.
func (f *fleet) whole(n int, within time.Duration) time.Duration {
	f.p.t.Helper()
	return eventually(f.p.t, within, "a whole cluster", func() string {
		nodes := f.refresh()
		if len(nodes) != n {
			return fmt.Sprintf("%d containers of %d", len(nodes), n)
		}
		for _, c := range nodes {
			if missing := c.whole(n); missing != "" {
				return missing
			}
		}
		return ""
	})
}

// whole returns "" if the node knows n nodes and reaches all others.
func (c container) whole(n int) string {
	if c.addr == "" {
		return c.name + " has no port"
	}
	info, err := ask(c.addr, "CLUSTER", "INFO")
	if err != nil {
		return fmt.Sprintf("%s: %v", c.name, err)
	}
	known, reached := field(info, "cluster_known_nodes"), field(info, "cluster_reachable_nodes")
	if known != fmt.Sprint(n) || reached != fmt.Sprint(n-1) {
		return fmt.Sprintf("%s knows %s nodes and reaches %s of the %d others", c.name, known, reached, n-1)
	}
	return ""
}

// empty waits until no node holds a job.
func (f *fleet) empty(within time.Duration) time.Duration {
	f.p.t.Helper()
	return eventually(f.p.t, within, "nodes without jobs", func() string {
		for _, c := range f.refresh() {
			if left, err := c.jobs(); err != nil || left != "0" {
				jobs, _ := ask(c.addr, "JSCAN", "0", "COUNT", "1000", "REPLY", "all")
				return fmt.Sprintf("%s holds %s, %v: %.2000s", c.name, left, err, jobs)
			}
		}
		return ""
	})
}

// jobs returns how many jobs the node holds.
func (c container) jobs() (string, error) {
	info, err := ask(c.addr, "INFO", "jobs")
	return field(info, "registered_jobs"), err
}
