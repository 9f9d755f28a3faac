package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrStdin is returned by Reload when the configuration came from standard input.
var ErrStdin = errors.New("the configuration came from standard input, which cannot be read again")

// Reload reads the file and the options again that Load was given, and puts in force
// what they say now of directives that can be changed while the node runs: all or
// nothing. changed are the names of those that were; waiting are those that differ,
// too, but only a restart changes. What CONFIG SET changed and CONFIG REWRITE did not
// write goes. Errors are those of Load and of Update, or ErrStdin.
func (s *Set) Reload() (changed, waiting []string, err error) {
	if len(s.args) > 0 && s.args[0] == "-" {
		return nil, nil, ErrStdin
	}
	fresh, err := load(s.args, strings.NewReader(""))
	if err != nil {
		return nil, nil, err
	}
	want := fresh.Get()
	err = s.change("", func(c *Config) error {
		for i := range table {
			d := &table[i]
			switch {
			case slices.Equal(d.fileLines(want), d.fileLines(c)):
			case !d.has(settable) && !d.has(reloaded):
				waiting = append(waiting, d.name)
			default:
				changed = append(changed, d.name)
				if err := d.copy(c, want); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return changed, waiting, nil
}

// copy gives c the value that the directive has in from.
func (d *directive) copy(c, from *Config) error {
	d.reset(c)
	for _, e := range d.entries(from) {
		if err := d.apply(c, d.name, e.args); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}
