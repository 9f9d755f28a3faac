package server

import (
	"fmt"
	"net/netip"

	"github.com/disqo/disqo/cluster"
	"github.com/disqo/disqo/server/resp"
)

// highestClientPort leaves room for the bus, ten thousand above.
const highestClientPort = 55535

// CLUSTER subcommand ...: a cluster of one.
func cmdCluster(s *session, args [][]byte) {
	sub, rest := lower(args[1]), args[2:]
	switch {
	case sub == "meet" && len(rest) == 2:
		s.clusterMeet(rest)
	case sub == "nodes" && len(rest) == 0:
		s.reply.BulkString(s.srv.identity.Line() + "\n")
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
		if err := s.srv.identity.Save(s.srv.port); err != nil {
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

func (s *session) clusterInfo() {
	size := 1 + len(s.srv.peers.Nodes())
	s.reply.BulkString(fmt.Sprintf("cluster_state:ok\r\ncluster_known_nodes:%d\r\ncluster_reachable_nodes:%d\r\ncluster_size:%d\r\n"+
		"cluster_stats_messages_sent:0\r\ncluster_stats_messages_received:0\r\n", size, s.srv.node.Reachable(), size))
}

func (s *session) clusterMeet(rest [][]byte) {
	port, ok := parseInt(rest[1])
	if !ok || len(rest[1]) == 0 {
		s.errorf("ERR Invalid TCP port specified: %s", resp.Echo(rest[1]))
		return
	}
	if _, err := netip.ParseAddr(string(rest[0])); err != nil || port < 1 || port > highestClientPort {
		s.errorf("ERR Invalid node address specified: %s:%s", resp.Echo(rest[0]), resp.Echo(rest[1]))
		return
	}
	s.reply.Error("ERR This version runs alone: it cannot meet other nodes")
}

func (s *session) clusterForget(id string) {
	switch {
	case len(id) != cluster.IDLen:
		s.reply.Error("ERR Invalid node identifier")
	case id == s.srv.node.ID():
		s.reply.Error("ERR I tried hard but I can't forget myself...")
	default:
		s.errorf("ERR Unknown node %s", resp.Echo([]byte(id)))
	}
}

// clusterReset forgets everything: jobs, queues and, with HARD, the node's id.
func (s *session) clusterReset(rest [][]byte) {
	hard := len(rest) == 1 && is(rest[0], "HARD")
	if len(rest) == 1 && !hard && !is(rest[0], "SOFT") {
		s.fail(errSyntax)
		return
	}
	if hard {
		if err := s.srv.renew(); err != nil {
			s.failSave(err)
			return
		}
	}
	if err := s.srv.node.Flush(&s.mark); err != nil {
		s.fail(err)
		return
	}
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
	if err := s.identity.SetLeaving(on); err != nil {
		return err
	}
	s.node.SetLeaving(on)
	s.log.Info("leaving the cluster", "leaving", on)
	s.wakeAll()
	return nil
}

// renew gives the node a new id.
func (s *Server) renew() error {
	id, err := s.identity.Renew()
	if err != nil {
		return err
	}
	s.node.SetID(id)
	s.log.Info("the node has a new id", "node", id)
	return nil
}
