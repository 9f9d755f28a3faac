package server

import (
	"strconv"
	"time"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/resp"
)

// redisVersion is the Redis whose connection handling (HELLO, CLIENT, RESP3)
// this server has. Client libraries decide by it what they may send.
const redisVersion = "7.2.0"

const (
	errNoPassword = "ERR Client sent AUTH, but no password is set"
	errNoAuth     = "NOAUTH Authentication required."
	errWrongPass  = "WRONGPASS invalid username-password pair or user is disabled."
)

// AUTH password | AUTH user password
func cmdAuth(s *session, args [][]byte) {
	if len(args) > 3 {
		s.fail(errSyntax)
		return
	}
	user := acl.DefaultName
	if len(args) == 3 {
		user = string(args[1])
	}
	if text := s.authenticate(user, args[len(args)-1]); text != "" {
		s.reply.Error(text)
		return
	}
	s.reply.Status("OK")
}

// authenticate returns the text of an error, "" if user and password are right.
func (s *session) authenticate(user string, password []byte) string {
	cfg := s.srv.cfg.Get()
	if user == acl.DefaultName && cfg.Open() {
		return errNoPassword
	}
	l := login{user, acl.HashOf(password)}
	if l.owner(cfg) == nil {
		s.refused(acl.ReasonAuth, user, "AUTH")
		return errWrongPass
	}
	s.setLogin(l)
	return ""
}

// HELLO alone is Disque's: the nodes of the cluster. With a version it is
// Redis': HELLO 2|3 [AUTH user password] [SETNAME name].
func cmdHello(s *session, args [][]byte) {
	if len(args) == 1 {
		if !s.authenticated(s.srv.cfg.Get()) {
			s.reply.Error(errNoAuth)
			return
		}
		s.helloDisque()
		return
	}
	version, ok := parseInt(args[1])
	if !ok || len(args[1]) == 0 {
		s.reply.Error("ERR Protocol version is not an integer or out of range")
		return
	}
	if version != 2 && version != 3 {
		s.reply.Error("NOPROTO unsupported protocol version")
		return
	}
	name, text := s.helloOptions(args[2:])
	if text != "" {
		s.reply.Error(text)
		return
	}
	if name != nil {
		s.setName(*name)
	}
	s.reply.Proto = int(version)
	s.info.resp.Store(int32(version))
	s.helloRedis()
}

// helloOptions carries out AUTH and returns the name to be set, nil for none.
// text is the error that refuses the whole command.
func (s *session) helloOptions(words [][]byte) (name *string, text string) {
	var user, password []byte // nil: none
	for i := 0; i < len(words); i++ {
		switch left := len(words) - i - 1; {
		case is(words[i], "AUTH") && left >= 2:
			user, password = words[i+1], words[i+2]
			i += 2
		case is(words[i], "SETNAME") && left >= 1:
			if !validName(words[i+1]) {
				return nil, errClientName
			}
			n := string(words[i+1])
			name = &n
			i++
		default:
			return nil, "ERR Syntax error in HELLO option '" + resp.Echo(words[i]) + "'"
		}
	}
	cfg := s.srv.cfg.Get()
	switch {
	case user == nil:
	case string(user) == acl.DefaultName && cfg.Open():
		s.setLogin(login{})
	default:
		if text := s.authenticate(string(user), password); text != "" {
			return nil, text
		}
	}
	if !s.authenticated(cfg) {
		return nil, "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> " +
			"AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
	}
	return name, ""
}

func (s *session) helloRedis() {
	r := &s.reply
	r.Map(7)
	r.BulkString("server")
	r.BulkString("disqo")
	r.BulkString("version")
	r.BulkString(redisVersion)
	r.BulkString("proto")
	r.Int(int64(r.Proto))
	r.BulkString("id")
	r.Int(s.info.id)
	r.BulkString("mode")
	r.BulkString("standalone")
	r.BulkString("role")
	r.BulkString("master")
	r.BulkString("modules")
	r.Array(0)
}

// Priorities of a node in HELLO: what a client should prefer.
const (
	priorityGood     = "1"
	priorityUnlinked = "5"
	prioritySuspect  = "10"
	priorityLeaving  = "100" // or dead
)

// helloDisque lists the nodes. The own address is the one by which this client
// reached us: it works for the client, whatever the server thinks it is.
func (s *session) helloDisque() {
	r, members := &s.reply, s.srv.cluster.Members()
	r.Array(2 + len(members))
	r.Int(1)
	r.BulkString(s.srv.node.ID())
	for _, m := range members {
		host, priority := m.Host, priorityGood
		st := s.srv.node.PeerState(m.ID)
		switch {
		case m.Failed || m.Leaving:
			priority = priorityLeaving
		case m.Self:
		case st.Suspect:
			priority = prioritySuspect
		case !st.Linked:
			priority = priorityUnlinked
		}
		if m.Self {
			host = s.info.local
		}
		r.Array(4)
		r.BulkString(m.ID)
		r.BulkString(host)
		r.BulkString(strconv.Itoa(m.Port))
		r.BulkString(priority)
	}
}

