// Package bounds checks options against what they may be, so that a mistyped
// one does not take the machine.
package bounds

import "fmt"

// Check checks the options of one package, by its name.
type Check struct {
	whose string
	err   error
}

// Of begins a check.
func Of(whose string) *Check { return &Check{whose: whose} }

// Int checks a number.
func (c *Check) Int(name string, value, low, high int) *Check {
	if c.err == nil && (value < low || value > high) {
		c.err = fmt.Errorf("%s: %s is %d, it must be %d to %d", c.whose, name, value, low, high)
	}
	return c
}

// Err returns an error for the first value out of its bounds.
func (c *Check) Err() error { return c.err }
