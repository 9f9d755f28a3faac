package server_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// The tests of this file are the twelve points of what a server must answer so
// that every client library connects with its default settings: TestConnect1
// to TestConnect12, raw on the wire, in both versions of the protocol.

// inBoth runs a test in RESP2 and in RESP3, with a server of its own each.
func inBoth(t *testing.T, test func(t *testing.T, srv *servertest.Server, c *servertest.Client, proto int)) {
	t.Parallel()
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", proto), func(t *testing.T) {
			t.Parallel()
			srv := servertest.Start(t)
			test(t, srv, dial(t, srv, proto), proto)
		})
	}
}

// null is what "no such thing" looks like in a protocol.
func null(proto int, resp2 string) string {
	if proto == 3 {
		return noThing
	}
	return resp2
}

func TestConnect1HelloAloneIsDisques(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, proto int) {
		node := bulkOf(c.Do("CLUSTER", "MYID"))
		_, port, err := net.SplitHostPort(srv.Addr)
		require.NoError(t, err)
		want := "*3\r\n:1\r\n" + bulk(node) + bulks(node, "127.0.0.1", port, "1")
		require.Equal(t, ok, c.Do("CLIENT", "SETNAME", "me"))
		require.Equal(t, want, c.Do("HELLO"))
		require.Equal(t, bulk("me"), c.Do("CLIENT", "GETNAME"), "HELLO took the name away")
		require.Equal(t, null(proto, noBulk), c.Do("SHOW", "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"), "HELLO changed the protocol")

		require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "pw"))
		stranger := srv.Dial(t)
		require.Equal(t, noAuth, stranger.Do("HELLO"))
		require.Equal(t, want, c.Do("HELLO"))
	})
}

// helloReply is Redis' reply to HELLO, with any client id.
func helloReply(proto int) string {
	head := "*14"
	if proto == 3 {
		head = "%7"
	}
	return `^` + strings.NewReplacer("*", `\*`, "$", `\$`).Replace(head+"\r\n"+bulk("server")+bulk("disqo")+bulk("version")) +
		`\$\d\r\n\d+\.\d+\.\d+\r\n` +
		strings.NewReplacer("*", `\*`, "$", `\$`).Replace(bulk("proto")+fmt.Sprintf(":%d\r\n", proto)+bulk("id")) + `:\d+\r\n` +
		strings.NewReplacer("*", `\*`, "$", `\$`).Replace(bulk("mode")+bulk("standalone")+bulk("role")+bulk("master")+bulk("modules")+"*0\r\n") + `$`
}

func TestConnect2HelloChoosesTheProtocol(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	for _, proto := range []int{3, 2, 3, 3} {
		require.Regexp(t, helloReply(proto), c.Do("hello", fmt.Sprint(proto)))
		require.Equal(t, null(proto, noArray), c.Do("GETJOB", "NOHANG", "FROM", "q"))
	}
	require.Regexp(t, helloReply(2), c.Do("HELLO", "2", "setNAME", "worker-1", "auth", "default", "whatever"))
	require.Equal(t, bulk("worker-1"), c.Do("CLIENT", "GETNAME"))
	id := decode(t, c.Do("CLIENT", "ID"))
	require.Equal(t, id, fields(t, c.Do("HELLO", "2"))["id"])
}

