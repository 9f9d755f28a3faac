package server_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/servertest"
)

// jobWords are commands that need a right, with what a client might say. JOB stands
// for the id of a job of the queue mail.
var jobWords = map[string]string{
	"addjob": "ADDJOB mail body 0", "getjob": "GETJOB NOHANG FROM mail", "ackjob": "ACKJOB JOB", "fastack": "FASTACK JOB",
	"nack": "NACK JOB DELAY 1", "working": "WORKING JOB", "bury": "BURY JOB REASON x", "enqueue": "ENQUEUE JOB", "dequeue": "DEQUEUE JOB",
	"info": "INFO", "show": "SHOW JOB", "qlen": "QLEN mail", "qpeek": "QPEEK mail 1", "qstat": "QSTAT mail", "qscan": "QSCAN", "jscan": "JSCAN",
	"cluster|info": "CLUSTER INFO", "cluster|nodes": "CLUSTER NODES", "cluster|myid": "CLUSTER MYID",
	"deljob": "DELJOB JOB", "kick": "KICK mail", "kickjob": "KICKJOB JOB", "promote": "PROMOTE JOB", "pause": "PAUSE mail state", "qpurge": "QPURGE mail",
	"loadjob": "LOADJOB x", "acl": "ACL LIST", "backup": "BACKUP x", "bgrewriteaof": "BGREWRITEAOF", "client|list": "CLIENT LIST", "client|kill": "CLIENT KILL ID 999999",
	"client|pause": "CLIENT PAUSE 0", "cluster": "CLUSTER SAVECONFIG", "config": "CONFIG GET port", "debug": "DEBUG SLEEP 0", "latency": "LATENCY LATEST",
	"monitor": "MONITOR", "slowlog": "SLOWLOG LEN", "shutdown": "SHUTDOWN NOW NOW",
}

// openWords need a login and no right.
var openWords = []string{
	"PING", "ECHO x", "TIME", "SELECT 0", "COMMAND COUNT", "HELLO", "HELLO 2", "MULTI", "DISCARD", "CLIENT ID", "CLIENT GETNAME", "CLIENT SETNAME x",
	"CLIENT SETINFO LIB-NAME x", "CLIENT INFO", "ACL WHOAMI",
}

// category returns the commands of a category, as the broker says.
func category(t *testing.T, c *servertest.Client, name string) (list []string) {
	t.Helper()
	words, isList := servertest.Decode(t, c.Do("ACL", "CAT", name)).([]any)
	require.True(t, isList)
	for _, w := range words {
		list = append(list, w.(string))
	}
	return list
}

// Each command is run by a user who has every right but its own, and by one who has
// only that: alone, in a pipeline, in MULTI, over RESP3.
func TestEveryRight(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	root := srv.Dial(t)
	var all []string
	for _, name := range []string{"produce", "consume", "inspect", "admin"} {
		all = append(all, category(t, root, name)...)
	}
	require.Len(t, all, len(jobWords), "each command that needs a right is tried")
	for _, name := range all {
		words, known := jobWords[name]
		require.True(t, known, name)
		job := root.Job("mail", "body")
		args := strings.Fields(strings.ReplaceAll(words, "JOB", "\x00"))
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, "\x00", job)
		}
		if strings.HasPrefix(words, "ADDJOB") || strings.HasSuffix(strings.Fields(words)[0], "JOB") {
			args[0] = strings.Fields(words)[0] // its name has the word
		}
		denied := "-NOPERM User without has no permissions to run the '" + name + "' command\r\n"
		require.Equal(t, ok, root.Do("ACL", "SETUSER", "without", "reset", "on", ">pw", "~*", "+@all", "-"+name))
		require.Equal(t, ok, root.Do("ACL", "SETUSER", "only", "reset", "on", ">pw", "~*", "+"+name))
		for _, who := range []string{"without", "only"} {
			for _, proto := range []string{"2", "3"} {
				c := srv.Dial(t)
				require.NotContains(t, c.Do("HELLO", proto, "AUTH", who, "pw"), "ERR")
				c.Send(string(servertest.Command("PING")) + string(servertest.Command(args...)) + string(servertest.Command("PING")))
				require.Equal(t, pong, c.Raw())
				said := c.Raw()
				if who == "without" {
					require.Equal(t, denied, said, name)
					require.Equal(t, pong, c.Raw(), "it costs the client nothing else")
					c.Do("MULTI")
					require.Equal(t, denied, c.Do(args...), name)
					require.Contains(t, c.Do("EXEC"), "-EXECABORT")
				} else {
					require.NotContains(t, said, "NOPERM", name)
				}
			}
		}
	}
}

