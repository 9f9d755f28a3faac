package server

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// hungUp reports whether the client has closed its side of the connection or
// reset it, also when there is input that was not read yet.
func hungUp(raw syscall.RawConn) (gone bool) {
	if raw == nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(poll[:], 0)
		gone = err == nil && n > 0
	})
	return gone
}
