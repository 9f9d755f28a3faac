package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/disqo/disqo/server/config"
)

// After an accept that failed (no descriptor left, say) the next is tried
// after a pause, doubled up to the longest.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// refusalTimeout bounds the write of an error to a client that is not let in, and
// refusalsMost how many such writes are waited for.
const (
	refusalTimeout = time.Second
	refusalsMost   = 16
)

// listen opens the sockets of the configuration. With port 0 the first
// address gets a free port and the others the same.
func (s *Server) listen(cfg *config.Config) error {
	all, port, err := listenTCP(cfg.Bind, cfg.Port)
	s.listeners, s.port = all, port
	if err == nil && cfg.TLSPort >= 0 {
		err = s.listenTLS(cfg)
	}
	if err != nil || cfg.UnixSocket == "" {
		return err
	}
	return s.listenUnix(cfg.Path(cfg.UnixSocket), fs.FileMode(cfg.UnixSocketPerm))
}

// listenTCP listens on a port of each host, or of all addresses if there is none,
// and returns which port that is. The listeners are the caller's, also with an
// error.
func listenTCP(hosts []string, want int) (all []net.Listener, port int, err error) {
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	port = want
	for _, host := range hosts {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return all, port, listenError(err)
		}
		all = append(all, l)
		port = l.Addr().(*net.TCPAddr).Port
	}
	return all, port, nil
}

func listenError(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: stop the program that has it, or choose another with --port", err)
	}
	return err
}

// listenUnix opens a unix socket; one that a dead server left behind is
// replaced, one that still answers is not.
func (s *Server) listenUnix(path string, perm fs.FileMode) error {
	if c, err := net.DialTimeout("unix", path, refusalTimeout); err == nil {
		_ = c.Close()
		return fmt.Errorf("unix socket %s is in use by another server", path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, l)
	if perm != 0 {
		return os.Chmod(path, perm)
	}
	return nil
}

// accept serves a listener until it is closed.
func (s *Server) accept(l net.Listener) {
	pause := acceptPauseMin
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = acceptPauseMin
			s.admit(nc)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.Warn("accept failed; trying again", "error", err, "in", pause)
			select {
			case <-s.ending.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, acceptPauseMax)
		}
	}
}

// admit starts a connection, or refuses it with a reason.
func (s *Server) admit(nc net.Conn) {
	cfg := s.cfg.Get()
	if cfg.ProtectedMode && cfg.Open() && !local(nc) {
		s.turnAway(nc, "DENIED Disqo is running in protected mode: there is no password, so it talks only to clients "+
			"on its own machine. Set one there (CONFIG SET requirepass ..., or requirepass in the configuration file), or, if the "+
			"network is trusted, protected-mode no (CONFIG SET protected-mode no, in the configuration file, or as --protected-mode no "+
			"at the start); or connect from that machine")
		return
	}
	c, ok := s.clients.add(cfg.MaxClients, func(id int64) *conn { return newConn(s, nc, id) })
	if !ok {
		s.turnAway(nc, "ERR max number of clients reached")
		return
	}
	s.stats.connections.Add(1)
	if tcp, ok := plain(nc).(*net.TCPConn); ok {
		keepalive(tcp, cfg.TCPKeepalive)
	}
	s.log.Debug("client connected", "client", c.info.addr)
	s.conns.Go(c.serve)
}

func keepalive(c *net.TCPConn, seconds int) {
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: seconds > 0, Idle: time.Duration(seconds) * time.Second, Interval: time.Duration(max(1, seconds/3)) * time.Second, Count: 3,
	})
}

// turnAway tells a client why it is not let in. The write does not hold up the
// accept loop: a new connection's buffer takes a line, and for one that speaks TLS
// a goroutine waits, if there are few.
func (s *Server) turnAway(nc net.Conn, text string) {
	s.stats.rejected.Add(1)
	tell := func() {
		_ = nc.SetDeadline(time.Now().Add(refusalTimeout))
		_, _ = nc.Write([]byte("-" + text + "\r\n"))
		_ = nc.Close()
	}
	if plain(nc) == nc {
		tell()
		return
	}
	select {
	case s.refusing <- struct{}{}:
		s.conns.Go(func() {
			tell()
			<-s.refusing
		})
	default:
		_ = plain(nc).Close()
	}
}

// local reports whether the client is on this machine.
func local(nc net.Conn) bool {
	addr, ok := nc.RemoteAddr().(*net.TCPAddr)
	return !ok || addr.IP.IsLoopback()
}
