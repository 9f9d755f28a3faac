package server

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/disqo/disqo/cluster"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
)

// openBus opens the sockets by which this node meets others.
func (s *Server) openBus(cfg *config.Config) (err error) {
	port := cfg.ClusterPort
	if port < 0 {
		port = s.port + cluster.BusOffset
		if cfg.Port == 0 {
			port = 0
		}
	}
	loopback := cfg.ClusterProtectedMode && cfg.ClusterSecret == ""
	s.cluster, err = cluster.New(cluster.Options{
		Identity: s.identity, Bind: cfg.Bind, ClientPort: s.port, BusPort: port,
		Advertise: cfg.AdvertiseAddr, AdvertisePort: cfg.AdvertisePort,
		Secret: cfg.ClusterSecret, Name: cfg.ClusterName, Join: cfg.Join,
		LoopbackOnly: loopback, NodeTimeout: s.nodeTimeout, Log: s.log,
		OnChange: s.membersChanged, OnLink: func(nc net.Conn) { s.node.AcceptLink(nc) },
	})
	return err
}

func (s *Server) nodeTimeout() time.Duration {
	return time.Duration(s.cfg.Get().ClusterNodeTimeout) * time.Millisecond
}

// bus is how the node reaches its peers. The cluster is there by the time it is
// used.
func (s *Server) bus(cfg *config.Config) *node.Bus {
	return &node.Bus{
		Secret:  cfg.ClusterSecret,
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
