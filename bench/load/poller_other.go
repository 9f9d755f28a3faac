//go:build !linux

package load

import "time"

func newPoller(timeout time.Duration) (poller, error) { return newGoroutines(timeout), nil }
