package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/disqo/disqo/server/certs"
	"github.com/disqo/disqo/server/config"
)

// handshakeTimeout bounds a TLS handshake.
const handshakeTimeout = 5 * time.Second

// clientAuth is what the words of tls-auth-clients ask of clients.
var clientAuth = map[string]tls.ClientAuthType{
	"no": tls.NoClientCert, "optional": tls.VerifyClientCertIfGiven, "yes": tls.RequireAndVerifyClientCert,
}

// listenTLS opens the sockets for clients that speak TLS, or makes those of the one
// port speak it.
func (s *Server) listenTLS(cfg *config.Config) error {
	if cfg.TLSCertFile == "" || cfg.TLSKeyFile == "" {
		return errors.New("tls-port needs tls-cert-file and tls-key-file")
	}
	ca := ""
	if cfg.TLSAuthClients != "no" {
		ca = cfg.Path(cfg.TLSCACertFile)
		if ca == "" {
			return fmt.Errorf("tls-auth-clients %s needs tls-ca-cert-file", cfg.TLSAuthClients)
		}
	}
	files := certs.Files{Cert: cfg.Path(cfg.TLSCertFile), Key: cfg.Path(cfg.TLSKeyFile), CA: ca}
	store, err := certs.Open(files, clientAuth[cfg.TLSAuthClients], s.log)
	if err != nil {
		return fmt.Errorf("tls-port: %w", err)
	}
	if cfg.TLSPort == cfg.Port && cfg.Port != 0 {
		s.tlsPort = s.port
		for i, l := range s.listeners {
			s.listeners[i] = secure{l, store.Server()}
		}
		return nil
	}
	all, port, err := listenTCP(cfg.Bind, cfg.TLSPort)
	for _, l := range all {
		s.listeners = append(s.listeners, secure{l, store.Server()})
	}
	s.tlsPort = port
	return err
}

// secure is a listener whose connections speak TLS.
type secure struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener. The handshake is left to whoever uses the
// connection.
func (l secure) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(&steady{Conn: nc}, l.config), nil
}

// steady is a connection under TLS, where a write that a deadline cuts short leaves
// nothing that could be gone on with. So its writes end only when all is written or
// given up, which is for piece to say.
type steady struct {
	net.Conn
	piece atomic.Pointer[func(nc net.Conn, b []byte) (int, error)] // writes a part; nil: as SetWriteDeadline says
	timed atomic.Bool                                              // SetWriteDeadline said when
}

// NetConn returns the connection below.
func (c *steady) NetConn() net.Conn { return c.Conn }

// SetDeadline implements net.Conn.
func (c *steady) SetDeadline(t time.Time) error {
	c.timed.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn. TLS does it for its farewell.
func (c *steady) SetWriteDeadline(t time.Time) error {
	c.timed.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// Write implements net.Conn.
func (c *steady) Write(b []byte) (n int, err error) {
	piece := c.piece.Load()
	if piece == nil || c.timed.Load() {
		return c.Conn.Write(b)
	}
	for n < len(b) && err == nil {
		var k int
		k, err = (*piece)(c.Conn, b[n:min(len(b), n+writePiece)])
		n += k
	}
	return n, err
}

// plain returns the socket under a connection, which may be the connection itself.
func plain(nc net.Conn) net.Conn {
	for {
		c, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = c.NetConn()
	}
}

// handshake does that of a connection that speaks TLS. It ends when the server stops:
// nothing was said yet.
func (c *conn) handshake() error {
	tc, ok := c.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.srv.ending, handshakeTimeout)
	defer cancel()
	err := tc.HandshakeContext(ctx)
	c.heard = time.Now() // the times for AUTH and of timeout begin here
	c.heardAt.Store(c.heard.UnixNano())
	return err
}