func TestOpenCommands(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--user", "nobody", "on", ">pw")
	c, root, gone := srv.Dial(t), srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "nobody", "pw"))
	require.Equal(t, pong, gone.Do("PING"))
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "default", "off"))
	root.Closed()
	gone.Closed()
	stranger := srv.Dial(t)
	for _, words := range openWords {
		require.False(t, strings.HasPrefix(c.Do(strings.Fields(words)...), "-"), words)
		if words != "HELLO 2" {
			require.Equal(t, "-NOAUTH Authentication required.\r\n", stranger.Do(strings.Fields(words)...), words)
		}
	}
}

// Each command of the table has a right, or is open on purpose: one that was forgotten
// would ask for all rights.
func TestEveryCommandIsKnown(t *testing.T) {
	t.Parallel()
	root := servertest.Start(t).Dial(t)
	names, isList := servertest.Decode(t, root.Do("COMMAND", "LIST")).([]any)
	require.True(t, isList)
	require.NotEmpty(t, names)
	for _, name := range names {
		_, rights := jobWords[name.(string)]
		open := slices.ContainsFunc(openWords, func(words string) bool {
			return strings.EqualFold(strings.Fields(words)[0], name.(string))
		})
		require.True(t, rights || open || slices.Contains([]string{"auth", "exec", "readonly", "reset", "quit"}, name.(string)), name)
	}
	right, name := acl.Of("forgotten", "")
	require.Equal(t, "+@all", right.String())
	require.Equal(t, "forgotten", name)
}

// A user of one queue can do nothing with another: neither by its name, nor by the id
// of a job of it, and sees nothing of it.
func TestQueuesOfUsers(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	root, c := srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "mailer", "on", ">pw", "~mail", "~mail:*", "+@all"))
	require.Equal(t, ok, c.Do("AUTH", "mailer", "pw"))
	mine, other := root.Job("mail", "mine"), root.Job("sms", "other")
	for _, words := range []string{
		"ADDJOB sms body 0", "GETJOB NOHANG FROM sms", "GETJOB NOHANG COUNT 2 FROM mail sms", "QLEN sms", "QPEEK sms 1", "QSTAT sms", "QSTAT sms FULL",
		"PAUSE sms in", "KICK sms", "QPURGE sms",
	} {
		require.Equal(t, "-NOPERM User mailer has no permissions to access the queue 'sms'\r\n", c.Do(strings.Fields(words)...), words)
	}
	for _, words := range []string{
		"SHOW " + other, "SHOW " + other + " FULL", "ACKJOB " + other, "FASTACK " + other, "NACK " + other,
		"WORKING " + other, "BURY " + other + " REASON x", "ENQUEUE " + other, "DEQUEUE " + other, "DELJOB " + other, "KICKJOB " + other,
		"PROMOTE " + other + " PRIORITY 1", "ACKJOB " + mine + " " + other, "NACK " + mine + " " + other + " DELAY 1",
	} {
		require.Equal(t, "-NOPERM User mailer has no permissions to access the queue of job '"+other+"'\r\n", c.Do(strings.Fields(words)...), words)
	}
	require.Equal(t, "-NOPERM User mailer has no permissions to access the queue ''\r\n", c.Do("ADDJOB", "", "body", "0"))
	require.Equal(t, "-NOPERM User mailer has no permissions to access the queue ''\r\n", c.Do("GETJOB", "NOHANG", "FROM", "mail", ""))
	require.Contains(t, root.Do("SHOW", other), "queued", "nothing happened to it")
	require.Contains(t, c.Do("QSCAN"), "mail")
	require.NotContains(t, c.Do("QSCAN", "BUSYLOOP"), "sms")
	require.Contains(t, c.Do("JSCAN"), mine)
	require.NotContains(t, c.Do("JSCAN", "REPLY", "all"), other)
	require.NotContains(t, c.Do("JSCAN", "QUEUE", "sms"), other)
	for _, words := range []string{
		"ADDJOB mail body 0", "ADDJOB mail:x body 0", "QLEN mail", "QSTAT mail", "SHOW " + mine, "WORKING " + mine, "NACK " + mine, "GETJOB NOHANG FROM mail mail:x",
		"PAUSE mail state", "ACKJOB " + mine,
	} {
		require.NotContains(t, c.Do(strings.Fields(words)...), "NOPERM", words)
	}
	require.Equal(t, "-ERR syntax error\r\n", c.Do("GETJOB", "FROM"), "what is no command is said to be none")
}