func TestConnect2HelloErrorsChangeNothing(t *testing.T) {
	t.Parallel()
	const (
		notNumber  = "-ERR Protocol version is not an integer or out of range\r\n"
		noProto    = "-NOPROTO unsupported protocol version\r\n"
		wrongPass  = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
		helloLogin = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> " +
			"AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time\r\n"
		badName = "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
	)
	srv := servertest.Start(t, "--requirepass", "pw")
	for _, row := range []struct {
		words []string
		want  string
	}{
		{[]string{"three"}, notNumber},
		{[]string{""}, notNumber},
		{[]string{"3.0"}, notNumber},
		{[]string{"99999999999999999999"}, notNumber},
		{[]string{"AUTH", "default", "pw"}, notNumber},
		{[]string{"1"}, noProto},
		{[]string{"4"}, noProto},
		{[]string{"-3", "AUTH", "default", "pw"}, noProto},
		{[]string{"3"}, helloLogin},
		{[]string{"3", "SETNAME", "n"}, helloLogin},
		{[]string{"3", "AUTH", "default", "no"}, wrongPass},
		{[]string{"3", "AUTH", "default", ""}, wrongPass},
		{[]string{"3", "AUTH", "root", "pw"}, wrongPass},
		{[]string{"3", "AUTH", "default", "pw", "SETNAME", "a b"}, badName},
		{[]string{"3", "AUTH", "default"}, "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
		{[]string{"3", "AUTH", "default", "pw", "SETNAME"}, "-ERR Syntax error in HELLO option 'SETNAME'\r\n"},
		{[]string{"3", "AUTH", "default", "pw", "bogus"}, "-ERR Syntax error in HELLO option 'bogus'\r\n"},
	} {
		t.Run(strings.Join(row.words, " "), func(t *testing.T) {
			t.Parallel()
			c := srv.Dial(t)
			require.Equal(t, row.want, c.Do(append([]string{"HELLO"}, row.words...)...))
			require.Equal(t, noAuth, c.Do("PING"), "a HELLO that failed let the client in")
			require.Equal(t, ok, c.Do("AUTH", "pw"))
			require.Equal(t, noBulk, c.Do("CLIENT", "GETNAME"), "a HELLO that failed set protocol or name")
		})
	}
}

func TestConnect2HelloLogsIn(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--requirepass", "pw").Dial(t)
	require.Regexp(t, helloReply(3), c.Do("HELLO", "3", "AUTH", "default", "pw", "SETNAME", "n"))
	require.Equal(t, pong, c.Do("PING"))
	require.Regexp(t, `^-WRONGPASS `, c.Do("HELLO", "2", "AUTH", "default", "no"))
	require.Equal(t, pong, c.Do("PING"), "a wrong password takes nothing away")
	require.Equal(t, noThing, c.Do("SHOW", "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"))
}

func TestConnect3Auth(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	require.Equal(t, "-ERR Client sent AUTH, but no password is set\r\n", c.Do("AUTH", "pw"))
	require.Equal(t, "-ERR Client sent AUTH, but no password is set\r\n", c.Do("AUTH", "default", "pw"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", "pw"))
	for _, row := range []struct {
		words []string
		want  string
	}{
		{[]string{"pw"}, `^\+OK\r\n$`},
		{[]string{"default", "pw"}, `^\+OK\r\n$`},
		{[]string{"Pw"}, `^-WRONGPASS `},
		{[]string{"pw\x00"}, `^-WRONGPASS `},
		{[]string{""}, `^-WRONGPASS `},
		{[]string{"pww"}, `^-WRONGPASS `},
		{[]string{"bob", "pw"}, `^-WRONGPASS `},
		{[]string{"default", "no"}, `^-WRONGPASS `},
		{nil, `^-ERR wrong number of arguments for 'auth' command\r\n$`},
		{[]string{"default", "pw", "x"}, `^-ERR syntax error\r\n$`},
	} {
		t.Run(strings.Join(row.words, " "), func(t *testing.T) {
			t.Parallel()
			c := srv.Dial(t)
			require.Equal(t, noAuth, c.Do("PING"))
			require.Regexp(t, row.want, c.Do(append([]string{"AUTH"}, row.words...)...))
			want := noAuth
			if row.want == `^\+OK\r\n$` {
				want = pong
			}
			require.Equal(t, want, c.Do("PING"))
		})
	}
}

func TestConnect3OnlyHandshakeBeforeAuth(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--requirepass", "pw")
	c := srv.Dial(t)
	require.Equal(t, "-ERR unknown command 'NOSUCH'\r\n", c.Do("NOSUCH"))
	require.Equal(t, "-ERR wrong number of arguments for 'show' command\r\n", c.Do("SHOW"))
	for _, r := range decode(t, servertest.Start(t).Dial(t).Do("COMMAND")).([]any) {
		name, arity := r.([]any)[0].(string), r.([]any)[1].(int64)
		if name == "auth" || name == "hello" || name == "reset" || name == "quit" {
			continue
		}
		words := []string{name, "a", "b", "c"}[:max(1, arity, -arity)]
		require.Equal(t, noAuth, c.Do(words...), "%s", words)
	}
	require.Equal(t, noAuth, c.Do("INFO"))
	require.Equal(t, "+RESET\r\n", c.Do("RESET"))
	require.Equal(t, ok, c.Do("QUIT"))
	c.Closed()
}

func TestConnect4ClientSubcommands(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, proto int) {
		require.Equal(t, ok, c.Do("CLIENT", "SETINFO", "LIB-NAME", "go-redis(,go1.26.8)"))
		require.Equal(t, ok, c.Do("client", "setinfo", "lib-ver", "9.23.0"))
		require.Equal(t, null(proto, noBulk), c.Do("CLIENT", "GETNAME"))
		require.Equal(t, ok, c.Do("CLIENT", "SETNAME", "me"))
		require.Equal(t, bulk("me"), c.Do("CLIENT", "GETNAME"))
		id := decode(t, c.Do("CLIENT", "ID")).(int64)
		require.Positive(t, id)
		list := decode(t, c.Do("CLIENT", "LIST")).(string)
		require.Regexp(t, fmt.Sprintf(`^id=%d addr=%s fd=\d+ name=me age=\d+ idle=\d+ flags=N qbuf=\d+ qbuf-free=\d+ obl=\d+ oll=\d+ omem=\d+ events=\w+ cmd=client\b[^\n]*\n$`,
			id, c.Conn.LocalAddr()), list)
		other := srv.Dial(t)
		require.Equal(t, pong, other.Do("PING"))
		require.Equal(t, ok, c.Do("CLIENT", "KILL", other.Conn.LocalAddr().String()))
		other.Closed()
		require.Equal(t, ok, c.Do("CLIENT", "PAUSE", "0"))
		require.Equal(t, ok, c.Do("CLIENT", "REPLY", "ON"))
		require.Regexp(t, `^-ERR Syntax error, try CLIENT`, c.Do("CLIENT", "PAUSE"))
	})
}

func TestConnect5TrackingIsAccepted(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, _ int) {
		for _, words := range [][]string{{"ON"}, {"OFF"}, {"ON", "OPTIN"}, {"ON", "BCAST", "PREFIX", "a", "NOLOOP"}} {
			require.Equal(t, ok, c.Do(append([]string{"CLIENT", "TRACKING"}, words...)...))
		}
	})
}

