package load

import "time"

// poller is the sockets of a run. Nothing of it is safe for concurrent use.
type poller interface {
	// dial connects and returns the socket's number: 0, 1, 2 ...
	dial(addr string, timeout time.Duration) (int, error)

	// wait waits until sockets can be read, or written if the last write to
	// them was not whole, and calls ready for each. An error of ready ends it.
	wait(timeout time.Duration, ready func(socket int) error) error

	// read reads what is there; it returns 0 if that is nothing.
	read(socket int, b []byte) (int, error)

	// write writes what the kernel takes. If that is not all, wait tells when
	// it takes more.
	write(socket int, b []byte) (int, error)

	close()
}
