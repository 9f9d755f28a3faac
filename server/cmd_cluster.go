package server

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/disqo/disqo/cluster"
	"github.com/disqo/disqo/server/resp"
)

// highestClientPort leaves room for the bus, ten thousand above.
const highestClientPort = 55535

// CLUSTER subcommand ...
func cmdCluster(s *session, args [][]byte) {
	sub, rest := lower(args[1]), args[2:]
	switch {
	case sub == "meet" && (len(rest) == 2 || len(rest) == 3):
		s.clusterMeet(rest)
	case sub == "nodes" && len(rest) == 0:
		s.reply.BulkString(s.srv.clusterNodes())
	case sub == "myid" && len(rest) == 0:
		s.reply.BulkString(s.srv.node.ID())
	case sub == "info" && len(rest) == 0:
		s.clusterInfo()
	case sub == "forget" && len(rest) == 1:
		s.clusterForget(string(rest[0]))
	case sub == "reset" && len(rest) <= 1:
		s.clusterReset(rest)
	case sub == "leaving" && len(rest) <= 1:
		s.clusterLeaving(rest)
	case sub == "saveconfig" && len(rest) == 0:
		if err := s.srv.cluster.Save(); err != nil {
			s.failSave(err)
			return
		}
		s.reply.Status("OK")
	case sub == "slots", sub == "shards":
		s.reply.Error(errNoRedisCluster)
	default:
		s.reply.Error("ERR Wrong CLUSTER subcommand or number of arguments")
	}
}

// clusterNodes writes the nodes that are known, a line each.
func (s *Server) clusterNodes() string {
	var b strings.Builder
	for _, m := range s.cluster.Members() {
		st := s.node.PeerState(m.ID)
		b.WriteString(cluster.Format(m, st.PingSent, st.Pong, st.Suspect && !m.Handshake, st.Linked))
		b.WriteByte('\n')
	}
	return b.String()
}

func (s *session) clusterInfo() {
	known, size := 0, 0
	for _, m := range s.srv.cluster.Members() {
		known++
		if !m.Handshake {
			size++
		}
	}
	gossipSent, gossipReceived := s.srv.cluster.Stats()
	sent, received, _, _ := s.srv.node.LinkStats()
	s.reply.BulkString(fmt.Sprintf("cluster_state:ok\r\ncluster_known_nodes:%d\r\ncluster_reachable_nodes:%d\r\ncluster_size:%d\r\n"+
		"cluster_stats_messages_sent:%d\r\ncluster_stats_messages_received:%d\r\n",
		known, s.srv.node.Reachable(), size, gossipSent+sent, gossipReceived+received))
}

func (s *session) clusterMeet(rest [][]byte) {
	var ports [2]int64
	for i, arg := range rest[1:] {
		var ok bool
		if ports[i], ok = parseInt(arg); !ok || len(arg) == 0 {
			s.errorf("ERR Invalid TCP port specified: %s", resp.Echo(arg))
			return
		}
	}
	host, port, busPort := string(rest[0]), ports[0], ports[0]+cluster.BusOffset
	if len(rest) == 3 {
		busPort = ports[1]
	}
	if !meetable(host) || port < 1 || len(rest) == 2 && port > highestClientPort || port > 65535 || busPort < 1 || busPort > 65535 {
		s.errorf("ERR Invalid node address specified: %s:%s", resp.Echo(rest[0]), resp.Echo(rest[1]))
		return
	}
	if err := s.srv.cluster.Meet(host, int(port), int(busPort)); err != nil {
		s.errorf("ERR Invalid node address specified: %s:%s: %s", resp.Echo(rest[0]), resp.Echo(rest[1]), err)
		return
	}
	s.reply.Status("OK")
}

// meetable reports whether host can be an address or a name: one of digits and
// dots alone that is no address is a slip.
func meetable(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.Trim(host, "0123456789.") != "" && !strings.Contains(host, ":")
}

func (s *session) clusterForget(id string) {
	if len(id) != cluster.IDLen {
		s.reply.Error("ERR Invalid node identifier")
		return
	}
	switch err := s.srv.cluster.Forget(id); {
	case errors.Is(err, cluster.ErrSelf):
		s.reply.Error("ERR I tried hard but I can't forget myself...")
	case errors.Is(err, cluster.ErrUnknown):
		s.errorf("ERR Unknown node %s", resp.Echo([]byte(id)))
	case err != nil:
		s.fail(err)
	default:
		s.srv.membersChanged() // now: the next ADDJOB must not wait for a copy there
		s.reply.Status("OK")
	}
}

// clusterReset forgets everything: peers, jobs, queues and, with HARD, the node's
// id.
func (s *session) clusterReset(rest [][]byte) {
	hard := len(rest) == 1 && is(rest[0], "HARD")
	if len(rest) == 1 && !hard && !is(rest[0], "SOFT") {
		s.fail(errSyntax)
		return
	}
	if err := s.srv.node.Flush(&s.mark); err != nil {
		s.fail(err)
		return
	}
	s.srv.node.SettleLinks() // others hear that waiting jobs are taken back
	if err := s.srv.cluster.Reset(hard); err != nil {
		s.failSave(err)
		return
	}
	id := s.srv.identity.ID()
	if err := s.srv.node.Reset(id, &s.mark); err != nil {
		s.fail(err)
		return
	}
	s.srv.log.Info("the node has forgotten its peers, jobs and queues", "node", id)
	s.reply.Status("OK")
}

func (s *session) clusterLeaving(rest [][]byte) {
	var on bool
	switch {
	case len(rest) == 0:
		s.reply.Status(map[bool]string{true: "yes", false: "no"}[s.srv.node.Leaving()])
		return
	case is(rest[0], "YES"):
		on = true
	case !is(rest[0], "NO"):
		s.reply.Error("ERR Wrong argument for CLUSTER LEAVING. Use 'yes' or 'no'")
		return
	}
	if err := s.srv.setLeaving(on); err != nil {
		s.failSave(err)
		return
	}
	s.reply.Status("OK")
}

// failSave answers that nodes.conf could not be written; nothing has changed.
func (s *session) failSave(err error) { s.errorf("ERR error saving the cluster node config: %s", err) }

// setLeaving makes the node take no more work, or take it again. Consumers
// that wait are told.
func (s *Server) setLeaving(on bool) error {
	if err := s.cluster.SetLeaving(on); err != nil {
		return err
	}
	s.node.SetLeaving(on)
	s.log.Info("leaving the cluster", "leaving", on)
	s.wakeAll()
	return nil
}