// PING [message]
func cmdPing(s *session, args [][]byte) {
	switch len(args) {
	case 1:
		s.reply.Status("PONG")
	case 2:
		s.reply.Bulk(args[1])
	default:
		s.reply.Error("ERR wrong number of arguments for 'ping' command")
	}
}

// ECHO message
func cmdEcho(s *session, args [][]byte) { s.reply.Bulk(args[1]) }

// SELECT index: there is one.
func cmdSelect(s *session, args [][]byte) {
	n, ok := parseInt(args[1])
	switch {
	case !ok:
		s.fail(errNotInteger)
	case n != 0:
		s.reply.Error("ERR DB index is out of range")
	default:
		s.reply.Status("OK")
	}
}

const errNoRedisCluster = "ERR This instance has cluster support disabled"

// READONLY is Redis Cluster's.
func cmdReadOnly(s *session, _ [][]byte) { s.reply.Error(errNoRedisCluster) }

// RESET makes the connection as new: RESP2, no name, no transaction, no
// MONITOR, not authenticated.
func cmdReset(s *session, _ [][]byte) {
	s.tx = nil
	s.silent = speaking
	s.setLogin(login{})
	s.reply.Proto = 2
	s.info.resp.Store(2)
	s.info.name.Store(nil)
	s.srv.monitors.remove(s)
	s.reply.Status("RESET")
}

// QUIT
func cmdQuit(s *session, _ [][]byte) {
	s.reply.Status("OK")
	s.closing = true
}

// TIME
func cmdTime(s *session, _ [][]byte) {
	now := time.Now()
	s.reply.Array(2)
	s.reply.BulkString(strconv.FormatInt(now.Unix(), 10))
	s.reply.BulkString(strconv.Itoa(now.Nanosecond() / 1000))
}

// SHUTDOWN [REWRITE-AOF]
func cmdShutdown(s *session, args [][]byte) {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "REWRITE-AOF") {
		s.fail(errSyntax)
		return
	}
	if len(args) == 2 {
		if err := s.srv.rewriteLast(); err != nil {
			s.srv.log.Warn("SHUTDOWN REWRITE-AOF: rewriting the append-only file failed", "error", err)
			s.reply.Error("ERR Errors trying to SHUTDOWN. Check logs.")
			return
		}
	}
	s.srv.log.Info("a client asked for SHUTDOWN", "client", s.info.addr)
	s.closing = true
	s.srv.Shutdown()
}

// COMMAND [COUNT | DOCS [name ...] | INFO [name ...] | LIST]
func cmdCommand(s *session, args [][]byte) {
	rows := s.srv.commands.offered()
	sub := ""
	if len(args) > 1 {
		sub = lower(args[1])
	}
	switch {
	case len(args) == 1, sub == "info" && len(args) == 2:
		s.reply.Array(len(rows))
		for i := range rows {
			s.describe(rows[i])
		}
	case sub == "count" && len(args) == 2:
		s.reply.Int(int64(len(rows)))
	case sub == "docs":
		s.reply.Map(0)
	case sub == "list" && len(args) == 2:
		s.reply.Array(len(rows))
		for i := range rows {
			s.reply.BulkString(rows[i].name)
		}
	case sub == "info":
		s.reply.Array(len(args) - 2)
		for _, name := range args[2:] {
			if cmd := s.srv.commands.find(name); cmd != nil {
				s.describe(cmd)
			} else {
				s.reply.Null()
			}
		}
	default:
		s.reply.Error("ERR Unknown subcommand or wrong number of arguments.")
	}
}

// offered returns the commands that clients can call, in the order of the
// table: those that rename-command took away are not shown.
func (c *commands) offered() (rows []*command) {
	named := make(map[*command]bool, len(c.byName))
	for _, cmd := range c.byName {
		named[cmd] = true
	}
	for i := range c.rows {
		if row := &c.rows[i]; named[row] {
			rows = append(rows, row)
		}
	}
	return rows
}

// describe writes a row of COMMAND: six elements in RESP2 as ever, ten in
// RESP3, whose clients expect Redis 7's. No argument is a key of Redis'.
func (s *session) describe(cmd *command) {
	r := &s.reply
	if r.Proto == 3 {
		r.Array(10)
	} else {
		r.Array(6)
	}
	r.BulkString(cmd.name)
	r.Int(int64(cmd.arity))
	names := cmd.flagNames()
	r.Array(len(names))
	for _, f := range names {
		r.Status(f)
	}
	for range 3 {
		r.Int(0)
	}
	if r.Proto == 3 {
		for range 4 { // ACL categories, tips, key specifications, subcommands
			r.Array(0)
		}
	}
}
