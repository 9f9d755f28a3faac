//go:build !unix || solaris || aix

package aof

import (
	"errors"
	"fmt"
	"os"
)

// flock fails: without a lock two processes could write one log.
func flock(f *os.File) error {
	return fmt.Errorf("aof: locking %s: %w", f.Name(), errors.ErrUnsupported)
}