func TestConnect6UnknownClientSubcommandsKeepTheConnection(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, _ int) {
		for _, words := range [][]string{
			{"MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip"},
			{"maint_notifications", "on", "moving-endpoint-type", "external-ip"},
			{"CACHING", "YES"}, {"bogus"},
		} {
			require.Equal(t, fmt.Sprintf("-ERR unknown subcommand '%s'. Try CLIENT HELP.\r\n", words[0]), c.Do(append([]string{"CLIENT"}, words...)...))
		}
		require.Equal(t, pong, c.Do("PING"))
	})
}

func TestConnect7SmallCommands(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, proto int) {
		require.Equal(t, ok, c.Do("SELECT", "0"))
		for _, n := range []string{"1", "15", "-1"} {
			require.Equal(t, "-ERR DB index is out of range\r\n", c.Do("SELECT", n))
		}
		require.Regexp(t, `^-ERR `, c.Do("SELECT", "x"))
		require.Equal(t, bulk("a\r\nb\x00"), c.Do("ECHO", "a\r\nb\x00"))
		require.Equal(t, bulk(""), c.Do("ECHO", ""))
		require.Equal(t, pong, c.Do("PING"))
		require.Equal(t, bulk("hi"), c.Do("PING", "hi"))

		require.Equal(t, ok, c.Do("CLIENT", "SETNAME", "me"))
		require.Equal(t, ok, c.Do("MULTI"))
		require.Equal(t, queued, c.Do("PING"))
		require.Equal(t, "+RESET\r\n", c.Do("RESET"))
		require.Equal(t, "-ERR EXEC without MULTI\r\n", c.Do("EXEC"))
		require.Equal(t, noBulk, c.Do("CLIENT", "GETNAME"), "RESET returns to RESP2 and takes the name")

		c.Send(string(servertest.Command("QUIT", "now")) + string(servertest.Command("PING")))
		require.Equal(t, ok, c.Raw())
		c.Closed()
	})
}

