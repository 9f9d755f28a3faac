//go:build linux || darwin

package compare

import "syscall"

// settle waits until what was written before is on disk, so that the next
// measurement does not pay for the last.
func settle() { syscall.Sync() }
