package acl

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// Rights is a set of commands.
type Rights uint64

// open is the category of commands that whoever is logged in may run.
const open = "open"

// Categories are the names of the groups of commands, without their @.
var Categories = []string{"produce", "consume", "inspect", "admin"}

// free are the commands that whoever is logged in may run. One that is neither here
// nor below only who may do everything may: it is not open because it was forgotten.
var free = []string{
	"auth", "client", "command", "discard", "echo", "exec", "hello", "multi", "ping", "quit", "readonly", "reset", "select", "time",
}

// protected are the commands that need a right, with their category. A name with
// a bar is that of a subcommand, which is not what the command is.
var protected = []struct{ name, category string }{
	{"addjob", "produce"},

	{"getjob", "consume"},
	{"ackjob", "consume"},
	{"fastack", "consume"},
	{"nack", "consume"},
	{"working", "consume"},
	{"bury", "consume"},
	{"enqueue", "consume"},
	{"dequeue", "consume"},

	{"info", "inspect"},
	{"show", "inspect"},
	{"qlen", "inspect"},
	{"qpeek", "inspect"},
	{"qstat", "inspect"},
	{"qscan", "inspect"},
	{"jscan", "inspect"},
	{"cluster|info", "inspect"},
	{"cluster|nodes", "inspect"},
	{"cluster|myid", "inspect"},

	{"deljob", "admin"},
	{"kick", "admin"},
	{"kickjob", "admin"},
	{"promote", "admin"},
	{"pause", "admin"},
	{"qpurge", "admin"},
	{"loadjob", "admin"},
	{"acl", "admin"},
	{"acl|whoami", open},
	{"backup", "admin"},
	{"bgrewriteaof", "admin"},
	{"client|list", "admin"},
	{"client|kill", "admin"},
	{"client|pause", "admin"},
	{"cluster", "admin"},
	{"config", "admin"},
	{"debug", "admin"},
	{"latency", "admin"},
	{"monitor", "admin"},
	{"shutdown", "admin"},
	{"slowlog", "admin"},
}

// byName has the rights of one command each, 0 for those that are open.
var byName, byCategory, everything = index()

func index() (byName, byCategory map[string]Rights, everything Rights) {
	byName, byCategory = map[string]Rights{}, map[string]Rights{}
	for i, p := range protected {
		var right Rights
		if p.category != open {
			right = 1 << i
		}
		byName[p.name] = right
		byCategory[p.category] |= right
		everything |= right
	}
	return byName, byCategory, everything
}

// Of returns the right that a command needs, 0 if none, and its name with the
// subcommand if that is what counts. Both are in lower case; sub is "" for none.
func Of(command, sub string) (right Rights, name string) {
	if sub != "" {
		if right, ok := byName[command+"|"+sub]; ok {
			return right, command + "|" + sub
		}
	}
	right, ok := byName[command]
	if !ok && !slices.Contains(free, command) {
		right = everything
	}
	return right, command
}

// Split reports whether subcommands of a command need other rights than it does.
func Split(command string) bool { return split[command] }

// split are those commands.
var split = func() map[string]bool {
	m := map[string]bool{}
	for _, p := range protected {
		if command, _, ok := strings.Cut(p.name, "|"); ok {
			m[command] = true
		}
	}
	return m
}()

// InCategory returns the names of the commands of a category, sorted; ok is false
// if there is no such category.
func InCategory(category string) (names []string, ok bool) {
	if !slices.Contains(Categories, category) {
		return nil, false
	}
	for _, p := range protected {
		if p.category == category {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names, true
}

// named returns the rights that +word and -word are about.
func named(word string) (Rights, error) {
	if category, ok := strings.CutPrefix(word, "@"); ok {
		switch r, ok := byCategory[category]; {
		case category == "all":
			return everything, nil
		case ok && category != open:
			return r, nil
		}
		return 0, fmt.Errorf("there is no category @%s; known are @all, @%s", category, strings.Join(Categories, ", @"))
	}
	sum, known := Rights(0), false
	for name, r := range byName {
		if name == word || strings.HasPrefix(name, word+"|") {
			sum, known = sum|r, true
		}
	}
	if !known {
		return 0, fmt.Errorf("there is no command '%s' that needs a right", word)
	}
	return sum, nil
}

// String returns the rules that make these rights from none: whole categories
// where it can, then single commands.
func (r Rights) String() string {
	if r == everything {
		return "+@all"
	}
	words := []string{"-@all"}
	for _, c := range Categories {
		if all := byCategory[c]; r&all == all {
			words = append(words, "+@"+c)
			r &^= all
		}
	}
	for ; r != 0; r &= r - 1 {
		words = append(words, "+"+protected[bits.TrailingZeros64(uint64(r))].name)
	}
	return strings.Join(words, " ")
}