func TestConnect7ResetLogsOut(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t, "--requirepass", "pw").Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "pw"))
	require.Equal(t, "+RESET\r\n", c.Do("RESET"))
	require.Equal(t, noAuth, c.Do("PING"))
}

func TestConnect8CommandRows(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, proto int) {
		rows := decode(t, c.Do("COMMAND")).([]any)
		require.Greater(t, len(rows), 30)
		require.Equal(t, fmt.Sprintf(":%d\r\n", len(rows)), c.Do("COMMAND", "COUNT"))
		width := map[int]int{2: 6, 3: 10}[proto]
		for _, r := range rows {
			row := r.([]any)
			require.Len(t, row, width)
			require.IsType(t, "", row[0])
			require.IsType(t, int64(0), row[1])
			require.IsType(t, []any{}, row[2])
			require.Equal(t, []any{int64(0), int64(0), int64(0)}, row[3:6])
			for _, more := range row[6:] {
				require.Empty(t, more.([]any))
			}
		}
		require.Equal(t, rows, decode(t, c.Do("COMMAND", "INFO")))
		require.Contains(t, c.Do("COMMAND", "INFO", "getjob"), "*2\r\n+write\r\n+fast\r\n", "flags are statuses")
		require.Equal(t, "*1\r\n"+null(proto, noBulk), c.Do("COMMAND", "INFO", "nope"))
		require.Equal(t, map[int]string{2: "*0\r\n", 3: "%0\r\n"}[proto], c.Do("COMMAND", "DOCS"))
		require.Equal(t, map[int]string{2: "*0\r\n", 3: "%0\r\n"}[proto], c.Do("COMMAND", "DOCS", "addjob"))
	})
}

// referenceTable is section 1.4 of the specification: arity and flags.
const referenceTable = `auth -2 readonly,loading,fast|ping -1 readonly,fast|info -1 readonly,loading|shutdown -1 readonly,admin,loading|` +
	`monitor 1 readonly,admin|debug -2 admin|config -2 readonly,admin|cluster -2 readonly,admin|client -2 readonly,admin|` +
	`slowlog -2 readonly|time 1 readonly,fast|command 0 readonly,loading|latency -2 readonly,admin,loading|hello -1 readonly,fast|` +
	`addjob -4 write,denyoom,fast|ackjob -1 write,fast|deljob -1 write,fast|show 2 readonly,fast|loadjob 2 write|` +
	`bgrewriteaof 1 readonly,admin|qlen 2 readonly,fast|qpeek 3 readonly|qstat 2 readonly,fast|qscan -1 readonly|jscan -1 readonly|` +
	`enqueue -1 write,denyoom,fast|nack -1 write,denyoom,fast|dequeue -1 write,fast|working 2 write,fast|pause -3 readonly,fast|` +
	`getjob -2 write,fast|fastack -1 write,fast`

// AUTH and HELLO take more words than the reference's; all else is the same.
func TestConnect8TableIsTheReferences(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	rows := decode(t, c.Do("COMMAND")).([]any)
	for i, line := range strings.Split(referenceTable, "|") {
		row := rows[i].([]any)
		var flags []string
		for _, f := range row[2].([]any) {
			flags = append(flags, f.(string))
		}
		require.Equal(t, line, fmt.Sprintf("%s %d %s", row[0], row[1], strings.Join(flags, ",")))
	}
}

