package server

import (
	"fmt"

	"github.com/disqo/disqo/server/node"
)

// infoCluster tells of the other nodes and the links to them.
func infoCluster(s *Server, p func(string, any)) {
	members := s.cluster.Members()
	links, linked := make([]node.PeerState, len(members)), 0
	for i, m := range members {
		if links[i] = s.node.PeerState(m.ID); links[i].Linked {
			linked++
		}
	}
	gossipSent, gossipReceived := s.cluster.Stats()
	sent, received, bytesSent, bytesReceived := s.node.LinkStats()
	impossible, unknown := s.node.BadMessages()
	p("cluster_known_nodes", len(members))
	p("cluster_reachable_nodes", s.node.Reachable())
	p("cluster_linked_nodes", linked)
	p("cluster_leaving", bit(s.node.Leaving()))
	p("cluster_bus_port", s.cluster.BusPort())
	p("gossip_messages_sent", gossipSent)
	p("gossip_messages_received", gossipReceived)
	p("link_messages_sent", sent)
	p("link_messages_received", received)
	p("link_bytes_sent", bytesSent)
	p("link_bytes_received", bytesReceived)
	p("strangers_refused", s.cluster.Refused())
	p("link_messages_refused", impossible)
	p("link_messages_unknown", unknown)
	for i, m := range members[1:] {
		st := links[1+i]
		p(fmt.Sprintf("peer%d", i), fmt.Sprintf("id=%s,address=%s,linked=%d,suspect=%d,failed=%d,leaving=%d,rtt_usec=%d,outbox=%d",
			m.ID, m.Address(), bit(st.Linked), bit(st.Suspect), bit(m.Failed), bit(m.Leaving), st.RTT.Microseconds(), st.Outbox))
	}
}
