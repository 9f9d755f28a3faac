//go:build unix

package server

import (
	"io"
	"net"
	"syscall"
)

// rawConn returns the descriptor access of a plain socket, nil for anything
// whose bytes are not the socket's own (TLS, pipes in tests).
func rawConn(nc net.Conn) syscall.RawConn {
	switch c := nc.(type) {
	case *net.TCPConn:
		raw, _ := c.SyscallConn()
		return raw
	case *net.UnixConn:
		raw, _ := c.SyscallConn()
		return raw
	}
	return nil
}

// writeOnce writes what the kernel takes without waiting.
func writeOnce(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, nil
		}
		return 0, err
	}
}

// readOnce reads what is there without waiting, 0 bytes if that is nothing.
func readOnce(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, nil
		case err == nil && n == 0:
			return 0, io.EOF
		}
		return n, err
	}
}