func TestLogins(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	root := srv.Dial(t)
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "alice", "on", ">one", ">two", "~*", "+@consume"))
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "guest", "on", "nopass"))
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "ghost", ">one", "~*", "+@all"))
	const wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	c := srv.Dial(t)
	for _, row := range []struct{ user, password, want string }{
		{"alice", "one", ok}, {"alice", "two", ok}, {"alice", "three", wrong}, {"alice", "", wrong}, {"bob", "one", wrong}, {"ghost", "one", wrong},
		{"guest", "anything", ok}, {"guest", "", ok}, {"default", "x", "-ERR Client sent AUTH, but no password is set\r\n"},
	} {
		require.Equal(t, row.want, c.Do("AUTH", row.user, row.password), row)
	}
	require.Equal(t, "$5\r\nguest\r\n", c.Do("ACL", "WHOAMI"), "what failed changed nothing")
	require.Contains(t, c.Do("HELLO", "3", "AUTH", "alice", "two"), "%7\r\n")
	require.Equal(t, "$5\r\nalice\r\n", c.Do("ACL", "WHOAMI"))
	require.Contains(t, root.Do("CLIENT", "LIST"), " user=alice ")
	require.Equal(t, "+RESET\r\n", c.Do("RESET"))
	require.Equal(t, "$7\r\ndefault\r\n", c.Do("ACL", "WHOAMI"))

	require.Equal(t, ok, root.Do("CONFIG", "SET", "requirepass", "pw"))
	require.Equal(t, "-NOAUTH Authentication required.\r\n", c.Do("PING"))
	require.Equal(t, ok, c.Do("AUTH", "default", "pw"))
	require.Equal(t, ok, c.Do("AUTH", "pw"))
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "default", ">more"))
	require.Equal(t, ok, c.Do("AUTH", "more"), "requirepass is one password of the default user")
	require.Contains(t, root.Do("ACL", "GETUSER", "default"), "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4", "SHA-256 of pw")
}

// Who takes requirepass away, and came by another password, stays.
func TestNoRequirePassLocksNobodyOut(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--user", "default", "on", ">own", "~*", "+@all", "--requirepass", "pw")
	c := srv.Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "own"))
	require.Equal(t, ok, c.Do("CONFIG", "SET", "requirepass", ""))
	require.Equal(t, pong, c.Do("PING"))
}

