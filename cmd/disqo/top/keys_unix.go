//go:build unix

package top

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// keyWait is how long a look for keys takes at most: a read of a terminal cannot
// be ended by others, so it must not begin before there is a key.
const keyWait = 100 // milliseconds

// readKeys hands out what is typed until ctx or the terminal ends, which closes
// keys.
func readKeys(ctx context.Context, stdin *os.File, keys chan<- byte) {
	defer close(keys)
	fd := int(stdin.Fd())
	typed := make([]byte, 64)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, keyWait)
		if n == 0 || errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil {
			n, err = unix.Read(fd, typed)
		}
		if err != nil || n <= 0 {
			return
		}
		for _, key := range typed[:n] {
			select {
			case keys <- key:
			case <-ctx.Done():
				return
			}
		}
	}
}

// notifyResize tells when the terminal has another size.
func notifyResize(c chan<- os.Signal) { signal.Notify(c, unix.SIGWINCH) }