func TestConnect9RedisClusterIsOff(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, _ int) {
		const off = "-ERR This instance has cluster support disabled\r\n"
		require.Equal(t, off, c.Do("CLUSTER", "SLOTS"))
		require.Equal(t, off, c.Do("CLUSTER", "SHARDS"))
		require.Equal(t, off, c.Do("READONLY"))
		line := decode(t, c.Do("CLUSTER", "NODES")).(string)
		require.Len(t, strings.Fields(line), 6)
		require.Regexp(t, `^[0-9a-f]{40} 127\.0\.0\.1:\d+@\d+ myself 0 0 connected\n$`, line)
		require.Regexp(t, `^cluster_state:ok\r\ncluster_known_nodes:1\r\n`, decode(t, c.Do("CLUSTER", "INFO")))
	})
}

func TestConnect10ConfigGet(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, proto int) {
		head := map[int]string{2: "*2\r\n", 3: "%1\r\n"}[proto]
		require.Equal(t, head+bulk("save")+bulk(""), c.Do("CONFIG", "GET", "save"))
		require.Equal(t, ok, c.Do("CONFIG", "SET", "appendonly", "no"))
		require.Equal(t, head+bulk("appendonly")+bulk("no"), c.Do("CONFIG", "GET", "appendonly"))
		require.Equal(t, map[int]string{2: "*0\r\n", 3: "%0\r\n"}[proto], c.Do("CONFIG", "GET", "nosuch"))
	})
}

func TestConnect11Nulls(t *testing.T) {
	inBoth(t, func(t *testing.T, _ *servertest.Server, c *servertest.Client, proto int) {
		require.Equal(t, null(proto, noArray), c.Do("GETJOB", "NOHANG", "FROM", "q"))
		require.Equal(t, null(proto, noArray), c.Do("GETJOB", "TIMEOUT", "1", "FROM", "q"), "an empty GETJOB that waited")
		require.Equal(t, null(proto, noBulk), c.Do("SHOW", "D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"))
		require.Equal(t, null(proto, noArray), c.Do("QSTAT", "unknown"))
		id := c.Job("once", "x", "RETRY", "0")
		require.Equal(t, proto == 3, strings.Contains(c.Do("SHOW", id), bulk("next-requeue-within")+noThing))
		require.Equal(t, proto == 2, strings.Contains(c.Do("SHOW", id), bulk("next-requeue-within")+noBulk))
	})
}

func TestConnect11ArraysStayArrays(t *testing.T) {
	inBoth(t, func(t *testing.T, srv *servertest.Server, c *servertest.Client, proto int) {
		id := c.Job("q", "x")
		require.Regexp(t, `^\*30\r\n`, c.Do("SHOW", id))
		require.Regexp(t, `^\*20\r\n`, c.Do("QSTAT", "q"))
		require.Regexp(t, `^\*3\r\n:1\r\n`, c.Do("HELLO"))
		require.Regexp(t, `^\*2\r\n\$1\r\n0\r\n\*1\r\n\$1\r\nq\r\n$`, c.Do("QSCAN", "0", "BUSYLOOP"))
		require.Regexp(t, `^\*2\r\n\$1\r\n0\r\n\*1\r\n\*30\r\n`, c.Do("JSCAN", "0", "BUSYLOOP", "REPLY", "ALL"))
		require.Regexp(t, `^\*1\r\n\*3\r\n`, c.Do("QPEEK", "q", "1"))
		require.Regexp(t, `^\*1\r\n\*7\r\n`, c.Do("GETJOB", "WITHCOUNTERS", "FROM", "q"))
		require.Equal(t, "+none\r\n", c.Do("PAUSE", "q", "state"))

		waiting := dial(t, srv, proto)
		waiting.Send(bulks("GETJOB", "FROM", "w"))
		blockedClients(t, c, 1)
		id = c.Job("w", "y")
		require.Equal(t, "*1\r\n"+bulks("w", id, "y"), waiting.Raw())
	})
}
