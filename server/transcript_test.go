package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// lastSingleNodeSection is where the transcript turns to a cluster of three,
// which server/reference replays.
const lastSingleNodeSection = 6

// otherNode is a node that nobody has met.
const otherNode = "0123456789abcdef0123456789abcdef01234567"

// intended are the only replies that may differ from the reference's. request
// and reply are written as in the transcript, masks included.
var intended = []servertest.Difference{
	{
		Section: 1, Request: `*1\r\n$5\r\nHELLO\r\n`,
		Reply:  `*3\r\n:1\r\n$40\r\n<NODE0>\r\n*4\r\n$40\r\n<NODE0>\r\n$9\r\n127.0.0.1\r\n$5\r\n<PORT0>\r\n$1\r\n1\r\n`,
		Reason: `clients.md 3.8: "Better than C: report the address the client reached us on"`,
	},
	{
		Section: 6, Request: `*1\r\n$5\r\nHELLO\r\n`,
		Reply:  `*3\r\n:1\r\n$40\r\n<NODE0>\r\n*4\r\n$40\r\n<NODE0>\r\n$9\r\n127.0.0.1\r\n$5\r\n<PORT0>\r\n$3\r\n100\r\n`,
		Reason: `clients.md 3.8: "Better than C: report the address the client reached us on"`,
	},
	{
		Section: 1, Request: `*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n`,
		Reply: `%7\r\n$6\r\nserver\r\n$5\r\ndisqo\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:<INT>\r\n` +
			`$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n`,
		Reason: `clients.md 2.2: "Redis' reply, RESP3 map %7"`,
	},
	{
		Section: 1, Request: `*2\r\n$7\r\nCOMMAND\r\n$5\r\nCOUNT\r\n`,
		Reply:  `:47\r\n`,
		Reason: `clients.md 2.7, 2.9, 2.12: MULTI EXEC DISCARD ACL ECHO SELECT READONLY RESET QUIT are commands too; and BACKUP is`,
	},
	{
		Section: 6, Request: `*4\r\n$7\r\nCLUSTER\r\n$4\r\nMEET\r\n$9\r\nlocalhost\r\n$4\r\n7711\r\n`,
		Reply:  `+OK\r\n`,
		Reason: `design.md, cluster: "MEET takes host names"`,
	},
	{
		Section: 6, Request: `*2\r\n$7\r\nCLUSTER\r\n$5\r\nNODES\r\n`,
		Reply:  `$<LEN>\r\n<NODE0> 127.0.0.1:<PORT0>@<INT> myself 0 0 connected\n\r\n`,
		Reason: `design.md, cluster: a node that is bound to one address knows it, and says where its bus is if that is not 10000 above`,
	},
	{
		Section: 2, Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\nq1\r\n$1\r\nb\r\n$1\r\n0\r\n$9\r\nREPLICATE\r\n$5\r\n65535\r\n`,
		Reply:  `-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 65535, possible 1)\r\n`,
		Reason: `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 2, Request: `*6\r\n$6\r\nADDJOB\r\n$2\r\nq1\r\n$1\r\nb\r\n$1\r\n0\r\n$9\r\nREPLICATE\r\n$1\r\n2\r\n`,
		Reply:  `-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 2, possible 1)\r\n`,
		Reason: `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 2, Request: `*7\r\n$6\r\nADDJOB\r\n$2\r\nq1\r\n$1\r\nb\r\n$1\r\n0\r\n$9\r\nREPLICATE\r\n$1\r\n2\r\n$5\r\nASYNC\r\n`,
		Reply:  `-NOREPL Not enough reachable nodes for the requested replication level (copies wanted 2, possible 1)\r\n`,
		Reason: `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 6, Line: 509, Request: `*4\r\n$6\r\nADDJOB\r\n$2\r\ns1\r\n$1\r\nx\r\n$1\r\n0\r\n`,
		Reply:  `-NOREPL Not enough reachable nodes for the requested replication level, since I'm unable to hold a copy of the message for the following reason: I'm leaving the cluster (copies wanted 1, possible 0)\r\n`,
		Reason: `design.md: "the -NOREPL text says how many copies exist" (features.md), here how many there could be`,
	},
	{
		Section: 6, Request: `*2\r\n$6\r\nCLIENT\r\n$5\r\nBOGUS\r\n`,
		Reply:  `-ERR unknown subcommand 'BOGUS'. Try CLIENT HELP.\r\n`,
		Reason: `clients.md 2.6: "any unknown CLIENT subcommand -> a plain -ERR unknown subcommand '..'. Try CLIENT HELP."`,
	},
}

// TestTranscript replays what the reference was heard to answer, on one node.
func TestTranscript(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, len(intended), 25, "the differences should stay few")
	srv := servertest.Start(t)
	control := srv.Dial(t) // asks about the state, outside the transcript
	r := servertest.Replay{
		Nodes:    map[string]servertest.NodeName{"0": {ID: bulkOf(control.Do("CLUSTER", "MYID")), Port: srv.Addr[strings.LastIndexByte(srv.Addr, ':')+1:]}},
		Intended: intended,
		Dial:     func(string) *servertest.Client { return srv.Dial(t) },
		Before:   func(r *servertest.Replay, e servertest.Exchange) { waitFor(t, control, r, e) },
		Blocked: func() {
			eventually(t, "a client is blocked", func() bool { return control.Info("clients", "blocked_clients") == "1" })
		},
	}
	r.Run(t, servertest.Transcript(t, "testdata/transcript.txt", 1, lastSingleNodeSection), 260)
}

// waitFor lets the time pass that a comment on a request asks for.
func waitFor(t *testing.T, control *servertest.Client, r *servertest.Replay, e servertest.Exchange) {
	switch e.Comment {
	case "after more than half of the TTL":
		job := showFields(t, control, r.Job(e))
		half := time.UnixMilli(job["ctime"].(int64)/1e6 + job["ttl"].(int64)*1000/2)
		eventually(t, "half of the TTL has passed", func() bool { return time.Since(half) > 2*time.Millisecond })
	case "after expiry":
		id := r.Job(e)
		eventually(t, "the job has expired", func() bool { return control.Do("SHOW", id) == "$-1\r\n" })
	}
}