// requirepass comes on top of the most passwords that a user may have.
func TestRequirePassIsOneMore(t *testing.T) {
	t.Parallel()
	directives := []string{"--requirepass", "pw", "--user", "default", "on", "~*", "+@all"}
	for i := range 16 {
		directives = append(directives, fmt.Sprintf(">%d", i))
	}
	c := servertest.Start(t, directives...).Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "pw"))
	require.Equal(t, "*1\r\n$7\r\ndefault\r\n", c.Do("ACL", "USERS"))
	require.Contains(t, c.Do("ACL", "GETUSER", "default"), "passwords\r\n*17\r\n")
	require.Equal(t, ok, c.Do("ACL", "SETUSER", "default", "on"))
	require.Contains(t, c.Do("ACL", "SETUSER", "default", ">more"), "at most 16 passwords")
}

// Rules that take the default user's passwords away take requirepass, too.
func TestRulesTakeRequirePass(t *testing.T) {
	t.Parallel()
	const sum = "!30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4" // of "pw"
	for _, rules := range [][]string{{"resetpass", ">new"}, {">new", "<pw"}, {">new", sum}, {"reset", "on", ">new", "~*", "+@all"}} {
		srv := servertest.Start(t, "--requirepass", "pw")
		c := srv.Dial(t)
		require.Equal(t, ok, c.Do("AUTH", "pw"))
		require.Equal(t, ok, c.Do("ACL", "SETUSER", "default", ">other", "<other", "on"))
		require.Equal(t, pong, c.Do("PING"))
		require.Equal(t, ok, c.Do(append([]string{"ACL", "SETUSER", "default"}, rules...)...))
		c.Closed()
		c = srv.Dial(t)
		require.Contains(t, c.Do("AUTH", "pw"), "-WRONGPASS", rules)
		require.Equal(t, ok, c.Do("AUTH", "new"), rules)
		require.Equal(t, "*2\r\n$11\r\nrequirepass\r\n$0\r\n\r\n", c.Do("CONFIG", "GET", "requirepass"))
	}
}

// Whoever loses the user, the password or the rights by which they wait is gone, and
// nobody else is.
func TestUsersThatChange(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	root := srv.Dial(t)
	set := func(rules ...string) {
		t.Helper()
		require.Equal(t, ok, root.Do(append([]string{"ACL", "SETUSER"}, rules...)...))
	}
	login := func(user, password string) *servertest.Client {
		c := srv.Dial(t)
		require.Equal(t, ok, c.Do("AUTH", user, password))
		return c
	}
	blocked := func(c *servertest.Client, n string) {
		c.Send(string(servertest.Command("GETJOB", "FROM", "mail")))
		servertest.Until(t, "it waits", waitLimit, func() bool { return root.Info("clients", "blocked_clients") == n })
	}
	set("alice", "on", ">one", ">two", "~mail", "+@consume")
	set("bob", "on", ">pw", "~*", "+@all")
	alice, second, bob := login("alice", "one"), login("alice", "two"), login("bob", "pw")

	set("alice", "-nack")
	require.Contains(t, alice.Do("NACK", "x"), "-NOPERM")
	set("alice", "+nack", "<one")
	alice.Closed()
	require.Equal(t, pong, second.Do("PING"), "its password is one still")

	blocked(second, "1")
	set("alice", ">three", "~sms")
	second.Silent(20 * time.Millisecond)
	set("alice", "-getjob")
	second.Closed()

	set("alice", "+getjob")
	third := login("alice", "three")
	blocked(third, "1")
	set("alice", "off")
	third.Closed()

	require.Equal(t, ":1\r\n", bob.Do("ACL", "DELUSER", "bob", "nobody"))
	bob.Closed()
	require.Contains(t, root.Do("ACL", "DELUSER", "default"), "cannot be removed")
	require.Equal(t, "*2\r\n$5\r\nalice\r\n$7\r\ndefault\r\n", root.Do("ACL", "USERS"))
}

