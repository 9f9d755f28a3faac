package config

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The order in which the reference emits CONFIG GET *, from disque-spec.md 3.11.
const referenceOrder = `requirepass unixsocket logfile pidfile maxmemory maxmemory-samples timeout
auto-aof-rewrite-percentage auto-aof-rewrite-min-size slowlog-log-slower-than latency-monitor-threshold
slowlog-max-len port tcp-backlog databases maxclients watchdog-period hz cluster-node-timeout tcp-keepalive
no-appendfsync-on-rewrite daemonize activerehashing aof-rewrite-incremental-fsync aof-load-truncated
aof-enqueue-jobs-once maxmemory-policy loglevel appendfsync syslog-facility appendonly dir
client-output-buffer-limit unixsocketperm bind`

// What the reference lets CONFIG SET change, from the same place.
const referenceSettable = `requirepass maxclients appendonly dir client-output-buffer-limit
aof-rewrite-incremental-fsync aof-load-truncated activerehashing tcp-keepalive aof-enqueue-jobs-once
maxmemory-samples timeout auto-aof-rewrite-percentage auto-aof-rewrite-min-size slowlog-log-slower-than
slowlog-max-len latency-monitor-threshold cluster-node-timeout hz watchdog-period maxmemory loglevel
maxmemory-policy appendfsync`

// Ours that CONFIG GET does not show.
var hidden = []string{"cluster-secret", "cluster-secret-also", "user"}

func TestMatchOrder(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range New(Default()).Match("*") {
		names = append(names, p.Name)
	}
	reference := strings.Fields(referenceOrder)
	require.Equal(t, reference, names[:len(reference)])
	require.Equal(t, "protected-mode", names[len(reference)])
	require.Equal(t, "save", names[len(names)-1])
	require.Len(t, names, len(reference)+len(ourDirectives)-len(hidden)+1)
}

func TestReferenceSettable(t *testing.T) {
	t.Parallel()
	var settables []string
	for _, d := range referenceDirectives {
		if d.has(settable) {
			settables = append(settables, d.name)
		}
	}
	require.ElementsMatch(t, strings.Fields(referenceSettable), settables)
}

func TestMatchPatterns(t *testing.T) {
	t.Parallel()
	s := New(Default())
	require.Equal(t, []Pair{{"maxmemory", "1073741824"}, {"maxmemory-samples", "5"}, {"maxmemory-policy", "acks"}}, s.Match("maxmemory*"))
	require.Equal(t, []Pair{{"hz", "10"}}, s.Match("?z"))
	require.Equal(t, []Pair{{"save", ""}}, s.Match("save"))
	require.Equal(t, []Pair{{"appendonly", "no"}}, s.Match("APPENDONLY"))
	for _, pattern := range []string{"", "nosuch", "appendfilename", "cluster-config-file", "include", `\`, `*\`, "\xff*", strings.Repeat("*", 1000)} {
		require.Empty(t, s.Match(pattern), "%q", pattern)
	}
	require.NotPanics(t, func() { s.Match(strings.Repeat("*a?", 80)) })
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	s := New(Default())
	before := s.Get()
	require.NoError(t, s.Update("HZ", "9999"))
	require.Equal(t, 500, s.Get().HZ)
	require.Equal(t, 10, before.HZ, "a snapshot never changes")
	require.NoError(t, s.Update("maxmemory", "3mb"))
	require.EqualValues(t, 3<<20, s.Get().MaxMemory)
	require.NoError(t, s.Update("client-output-buffer-limit", "normal 1mb 0 0"))
	require.Equal(t, OutputLimit{Hard: 1 << 20}, s.Get().ClientOutputBufferLimit)
	require.NoError(t, s.Update("requirepass", "two words"))
	require.Equal(t, "two words", s.Get().RequirePass)
	require.NoError(t, s.Update("requirepass", ""))
	require.Empty(t, s.Get().RequirePass)
	require.NoError(t, s.Update("appendonly", "no"))
	dir := t.TempDir()
	require.NoError(t, s.Update("dir", dir))
	require.Equal(t, dir, s.Get().Dir)
}

func TestUpdateErrors(t *testing.T) {
	t.Parallel()
	s := New(Default())
	before := s.Get()
	for _, name := range []string{"nosuch", "Port", "bind", "rename-command", "include", "save", "no-appendfsync-on-rewrite", ""} {
		var unknown *UnknownError
		require.ErrorAs(t, s.Update(name, "1"), &unknown, name)
		require.Equal(t, name, unknown.Name, "as typed")
	}
	for name, value := range map[string]string{"Hz": "x", "maxmemory": "lots", "appendonly": "maybe", "dir": "/no/such"} {
		var invalid *InvalidError
		require.ErrorAs(t, s.Update(name, value), &invalid)
		require.Equal(t, name, invalid.Name, "as typed")
		require.Equal(t, value, invalid.Value)
	}
	require.Same(t, before, s.Get())
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := New(Default())
	var calls []string
	errVeto := errors.New("not enough file descriptors")
	s.OnChange(func(name string, old, new *Config) error {
		calls = append(calls, "first "+name)
		require.Same(t, old, s.Get(), "called before the swap")
		if new.MaxClients > 20000 {
			return errVeto
		}
		return nil
	})
	s.OnChange(func(name string, old, new *Config) error {
		calls = append(calls, "second "+name)
		require.NotEqual(t, old, new)
		return nil
	})
	require.NoError(t, s.Update("MaxClients", "15000"))
	require.ErrorIs(t, s.Update("maxclients", "30000"), errVeto)
	require.Error(t, s.Update("maxclients", "x"))
	require.Equal(t, []string{"first maxclients", "second maxclients", "first maxclients"}, calls)
	require.Equal(t, 15000, s.Get().MaxClients)
}

func TestNewCopies(t *testing.T) {
	t.Parallel()
	c := Default()
	s := New(c)
	c.Port = 1
	require.Equal(t, 7711, s.Get().Port)
}

// For the race detector: readers never wait and never see half a change.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, "hz 10\n")
	var wg sync.WaitGroup
	for _, value := range []string{"normal 1 1 1", "normal 2 2 2"} {
		wg.Go(func() {
			for range 100 {
				if s.Update("client-output-buffer-limit", value) != nil {
					t.Error("refused")
				}
			}
		})
		wg.Go(func() {
			for range 100 {
				if l := s.Get().ClientOutputBufferLimit; l.Hard != l.Soft && l.Hard != 64*mb {
					t.Error("torn")
				}
				s.Match("*")
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			if err := s.Rewrite(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	require.NoError(t, s.Rewrite())
	require.Equal(t, s.Get(), reload(t, s))
}
