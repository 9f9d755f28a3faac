package config

import (
	"slices"
	"strings"
)

// includeName is the one directive that is not a setting: it tells the loader
// to read another file. It is therefore known to the loader and not in the table.
const includeName = "include"

// flags say who may see and change a directive.
type flags uint

const (
	readable flags = 1 << iota // CONFIG GET shows it
	settable                   // CONFIG SET changes it
	secret                     // its value is never echoed in an error about a file
	inert                      // accepted for compatibility, no effect
	reloaded                   // Reload changes it, though CONFIG SET does not
)

// directive is one row of the table.
type directive struct {
	name  string // lower case
	flags flags
	codec // how text becomes a field of Config and back
	help  string
}

// has reports whether all flags of f are set.
func (d *directive) has(f flags) bool { return d.flags&f == f }

// apply parses args into c. name is the directive as the user typed it, for
// the error, which is always an *InvalidError. On error c is unchanged.
func (d *directive) apply(c *Config, name string, args []string) error {
	if err := d.parse(c, args); err != nil {
		return &InvalidError{Name: name, Value: strings.Join(args, " "), Why: err.Error(), Err: err}
	}
	return nil
}

// fileLines returns the directive as it stands in a configuration file: one
// line, or any number for a repeatable directive.
func (d *directive) fileLines(c *Config) []string {
	var lines []string
	for _, e := range d.entries(c) {
		lines = append(lines, d.line(e))
	}
	return lines
}

// line prints one entry as a line of a configuration file.
func (d *directive) line(e entry) string {
	return d.name + " " + joinArgs(e.args)
}

// table holds every directive, in the order in which CONFIG GET emits them.
var table = slices.Concat(referenceDirectives, ourDirectives)

// byName finds a directive by its lower-case name.
var byName = func() map[string]*directive {
	m := make(map[string]*directive, len(table))
	for i := range table {
		m[table[i].name] = &table[i]
	}
	return m
}()

// lookup finds a directive by its name in any case; nil = there is none.
func lookup(name string) *directive { return byName[strings.ToLower(name)] }

// Doc describes one directive to a user.
type Doc struct {
	Name     string
	Default  string   // as in a configuration file, "" = nothing is set
	Values   string   // unit and bounds, or the words it takes
	Words    []string // those words; nil if it takes anything else. Not to be written to
	Help     string   // one line
	Settable bool     // CONFIG SET can change it
}

// Directives describes every directive, sorted by name.
func Directives() []Doc {
	docs := []Doc{{Name: includeName, Values: "path", Help: "read another file here; relative to this file, else to the working directory"}}
	defaults := Default()
	defaults.Dir = "."
	for i := range table {
		docs = append(docs, table[i].doc(defaults))
	}
	slices.SortFunc(docs, func(a, b Doc) int { return strings.Compare(a.Name, b.Name) })
	return docs
}

func (d *directive) doc(defaults *Config) Doc {
	help := d.help
	if d.has(inert) {
		help += "; accepted for compatibility, no effect"
	}
	var def string
	if entries := d.entries(defaults); len(entries) > 0 && !slices.Equal(entries[0].args, []string{""}) {
		def = joinArgs(entries[0].args)
	}
	return Doc{Name: d.name, Default: def, Values: d.values, Words: d.words, Help: help, Settable: d.has(settable)}
}
