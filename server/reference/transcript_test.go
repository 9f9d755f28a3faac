package reference

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// intended are the only replies of three nodes that may differ from the
// reference's.
var intended = []servertest.Difference{
	{
		Section: 7,
		Request: `*6\r\n$6\r\nADDJOB\r\n$3\r\nblk\r\n$1\r\nx\r\n$3\r\n300\r\n$9\r\nREPLICATE\r\n$1\r\n2\r\n`,
		Reply:   `-NOREPL Timeout reached before replicating to the requested number of nodes: copies on 1, no answer from <NODE2> <NODE3>\r\n`,
		Reason:  `design.md: "the -NOREPL text says how many copies exist and which nodes did not answer" (features.md)`,
	},
	{
		Section: 7,
		Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\ndn\r\n$1\r\nx\r\n$3\r\n400\r\n$9\r\nREPLICATE\r\n$1\r\n3\r\n`,
		Reply:   `-NOREPL Timeout reached before replicating to the requested number of nodes: copies on 2, no answer from <NODE3>\r\n`,
		Reason:  `design.md: "the -NOREPL text says how many copies exist and which nodes did not answer" (features.md)`,
	},
	{
		Section: 7,
		Request: `*4\r\n$6\r\nADDJOB\r\n$2\r\ndn\r\n$1\r\nx\r\n$3\r\n400\r\n`, Reply: `+<JOB40~05a1>\r\n`,
		Reason: `design.md: "r = min(3, nodes), s = min(r, 2): one dead node of three stops nobody" (B19)`,
	},
	{
		Section: 7, Line: 573,
		Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\ncq\r\n$1\r\nx\r\n$4\r\n1000\r\n$9\r\nREPLICATE\r\n$1\r\n4\r\n`,
		Reply:   `-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 4, possible 3)\r\n`,
		Reason:  `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 7, Line: 622,
		Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\nlv\r\n$1\r\nx\r\n$4\r\n1000\r\n$9\r\nREPLICATE\r\n$1\r\n3\r\n`,
		Reply:   `-NOREPL Not enough reachable nodes for the requested replication level, since I'm unable to hold a copy of the message for the following reason: I'm leaving the cluster (copies wanted 3, possible 2)\r\n`,
		Reason:  `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 7, Line: 624,
		Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\nlv\r\n$1\r\nx\r\n$4\r\n1000\r\n$9\r\nREPLICATE\r\n$1\r\n4\r\n`,
		Reply:   `-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 4, possible 2)\r\n`,
		Reason:  `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 7, Line: 626,
		Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\nlv\r\n$1\r\nx\r\n$4\r\n1000\r\n$9\r\nREPLICATE\r\n$1\r\n3\r\n`,
		Reply:   `-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 3, possible 2)\r\n`,
		Reason:  `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
}

// TestTranscript replays what three nodes of the reference were heard to
// answer; package server has the sections of a single node.
func TestTranscript(t *testing.T) {
	if testing.Short() {
		t.Skip("the transcript is for long runs")
	}
	nodes, err := startNodes(program(t), 3, "cluster-node-timeout 2000")
	require.NoError(t, err)
	t.Cleanup(func() {
		for _, n := range nodes {
			n.kill()
		}
		if !t.Failed() {
			_ = os.RemoveAll(nodes[0].work)
		}
	})
	u := newUnit(t, nodes)
	names := map[string]servertest.NodeName{}
	for i, n := range nodes {
		u.ids[i] = u.do(i, "CLUSTER", "MYID").(string)
		names[strconv.Itoa(i+1)] = servertest.NodeName{ID: u.ids[i], Port: strconv.Itoa(n.port)}
	}
	differences := slices.Clone(intended)
	if u.ids[2] < u.ids[1] { // ids are told in their order
		differences[0].Reply = strings.Replace(differences[0].Reply, "<NODE2> <NODE3>", "<NODE3> <NODE2>", 1)
	}
	r := servertest.Replay{
		Nodes:    names,
		Intended: differences,
		Repeat:   true,
		Dial:     func(conn string) *servertest.Client { return u.dial(int(conn[1] - '1')) }, // k1 to k3
		Before:   u.event,
	}
	if foreign() != "" {
		r.Intended = nil
	}
	r.Run(t, servertest.Transcript(t, "../testdata/transcript.txt", 7, 7), 40)
}

// event lets happen what the transcript tells of its three nodes.
func (u *unit) event(_ *servertest.Replay, e servertest.Exchange) {
	switch {
	case e.Text == "wait until CLUSTER INFO on each node reports cluster_reachable_nodes:2":
		u.whole()
	case e.Text == "wait ~1.5s for gossip":
		u.eventually(job{}, "node 2 flags node 1 with leaving", func() bool { return slices.Contains(u.flagged(1, "leaving"), u.ids[0]) && u.reachable(1) == 1 })
	case e.Text == "n3 killed; next command issued immediately, before failure detection":
		u.kill(2)
	case e.Text == "wait until n3 is flagged fail":
		u.eventually(job{}, "node 1 flags node 3 with fail", func() bool { return slices.Contains(u.flagged(0, "fail"), u.ids[2]) && u.reachable(0) == 1 })
	case !e.Request:
		u.fail(job{}, "line %d tells what is not known here: %s", e.Line, e.Text)
	}
}
