package config

import (
	"errors"
	"fmt"
)

// ErrNoFile is returned by Rewrite when the node was started without a
// configuration file, or with one read from standard input.
var ErrNoFile = errors.New("the server is running without a config file")

// UnknownError says that there is no such directive, or, from Update, none that
// can be set while the node runs.
type UnknownError struct {
	Name    string // as the user typed it
	Nearest string // a directive spelled much like it; "" = none
}

func (e *UnknownError) Error() string {
	if e.Nearest != "" {
		return fmt.Sprintf("unknown directive '%s', did you mean '%s'?", printable(e.Name), e.Nearest)
	}
	return fmt.Sprintf("unknown directive '%s'", printable(e.Name))
}

// InvalidError says that a directive does not take this value.
type InvalidError struct {
	Name  string // as the user typed it
	Value string // all values, separated by spaces; may be a password: do not log it
	Why   string // what is wrong and what would be right; for dir, the system's error text
	Err   error  // the cause
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("invalid value for '%s': %s", printable(e.Name), e.Why)
}

// Unwrap returns the cause, so that errors.Is finds fs.ErrNotExist and the like.
func (e *InvalidError) Unwrap() error { return e.Err }

// SourceError adds to an error where the offending text stands.
type SourceError struct {
	Where string // "path:line" or "command line"
	Text  string // the line or option; cut, and without its value where that is a secret
	Err   error
}

func (e *SourceError) Error() string {
	why := e.Err.Error()
	if invalid, ok := e.Err.(*InvalidError); ok {
		why = invalid.Why // its name and value are in Text already
	}
	// The system's errors quote paths as they are.
	return fmt.Sprintf("%s: '%s': %s", e.Where, e.Text, visible(why))
}

// Unwrap returns the error without its place.
func (e *SourceError) Unwrap() error { return e.Err }
