package acl

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/match"
)

// Bounds on what one user is.
const (
	nameMax      = 128  // bytes
	passwordMax  = 512  // bytes, as of requirepass
	passwordsMax = 16   // of one user
	patternMax   = 1024 // bytes, as of a queue name by default
	patternsMax  = 128  // of one user
	stepsMax     = 64   // of matching, for each byte of a queue name
	shownMax     = 64   // bytes of a rule that an error repeats
)

// DefaultName is the user that a client is who has not said another name.
const DefaultName = "default"

// Hash is the SHA-256 of a password. Passwords are kept as nothing else; like
// Redis', it is quick to compute, so a password must be long to be hard to guess.
type Hash [sha256.Size]byte

// HashOf returns the hash of a password.
func HashOf(password []byte) Hash { return sha256.Sum256(password) }

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// User is what is known of a user.
type User struct {
	Name   string
	On     bool // may log in
	NoPass bool // needs no password, and takes any

	hashes []Hash
	rights Rights
	all    bool     // every queue
	queues []string // patterns of the queues; at most patternsMax
}

// NewUser returns a user of that name that is off, has no password and may do
// nothing but what everybody may.
func NewUser(name string) (*User, error) {
	if name == "" || len(name) > nameMax {
		return nil, fmt.Errorf("the name of a user has 1 to %d characters", nameMax)
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return nil, errors.New("the name of a user consists of printable ASCII characters, without spaces")
		}
	}
	return &User{Name: name}, nil
}

// Default is the user "default" as long as nobody changes it: on, without a
// password, and allowed everything.
var Default = &User{Name: DefaultName, On: true, NoPass: true, rights: everything, all: true}

// Nobody is a user who may do nothing.
var Nobody = &User{}

// RuleError says that a rule could not be read.
type RuleError struct {
	Rule string // without the password, if it has one
	Why  string
}

func (e *RuleError) Error() string { return fmt.Sprintf("'%s': %s", e.Rule, e.Why) }

// With returns the user with rules applied, one after the other:
//
//	on, off                          may log in, may not
//	>password, <password             adds a password, takes one away
//	#hash, !hash                     the same by its SHA-256 in hexadecimal
//	nopass, resetpass                needs no password; has none any more
//	~pattern, allkeys, resetkeys     adds queues by a glob pattern without blanks, all, none
//	+command, +@category, -...       adds commands, takes some away
//	allcommands, nocommands          +@all, -@all
//	reset                            as NewUser made it
//
// An error is a *RuleError.
func (u *User) With(rules ...string) (*User, error) {
	next := *u
	next.hashes, next.queues = slices.Clone(u.hashes), slices.Clone(u.queues)
	for _, rule := range rules {
		if err := next.apply(rule); err != nil {
			if rule != "" && strings.ContainsRune("><#!", rune(rule[0])) {
				rule = rule[:1] + "..."
			}
			return nil, &RuleError{rule[:min(len(rule), shownMax)], err.Error()}
		}
	}
	return &next, nil
}

func (u *User) apply(rule string) error {
	switch strings.ToLower(rule) {
	case "on":
		u.On = true
	case "off":
		u.On = false
	case "nopass":
		u.NoPass, u.hashes = true, nil
	case "resetpass":
		u.NoPass, u.hashes = false, nil
	case "allkeys":
		u.all, u.queues = true, nil
	case "resetkeys":
		u.all, u.queues = false, nil
	case "allcommands":
		u.rights = everything
	case "nocommands":
		u.rights = 0
	case "reset":
		*u = User{Name: u.Name}
	case "":
		return errors.New("a rule cannot be empty")
	default:
		return u.applySigned(rule[0], rule[1:])
	}
	return nil
}

// applySigned applies a rule that begins with a sign.
func (u *User) applySigned(sign byte, word string) error {
	switch sign {
	case '>', '<':
		if len(word) > passwordMax {
			return fmt.Errorf("a password has at most %d bytes", passwordMax)
		}
		return u.password(sign == '>', HashOf([]byte(word)))
	case '#', '!':
		var h Hash
		if n, err := hex.Decode(h[:], []byte(word[:min(len(word), hex.EncodedLen(len(h)))])); err != nil || n != len(h) || len(word) != hex.EncodedLen(n) {
			return fmt.Errorf("a hash of a password has %d hexadecimal digits", hex.EncodedLen(len(h)))
		}
		return u.password(sign == '#', h)
	case '~':
		return u.pattern(word)
	case '+', '-':
		r, err := named(strings.ToLower(word))
		if sign == '+' {
			u.rights |= r
		} else {
			u.rights &^= r
		}
		return err
	}
	return errors.New("syntax error: on, off, >password, <password, #hash, !hash, nopass, resetpass, ~queues, allkeys, resetkeys, " +
		"+command, +@category, -command, -@category, allcommands, nocommands or reset is expected")
}

