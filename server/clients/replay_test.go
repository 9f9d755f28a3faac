package clients_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// step is a command of a library and a pattern of the bytes it is answered with.
type step struct{ send, want string }

const (
	ok       = `\+OK\r\n`
	pong     = `\+PONG\r\n`
	jobAdded = `\+D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}\r\n`
	// What is no Redis is said with an error that the libraries swallow.
	unknownSubcommand = `-ERR unknown subcommand '[a-zA-Z_]+'\. Try CLIENT HELP\.\r\n`
	noCluster         = `-ERR This instance has cluster support disabled\r\n`
	unknownCommand    = `-ERR unknown command '[^\r\n]+\r\n`

	helloBody = `\$6\r\nserver\r\n\$5\r\ndisqo\r\n\$7\r\nversion\r\n\$\d+\r\n\d+\.\d+\.\d+\r\n\$5\r\nproto\r\n:P\r\n` +
		`\$2\r\nid\r\n:\d+\r\n\$4\r\nmode\r\n\$10\r\nstandalone\r\n\$4\r\nrole\r\n\$6\r\nmaster\r\n\$7\r\nmodules\r\n\*0\r\n`
)

var (
	hello3 = `%7\r\n` + strings.ReplaceAll(helloBody, ":P", ":3")
	hello2 = `\*14\r\n` + strings.ReplaceAll(helloBody, ":P", ":2")

	setInfo = []step{{"CLIENT SETINFO LIB-NAME some-client", ok}, {"CLIENT SETINFO LIB-VER 8.0.0", ok}}
	infoOK  = step{"INFO", `\$\d+\r\n# Server\r\n(?s:.*)\r\nloading:0\r\n(?s:.*)`}
)

// library is a client library as it was captured on the wire.
type library struct {
	name         string
	requirepass  string
	connect, use []step
}

// use2 and use3 are what everybody does next, in RESP2 and RESP3.
var (
	use2 = []step{{"ADDJOB q x 0", jobAdded}, {"GETJOB FROM q", `\*1\r\n\*3\r\n(?s:.*)`}, {"GETJOB NOHANG FROM q", `\*-1\r\n`},
		{"CONFIG GET maxmemory-policy", `\*2\r\n\$16\r\nmaxmemory-policy\r\n\$4\r\nacks\r\n`}}
	use3 = []step{{"ADDJOB q x 0", jobAdded}, {"GETJOB FROM q", `\*1\r\n\*3\r\n(?s:.*)`}, {"GETJOB NOHANG FROM q", `_\r\n`},
		{"CONFIG GET maxmemory-policy", `%1\r\n\$16\r\nmaxmemory-policy\r\n\$4\r\nacks\r\n`}}
)

var libraries = []library{
	{"redis-py 8", "", steps(step{"HELLO 3", hello3},
		step{"CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip", unknownSubcommand}, setInfo), use3},
	{"redis-py 8 with everything", "pw", steps(step{"HELLO 3 AUTH default pw", hello3},
		step{"CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type internal-ip", unknownSubcommand},
		step{"CLIENT SETNAME worker", ok}, setInfo, step{"SELECT 0", ok}), use3},
	{"redis-py 5", "pw", steps(step{"AUTH pw", ok}, step{"CLIENT SETNAME worker", ok}, setInfo, step{"SELECT 0", ok}), use2},
	{"node-redis 6", "", steps(step{"HELLO 3", hello3}, setInfo,
		step{"CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip", unknownSubcommand}), use3},
	{"node-redis 6 with everything", "pw", steps(step{"HELLO 3 AUTH default pw SETNAME worker", hello3}, step{"SELECT 0", ok}, setInfo,
		step{"CLIENT MAINT_NOTIFICATIONS ON moving-endpoint-type external-ip", unknownSubcommand}, step{"CLIENT GETNAME", `\$6\r\nworker\r\n`}), use3},
	{"node-redis 4", "pw", steps(step{"AUTH pw", ok}, setInfo, step{"CLIENT SETNAME worker", ok}, step{"SELECT 0", ok}), use2},
	{"node-redis 3", "", steps(infoOK), use2},
	{"ioredis 6", "", steps(step{"hello 3", hello3}, setInfo, step{"info", infoOK.want}), use3},
	{"ioredis 6 with everything", "pw", steps(step{"hello 3 AUTH default pw", hello3}, setInfo, step{"select 0", ok},
		step{"client setname worker", ok}, step{"info", infoOK.want}), use3},
	{"ioredis 5", "pw", steps(step{"auth pw", ok}, setInfo, step{"info", infoOK.want}), use2},
	{"redis-client (Ruby)", "", steps(step{"HELLO 3", hello3}), use3},
	{"redis-client (Ruby) with everything", "pw", steps(step{"HELLO 3 AUTH default pw", hello3}, step{"CLIENT SETNAME worker", ok}, step{"SELECT 0", ok}), use3},
	{"Jedis 8", "", steps(step{"HELLO 3", hello3}, setInfo, step{"READONLY", noCluster}), use3},
	{"Jedis 5", "pw", steps(step{"AUTH pw", ok}, step{"CLIENT SETNAME worker", ok}, setInfo, step{"SELECT 0", ok}), use2},
	{"Lettuce 6", "", steps(step{"HELLO 3", hello3}, step{"CLIENT SETINFO lib-name Lettuce", ok}, step{"CLIENT SETINFO lib-ver 6.8.0/abc", ok},
		step{"CLIENT MAINT_NOTIFICATIONS on moving-endpoint-type internal-ip", unknownSubcommand}), use3},
	{"Lettuce 6 with everything", "pw", steps(step{"HELLO 3 AUTH default pw SETNAME worker", hello3}, step{"SELECT 0", ok}), use3},
	{"StackExchange.Redis", "pw", steps(step{"AUTH pw", ok}, step{"CLIENT SETNAME worker", ok}, setInfo, step{"CLIENT ID", `:\d+\r\n`},
		step{"CONFIG GET timeout", `\*2\r\n\$7\r\ntimeout\r\n\$\d+\r\n\d+\r\n`},
		step{"CONFIG GET replica-read-only", `\*0\r\n`}, step{"CONFIG GET databases", `\*2\r\n\$9\r\ndatabases\r\n\$\d+\r\n\d+\r\n`},
		step{"INFO replication", `\$\d+\r\n(?s:.*)`}, step{"INFO server", `\$\d+\r\n# Server\r\n(?s:.*)`},
		step{"GET __Booksleeve_TieBreak", unknownCommand}, step{"ECHO 0123456789abcdef", `\$16\r\n0123456789abcdef\r\n`}, step{"PING", pong}), use2},
	{"rueidis", "", steps(step{"HELLO 3", hello3}, step{"CLIENT TRACKING ON OPTIN", ok}, setInfo, step{"CLUSTER SLOTS", noCluster}, step{"PING", pong}), use3},
	{"go-redis 9, Protocol 2", "", steps(step{"hello 2", hello2}, setInfo), use2},
	{"redis-cli -3", "", steps(step{"HELLO 3", hello3}, step{"COMMAND DOCS", `%0\r\n`}), use3},
	{"redis-cli", "pw", steps(step{"AUTH pw", ok}, step{"COMMAND DOCS", `\*0\r\n`}), use2},
	{"redis-benchmark", "", steps(step{"CONFIG GET save", `\*2\r\n\$4\r\nsave\r\n\$0\r\n\r\n`},
		step{"CONFIG GET appendonly", `\*2\r\n\$10\r\nappendonly\r\n\$\d+\r\n(yes|no)\r\n`}), use2},
}

