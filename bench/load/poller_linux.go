package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// epoll is a poller on one thread, without the scheduler. It is told of each
// change once (EPOLLET): it costs the kernel less than to be told of a state
// again and again.
type epoll struct {
	fd      int
	sockets []int
	more    []bool // by socket, whether the last read may have left something
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
	p.sockets, p.more = append(p.sockets, fd), append(p.more, false)
	const changes = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET
	return socket, unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: changes, Fd: int32(socket)})
}

func (p *epoll) wait(timeout time.Duration, ready func(socket int) error) error {
	n, err := unix.EpollWait(p.fd, p.events[:], int((timeout+time.Millisecond-1)/time.Millisecond))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("load: %w", err)
	}
	for _, e := range p.events[:max(n, 0)] {
		ended := e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		for more := true; more; more = ended || p.more[e.Fd] {
			if err := ready(int(e.Fd)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *epoll) read(socket int, b []byte) (int, error) {
	n, err := unix.Read(p.sockets[socket], b)
	for err == unix.EINTR {
		n, err = unix.Read(p.sockets[socket], b)
	}
	p.more[socket] = n == len(b)
	switch {
	case err == unix.EAGAIN:
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
	for err == unix.EINTR {
		n, err = unix.Write(p.sockets[socket], b)
	}
	if err != nil && err != unix.EAGAIN {
		return 0, fmt.Errorf("load: writing: %w", err)
	}
	return max(n, 0), nil
}

func (p *epoll) close() {
	for _, fd := range p.sockets {
		_ = unix.Close(fd)
	}
	_ = unix.Close(p.fd)
}
