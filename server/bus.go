package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/disqo/disqo/cluster"
	"github.com/disqo/disqo/server/certs"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

// openBus opens the sockets by which this node meets others.
func (s *Server) openBus(cfg *config.Config) error {
	port := cfg.ClusterPort
	if port < 0 {
		port = s.port + cluster.BusOffset
		if cfg.Port == 0 {
			port = 0
		}
	}
	if cfg.ClusterSecret == "" && cfg.ClusterSecretAlso != "" {
		return errAlsoAlone
	}
	links, err := s.linkTLS(cfg)
	if err != nil {
		return err
	}
	loopback := cfg.ClusterProtectedMode && cfg.ClusterSecret == ""
	s.cluster, err = cluster.New(cluster.Options{
		Identity: s.identity, Bind: cfg.Bind, ClientPort: s.port, BusPort: port,
		Advertise: cfg.AdvertiseAddr, AdvertisePort: cfg.AdvertisePort,
		Secret: cfg.ClusterSecret, AlsoSecret: cfg.ClusterSecretAlso, Links: links, Name: cfg.ClusterName, Join: cfg.Join,
		LoopbackOnly: loopback, NodeTimeout: s.nodeTimeout, Log: s.log,
		OnChange: s.membersChanged, OnLink: func(nc net.Conn) { s.node.AcceptLink(nc) },
		Renew: func(stale func(net.Conn) bool) { s.node.RenewLinks(stale) },
	})
	return err
}

// errAlsoAlone says that a second secret is none without a first.
var errAlsoAlone = errors.New("cluster-secret-also is a second secret and encrypts nothing without cluster-secret")

func (s *Server) nodeTimeout() time.Duration {
	return time.Duration(s.cfg.Get().ClusterNodeTimeout) * time.Millisecond
}

// linkTLS returns where the configuration of links comes from that have certificates
// in files, nil if they have not.
func (s *Server) linkTLS(cfg *config.Config) (func() *tls.Config, error) {
	files := certs.Files{Cert: cfg.Path(cfg.ClusterTLSCertFile), Key: cfg.Path(cfg.ClusterTLSKeyFile), CA: cfg.Path(cfg.ClusterTLSCACertFile)}
	switch {
	case files == certs.Files{}:
		return nil, nil
	case files.Cert == "" || files.Key == "" || files.CA == "":
		return nil, errors.New("cluster-tls-cert-file, cluster-tls-key-file and cluster-tls-ca-cert-file need each other")
	}
	store, err := certs.Open(files, tls.RequireAndVerifyClientCert, s.log)
	if err != nil {
		return nil, fmt.Errorf("cluster-tls-cert-file: %w", err)
	}
	return func() *tls.Config {
		files := store.Current()
		return cluster.LinkTLS(files.Certificates, files.ClientCAs)
	}, nil
}

// bus is how the node reaches its peers. The cluster is there by the time it is
// used.
func (s *Server) bus(cfg *config.Config) *node.Bus {
	return &node.Bus{
		Name:    cfg.ClusterName,
		Dial:    func(ctx context.Context, id string) (net.Conn, error) { return s.cluster.Dial(ctx, id) },
		Heard:   func(id, host string, port, busPort int) { s.cluster.Heard(id, host, port, busPort) },
		Address: s.busAddress,
		Timeout: s.nodeTimeout,
		Log:     s.log,
	}
}

// busAddress returns where others reach this node; host is "" while that is not
// known.
func (s *Server) busAddress() (host string, port, busPort int) {
	me := s.cluster.Self()
	return me.Host, me.Port, me.BusPort
}

// membersChanged tells the node who its peers are.
func (s *Server) membersChanged() {
	s.membersMu.Lock()
	defer s.membersMu.Unlock()
	members := slices.DeleteFunc(s.cluster.Members(), func(m cluster.Member) bool { return m.Self || m.Handshake })
	peers := make([]node.Peer, len(members))
	for i, m := range members {
		peers[i] = node.Peer{ID: m.ID, Failed: m.Failed, Leaving: m.Leaving}
	}
	s.node.SetPeers(peers)
}