// steps joins steps and lists of them.
func steps(parts ...any) (all []step) {
	for _, p := range parts {
		switch p := p.(type) {
		case step:
			all = append(all, p)
		case []step:
			all = append(all, p...)
		}
	}
	return all
}

// requireReplies sends the steps in the way given and checks each reply.
func requireReplies(t *testing.T, c *servertest.Client, all []step, pipelined bool) {
	t.Helper()
	var batch []byte
	for _, s := range all {
		batch = append(batch, servertest.Command(strings.Fields(s.send)...)...)
	}
	if pipelined {
		c.Send(string(batch))
	}
	for _, s := range all {
		if !pipelined {
			c.Send(string(servertest.Command(strings.Fields(s.send)...)))
		}
		require.Regexp(t, `^`+s.want+`$`, c.Raw(), s.send)
	}
}

// Most libraries wait for each reply; node-redis, go-redis and rueidis send
// all they have to say at once. Both must work for every sequence.
func TestConnectSequences(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			s := servertest.Start(t, "--requirepass", lib.requirepass)
			for _, pipelined := range []bool{false, true} {
				c := s.Dial(t)
				requireReplies(t, c, lib.connect, pipelined)
				requireReplies(t, c, lib.use, false)
			}
		})
	}
}

// Rejections that libraries act upon: they decide by the first word.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, "--requirepass", "pw")
	for _, test := range []step{
		{"HELLO 4", `-NOPROTO unsupported protocol version\r\n`},
		{"HELLO three", `-ERR Protocol version is not an integer or out of range\r\n`},
		{"HELLO 3", `-NOAUTH HELLO must be called with the client already authenticated,[^\r\n]*\r\n`},
		{"HELLO", `-NOAUTH Authentication required\.\r\n`},
		{"HELLO 3 AUTH default wrong", `-WRONGPASS [^\r\n]*\r\n`},
		{"HELLO 3 AUTH somebody pw", `-WRONGPASS [^\r\n]*\r\n`},
		{"HELLO 3 BOGUS", `-ERR Syntax error in HELLO option 'BOGUS'\r\n`},
		{"AUTH wrong", `-WRONGPASS [^\r\n]*\r\n`},
		{"CLIENT SETINFO LIB-NAME x", `-NOAUTH Authentication required\.\r\n`},
		{"INFO", `-NOAUTH Authentication required\.\r\n`},
	} {
		t.Run(test.send, func(t *testing.T) {
			t.Parallel()
			c := s.Dial(t)
			requireReplies(t, c, []step{test}, false)
			// A failed HELLO 3 has not switched the protocol: the null is RESP2's.
			requireReplies(t, c, []step{{"AUTH pw", ok}, {"GETJOB NOHANG FROM q", `\*-1\r\n`}}, false)
		})
	}
}

// Disque's clients ask HELLO without a version, some of them after RESP3.
func TestHelloOfDisque(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	const disque = `\*3\r\n:1\r\n\$40\r\n[0-9a-f]{40}\r\n\*4\r\n\$40\r\n[0-9a-f]{40}\r\n\$9\r\n127\.0\.0\.1\r\n\$\d\r\n\d+\r\n\$1\r\n1\r\n`
	requireReplies(t, c, []step{{"HELLO", disque}, {"HELLO 3", hello3}, {"HELLO", disque}, {"GETJOB NOHANG FROM q", `_\r\n`}}, false)
}