// Who waits or watches when a password is set gets nothing more; others are asked for it.
func TestRequirePassEndsWaits(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	root, waits, watches, quiet := srv.Dial(t), srv.Dial(t), srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, watches.Do("MONITOR"))
	require.Equal(t, pong, quiet.Do("PING"))
	require.Contains(t, watches.Raw(), "PING")
	waits.Send("GETJOB FROM mail\r\n")
	require.Contains(t, watches.Raw(), "GETJOB")
	servertest.Until(t, "it waits", waitLimit, func() bool { return strings.Contains(root.Do("QSTAT", "mail"), "blocked\r\n:1") })
	require.Equal(t, ok, root.Do("CONFIG", "SET", "requirepass", "pw"))
	waits.Closed()
	require.NoError(t, watches.Conn.SetReadDeadline(time.Now().Add(waitLimit)))
	_, err := io.Copy(io.Discard, watches.Conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it watches still")
	require.Equal(t, "-NOAUTH Authentication required.\r\n", quiet.Do("PING"))
	require.Contains(t, root.Do("ADDJOB", "mail", "body", "0"), "+D-")
	require.Equal(t, ":1\r\n", root.Do("QLEN", "mail"))
}

// A request that waits for a job ends like a connection that does.
func TestWaitsOverHTTPEnd(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--http-port", "0", "--user", "alice", "on", ">pw", "~mail", "+@consume")
	root := srv.Dial(t)
	base := "http://127.0.0.1:" + root.Info("server", "http_port")
	for _, rules := range [][]string{{"-getjob"}, {"resetkeys"}, {"off"}} {
		require.Equal(t, ok, root.Do("ACL", "SETUSER", "alice", "on", "~mail", "+getjob"))
		status := make(chan int, 1)
		go func() {
			req, err := http.NewRequest("POST", base+"/v1/queues/mail/jobs:get?wait=20s", http.NoBody)
			if err == nil {
				req.SetBasicAuth("alice", "pw")
				var resp *http.Response
				if resp, err = http.DefaultClient.Do(req); err == nil {
					_ = resp.Body.Close()
					status <- resp.StatusCode
					return
				}
			}
			status <- -1
		}()
		servertest.Until(t, "it waits", waitLimit, func() bool { return root.Info("clients", "blocked_clients") == "1" })
		require.Equal(t, ok, root.Do(append([]string{"ACL", "SETUSER", "alice"}, rules...)...))
		require.Equal(t, http.StatusForbidden, <-status, rules)
	}
	root.Job("mail", "body")
	require.Equal(t, ":1\r\n", root.Do("QLEN", "mail"))
}

func TestACLReplies(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	c := srv.Dial(t)
	require.Equal(t, ok, c.Do("ACL", "SETUSER", "alice", "on", ">alice", "~mail", "+@consume", "+qlen"))
	const sum = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
	require.Equal(t, []any{
		"flags", []any{"on"}, "passwords", []any{sum}, "commands", "-@all +@consume +qlen", "keys", "~mail", "channels", "", "selectors", []any{},
	}, servertest.Decode(t, c.Do("ACL", "GETUSER", "alice")))
	require.Equal(t, []any{"user alice on #" + sum + " ~mail -@all +@consume +qlen", "user default on nopass ~* +@all"}, servertest.Decode(t, c.Do("ACL", "LIST")))
	require.Equal(t, "$-1\r\n", c.Do("ACL", "GETUSER", "bob"))
	require.Equal(t, []any{"produce", "consume", "inspect", "admin"}, servertest.Decode(t, c.Do("ACL", "CAT")))
	for _, row := range [][]string{
		{"-ERR Unknown category 'x'", "CAT", "x"}, {"-ERR unknown subcommand", "SAVE"}, {"-ERR unknown subcommand", "SETUSER"},
		{"-ERR Error in ACL SETUSER modifier '+@x': there is no category", "SETUSER", "bob", "+@x"},
		{"-ERR Error in ACL SETUSER modifier '<...': the user has no such password", "SETUSER", "bob", "<secret"},
		{"-ERR the name of a user", "SETUSER", "b b", "on"}, {"-ERR value is not an integer", "LOG", "x"}, {"-ERR value is not an integer", "LOG", "-1"},
	} {
		require.Contains(t, c.Do(append([]string{"ACL"}, row[1:]...)...), row[0])
	}
	require.Equal(t, "$-1\r\n", c.Do("ACL", "GETUSER", "bob"), "a bad rule makes nobody")
}

