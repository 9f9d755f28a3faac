package config

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/match"
)

// Bounds on the pattern of CONFIG GET, so that a hostile one costs next to
// nothing: its length, and the matching steps for each byte of a name.
const (
	patternBytesMax = 256
	patternStepsMax = 64
)

// Hook is told of a change before it happens; name is the directive in lower
// case, several with spaces between, or "" if Reload changes whatever it finds. An
// error vetoes the change and is what the client is told. A hook runs under the lock
// of the Set: it must not call Update, Rewrite or OnChange.
type Hook func(name string, old, new *Config) error

// Pair is a directive and its value as CONFIG GET shows it.
type Pair struct{ Name, Value string }

// answered are parameters that clients ask for though they are no directives:
// redis-benchmark does not start without an answer to "save".
var answered = []Pair{{Name: "save", Value: ""}}

// Set holds the live configuration. All methods may be called from any goroutine.
type Set struct {
	current atomic.Pointer[Config]
	file    string   // absolute; "" = none. Never changes.
	args    []string // what Load was given. Never changes.

	mu    sync.Mutex // held by whoever changes current, hooks or the file
	hooks []Hook
}

// New returns a Set that starts with a copy of c and has no file.
func New(c *Config) *Set {
	own := *c
	s := new(Set)
	s.current.Store(&own)
	return s
}

// Get returns the current snapshot: one atomic load.
func (s *Set) Get() *Config { return s.current.Load() }

// File returns the absolute path of the configuration file, "" when there is none.
func (s *Set) File() string { return s.file }

// OnChange adds a hook. Hooks are called in the order in which they were added;
// when one vetoes, those before it have seen a change that does not happen, so
// one that may veto should be added before those that act.
func (s *Set) OnChange(hook Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, hook)
}

// Update sets directives, as CONFIG SET does: a name, its value, and so on, all of
// them or none. The error is an *UnknownError when there is no such directive or it
// cannot be set at run time, an *InvalidError when it does not take the value, or
// wraps a hook's veto. On error nothing has changed.
func (s *Set) Update(pairs ...string) error {
	var names []string
	for i := 0; i < len(pairs); i += 2 {
		d := lookup(pairs[i])
		if d == nil || !d.has(settable) {
			return &UnknownError{Name: pairs[i]}
		}
		names = append(names, d.name)
	}
	var wrong error
	err := s.change(strings.Join(names, " "), func(c *Config) error {
		for i := 0; i < len(pairs) && wrong == nil; i += 2 {
			wrong = lookup(pairs[i]).apply(c, pairs[i], pairs[i+1:i+2])
		}
		return wrong
	})
	if err != nil && wrong == nil {
		err = fmt.Errorf("CONFIG SET %s: %w", strings.Join(names, " "), err)
	}
	return err
}

// UpdateUsers has change set the users, and requirepass, which is a password of
// one; an error of its own is returned as it is. It is called under the lock of
// the Set.
func (s *Set) UpdateUsers(change func(*Config) error) error { return s.change("user", change) }

// change puts a changed configuration in force, unless a hook vetoes.
func (s *Set) change(name string, how func(*Config) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.Get()
	changed := *old
	if err := how(&changed); err != nil {
		return err
	}
	for _, hook := range s.hooks {
		if err := hook(name, old, &changed); err != nil {
			return err
		}
	}
	s.current.Store(&changed)
	return nil
}

// Match returns the readable directives whose names match a glob pattern (*, ?
// and \, any case), as CONFIG GET does: Disque's in Disque's order, then ours.
func (s *Set) Match(pattern string) []Pair {
	if len(pattern) > patternBytesMax {
		return nil
	}
	pattern = strings.ToLower(pattern)
	c := s.Get()
	var pairs []Pair
	for i := range table {
		if d := &table[i]; d.has(readable) && matches(d.name, pattern) {
			pairs = append(pairs, Pair{Name: d.name, Value: d.show(c)})
		}
	}
	for _, p := range answered {
		if matches(p.Name, pattern) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func matches(name, pattern string) bool {
	ok, _ := match.MatchLimit(name, pattern, patternStepsMax)
	return ok
}
