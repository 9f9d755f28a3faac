//go:build unix

package server

import (
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func cpuTimes() (t processTimes) {
	var own, children unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &own)
	_ = unix.Getrusage(unix.RUSAGE_CHILDREN, &children)
	return processTimes{
		user: time.Duration(own.Utime.Nano()), system: time.Duration(own.Stime.Nano()),
		childUser: time.Duration(children.Utime.Nano()), childSystem: time.Duration(children.Stime.Nano()),
	}
}

// fileLimit returns how many descriptors the process may have, 0 if the system
// does not say.
func fileLimit() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, 1<<30))
}

// residentBytes returns the resident memory of the process, 0 if the system
// does not say.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// descriptor returns the number of the connection's descriptor, -1 if it has
// none.
func descriptor(nc net.Conn) int {
	fd := -1
	if sc, ok := plain(nc).(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(f uintptr) { fd = int(f) })
		}
	}
	return fd
}