func (u *User) password(add bool, h Hash) error {
	i := slices.Index(u.hashes, h)
	switch {
	case !add && i < 0:
		return errors.New("the user has no such password")
	case !add:
		if u.hashes = slices.Delete(u.hashes, i, i+1); len(u.hashes) == 0 {
			u.hashes = nil
		}
		return nil
	}
	u.NoPass = false
	if i < 0 {
		if len(u.hashes) >= passwordsMax {
			return fmt.Errorf("a user has at most %d passwords", passwordsMax)
		}
		u.hashes = append(u.hashes, h)
	}
	return nil
}

func (u *User) pattern(p string) error {
	switch {
	case p == "*":
		u.all, u.queues = true, nil
	case u.all || slices.Contains(u.queues, p):
	case p == "" || len(p) > patternMax:
		return fmt.Errorf("a pattern has 1 to %d bytes", patternMax)
	case strings.ContainsFunc(p, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("a pattern has no blanks and no control characters, as ACL LIST could not be read back: write ? for each of them")
	case len(u.queues) == patternsMax:
		return fmt.Errorf("a user has at most %d patterns", patternsMax)
	default:
		u.queues = append(u.queues, p)
	}
	return nil
}

// Has reports whether a password is the user's, in a time that tells nothing.
func (u *User) Has(h Hash) bool {
	found := 0
	for i := range u.hashes {
		found |= subtle.ConstantTimeCompare(u.hashes[i][:], h[:])
	}
	return found == 1
}

// Also returns the user with one more password, also if that is one too many.
func (u *User) Also(h Hash) *User {
	next := *u
	next.NoPass = false
	if !slices.Contains(u.hashes, h) {
		next.hashes = append(slices.Clone(u.hashes), h)
	}
	return &next
}

// Unlimited reports whether the user may run every command on every queue.
func (u *User) Unlimited() bool { return u.rights == everything && u.all }

// May reports whether the user has all of these rights.
func (u *User) May(r Rights) bool { return u.rights&r == r }

// Every reports whether the user may name every queue.
func (u *User) Every() bool { return u.all }

// Queue reports whether the user may name a queue.
func (u *User) Queue(name string) bool {
	if u.all {
		return true
	}
	for _, p := range u.queues {
		if ok, _ := match.MatchLimit(name, p, stepsMax); ok {
			return true
		}
	}
	return false
}

// Covers reports whether the user may do all that another may.
func (u *User) Covers(other *User) bool {
	if !u.May(other.rights) || other.all && !u.all {
		return false
	}
	for _, p := range other.queues {
		if !u.all && !slices.Contains(u.queues, p) {
			return false
		}
	}
	return true
}

// Flags returns on or off, nopass, and allkeys and allcommands.
func (u *User) Flags() []string {
	flags := []string{map[bool]string{true: "on", false: "off"}[u.On]}
	for _, f := range []struct {
		set  bool
		name string
	}{{u.NoPass, "nopass"}, {u.all, "allkeys"}, {u.rights == everything, "allcommands"}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// Hashes returns the hashes of the passwords, in hexadecimal.
func (u *User) Hashes() []string {
	list := make([]string, len(u.hashes))
	for i, h := range u.hashes {
		list[i] = h.String()
	}
	return list
}

// Commands returns the rules for the commands.
func (u *User) Commands() string { return u.rights.String() }

// Patterns returns the rules for the queues.
func (u *User) Patterns() string {
	if u.all {
		return "~*"
	}
	words := make([]string, len(u.queues))
	for i, p := range u.queues {
		words[i] = "~" + p
	}
	return strings.Join(words, " ")
}

// Rules returns the rules that make the user from a new one. There is no blank in any.
func (u *User) Rules() []string {
	rules := u.Flags()[:1]
	if u.NoPass {
		rules = append(rules, "nopass")
	}
	for _, h := range u.Hashes() {
		rules = append(rules, "#"+h)
	}
	if u.all {
		rules = append(rules, "~*")
	}
	for _, p := range u.queues {
		rules = append(rules, "~"+p)
	}
	return append(rules, strings.Fields(u.Commands())...)
}