// A second secret alone would look like encryption and be none.
func TestAlsoSecretAlone(t *testing.T) {
	t.Parallel()
	const why = "cluster-secret-also is a second secret"
	_, err := newBroker(t, nil, "--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir(), "--cluster-secret-also", "x")
	require.ErrorContains(t, err, why)
	require.Contains(t, servertest.Start(t).Dial(t).Do("CONFIG", "SET", "cluster-secret-also", "x"), why)
}

func TestACLLog(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t)
	root, c := srv.Dial(t), srv.Dial(t)
	require.Equal(t, ok, root.Do("ACL", "SETUSER", "alice", "on", ">pw", "~mail", "+@produce"))
	c.Do("AUTH", "alice", "wrong")
	c.Do("AUTH", "alice", "wrong")
	require.Equal(t, ok, c.Do("AUTH", "alice", "pw"))
	c.Do("QLEN", "mail")
	c.Do("MULTI")
	c.Do("ADDJOB", "sms", "body", "0")
	events, _ := servertest.Decode(t, root.Do("ACL", "LOG")).([]any)
	require.Len(t, events, 3)
	for i, want := range []struct{ count, reason, context, object string }{
		{"1", "key", "multi", "sms"}, {"1", "command", "toplevel", "qlen"}, {"2", "auth", "toplevel", "AUTH"},
	} {
		e, _ := events[i].([]any)
		require.Equal(t, want.count, fmt.Sprint(e[1]))
		require.Equal(t, []any{want.reason, want.context, want.object, "alice"}, []any{e[3], e[5], e[7], e[9]})
		require.Contains(t, e[13], "addr=127.0.0.1:")
	}
	require.Equal(t, "*1\r\n", root.Do("ACL", "LOG", "1")[:4])
	require.Equal(t, ok, root.Do("ACL", "LOG", "RESET"))
	require.Equal(t, "*0\r\n", root.Do("ACL", "LOG"))
}

// Users come from the file, and CONFIG REWRITE writes them there, without a password.
func TestUsersInTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := servertest.Launch(t, dir, "--user", "alice", "on", ">s3cret", "~mail", "+@consume")
	c := p.Dial(t)
	require.Equal(t, ok, c.Do("AUTH", "alice", "s3cret"))
	require.Contains(t, c.Do("QLEN", "mail"), "-NOPERM")
	require.NotContains(t, p.Log(), "s3cret")
}

// What ACL LIST prints makes the same users, cut at blanks, and what CONFIG REWRITE
// writes when it is read; so no pattern has a blank.
func TestUsersAreReadBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := filepath.Join(dir, "disqo.conf")
	require.NoError(t, os.WriteFile(conf, nil, 0o600))
	p := servertest.ExecFile(t, conf, dir)
	c := p.Dial(t)
	users := func(c *servertest.Client) (list []string) {
		for _, line := range servertest.Decode(t, c.Do("ACL", "LIST")).([]any) {
			list = append(list, line.(string))
		}
		return list
	}
	require.Equal(t, ok, c.Do("ACL", "SETUSER", "alice", "on", ">two words", ">s3cret", `~"mail"`, `~it's`, `~back\\slash`, "~ümlaut", "~\xff\xfe", "~#1", "~a?b", "+@consume", "-nack"))
	require.Equal(t, ok, c.Do("ACL", "SETUSER", "bob", "nopass", "allkeys", "+@all", "-shutdown"))
	const refusal = "-ERR Error in ACL SETUSER modifier '~%s': a pattern has no blanks and no control characters, as ACL LIST could not be read back: write ? for each of them\r\n"
	require.Equal(t, fmt.Sprintf(refusal, "a b"), c.Do("ACL", "SETUSER", "alice", "~a b"))
	want := users(c)
	require.Len(t, want, 3)

	other := servertest.Start(t).Dial(t)
	for _, line := range want {
		words := strings.Split(line, " ")
		require.Equal(t, "user", words[0])
		require.Equal(t, ok, other.Do(append([]string{"ACL", "SETUSER", words[1]}, words[2:]...)...), line)
	}
	require.Equal(t, want, users(other))

	require.Equal(t, ok, c.Do("CONFIG", "REWRITE"))
	require.Zero(t, p.Terminate(t))
	require.Equal(t, want, users(servertest.ExecFile(t, conf, dir).Dial(t)))

	require.NoError(t, os.WriteFile(conf, []byte("user eve on \"~a b\"\n"), 0o600))
	_, err := config.Load([]string{conf})
	require.ErrorContains(t, err, "write ? for each of them")
}

