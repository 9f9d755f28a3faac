//go:build !unix

package cluster

import "os"

// lockFile opens the file; elsewhere nothing stops a second process.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) }
