package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// epoll is a poller on one thread, without the scheduler.
type epoll struct {
	fd      int
	sockets []int
	writing []bool // by socket, whether the last write was not whole
	events  [256]unix.EpollEvent
}

func newPoller(time.Duration) (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return &epoll{fd: fd}, nil
}

func (p *epoll) dial(addr string, timeout time.Duration) (int, error) {
	nc, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return 0, err
	}
	defer func() { _ = nc.Close() }()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	fd, failed := -1, error(nil)
	if err := raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || failed != nil {
		return 0, errors.Join(err, failed)
	}
	socket := len(p.sockets)
	p.sockets, p.writing = append(p.sockets, fd), append(p.writing, false)
	return socket, unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(socket)})
}

func (p *epoll) wait(timeout time.Duration, ready func(socket int) error) error {
	n, err := unix.EpollWait(p.fd, p.events[:], int((timeout+time.Millisecond-1)/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("load: %w", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		if err := ready(int(e.Fd)); err != nil {
			return err
		}
	}
	return nil
}

func (p *epoll) read(socket int, b []byte) (int, error) {
	switch n, err := unix.Read(p.sockets[socket], b); {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("load: reading: %w", err)
	case n == 0:
		return 0, io.ErrUnexpectedEOF
	default:
		return n, nil
	}
}

func (p *epoll) write(socket int, b []byte) (int, error) {
	n, err := unix.Write(p.sockets[socket], b)
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		return 0, fmt.Errorf("load: writing: %w", err)
	}
	n = max(n, 0)
	if more := n < len(b); more != p.writing[socket] {
		p.writing[socket] = more
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(socket)}
		if more {
			e.Events |= unix.EPOLLOUT
		}
		return n, unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, p.sockets[socket], &e)
	}
	return n, nil
}

func (p *epoll) close() {
	for _, fd := range p.sockets {
		_ = unix.Close(fd)
	}
	_ = unix.Close(p.fd)
}