func TestUsersOverHTTP(t *testing.T) {
	t.Parallel()
	srv := servertest.Start(t, "--http-port", "0", "--user", "mailer", "on", ">pw", "~mail", "+@produce", "+@consume",
		"--user", "watcher", "on", ">pw", "~*", "+@inspect", "--user", "some", "on", ">pw", "~mail", "+@inspect", "--requirepass", "root")
	root := srv.Dial(t)
	require.Equal(t, ok, root.Do("AUTH", "root"))
	base := "http://127.0.0.1:" + root.Info("server", "http_port")
	do := func(method, path, user, password string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, base+path, strings.NewReader("body"))
		require.NoError(t, err)
		if user != "" {
			req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	for _, row := range []struct {
		method, path, user, password string
		want                         int
	}{
		{"POST", "/v1/queues/mail/jobs", "mailer", "pw", 201}, {"POST", "/v1/queues/sms/jobs", "mailer", "pw", 403}, {"POST", "/v1/queues/mail/jobs", "mailer", "no", 401},
		{"POST", "/v1/queues/mail/jobs", "", "", 401}, {"POST", "/v1/queues/mail/jobs", "watcher", "pw", 403}, {"GET", "/v1/queues/mail", "mailer", "pw", 403},
		{"GET", "/v1/queues/mail", "watcher", "pw", 200}, {"GET", "/v1/queues", "some", "pw", 200}, {"GET", "/v1/clients", "watcher", "pw", 403},
		{"GET", "/v1/clients", "default", "root", 200}, {"GET", "/v1/clients", "anything", "root", 200}, {"GET", "/v1/config", "watcher", "pw", 403},
		{"GET", "/v1/nodes", "watcher", "pw", 200}, {"GET", "/v1/nodes", "mailer", "pw", 403}, {"GET", "/v1/aof", "some", "pw", 200}, {"GET", "/v1/aof", "mailer", "pw", 403},
		{"GET", "/metrics", "watcher", "pw", 200}, {"GET", "/metrics", "some", "pw", 403}, {"GET", "/metrics", "", "", 401}, {"GET", "/v1/events", "some", "pw", 403},
		{"GET", "/healthz", "", "", 200}, {"POST", "/v1/queues/mail:purge", "mailer", "pw", 403}, {"POST", "/v1/queues/mail/jobs:get", "mailer", "pw", 200},
		{"GET", "/c/sms", "mailer", "pw", 403}, {"GET", "/c/mail", "watcher", "pw", 403}, {"GET", "/q/sms", "mailer", "pw", 403}, {"GET", "/c/mail", "mailer", "no", 401},
	} {
		code, body := do(row.method, row.path, row.user, row.password)
		require.Equal(t, row.want, code, "%v: %s", row, body)
	}
	_, list := do("GET", "/v1/queues", "some", "pw")
	require.NotContains(t, list, "sms")
	require.Contains(t, root.Do("ACL", "LOG"), "http")
}
