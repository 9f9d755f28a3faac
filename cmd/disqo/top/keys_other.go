//go:build !unix

package top

import (
	"context"
	"os"
)

// readKeys hands out what is typed until the terminal ends. Here nobody can end a
// read: the goroutine that waits for a key ends with the process, as nothing
// else is left to be done then.
func readKeys(ctx context.Context, stdin *os.File, keys chan<- byte) {
	go func() {
		defer close(keys)
		typed := make([]byte, 64)
		for {
			n, err := stdin.Read(typed)
			for _, key := range typed[:n] {
				select {
				case keys <- key:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
}

// notifyResize has nothing to notify: the size is asked for with each picture.
func notifyResize(chan<- os.Signal) {}
