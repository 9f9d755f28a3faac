package server

import (
	"strings"
	"time"

	"github.com/disqo/disqo/server/resp"
)

const (
	errClientName   = "ERR Client names cannot contain spaces, newlines or special characters."
	errClientSyntax = "ERR Syntax error, try CLIENT (LIST | KILL ip:port | GETNAME | SETNAME connection-name)"
	errNoClient     = "ERR No such client"
)

// CLIENT subcommand ...
func cmdClient(s *session, args [][]byte) {
	sub, rest := lower(args[1]), args[2:]
	switch {
	case sub == "list":
		s.clientList(rest)
	case sub == "info" && len(rest) == 0:
		s.reply.BulkString(s.info.line(time.Now()))
	case sub == "id" && len(rest) == 0:
		s.reply.Int(s.info.id)
	case sub == "getname" && len(rest) == 0:
		if name := s.info.currentName(); name != "" {
			s.reply.BulkString(name)
		} else {
			s.reply.Null()
		}
	case sub == "setname" && len(rest) == 1:
		if !validName(rest[0]) {
			s.reply.Error(errClientName)
			return
		}
		s.setName(string(rest[0]))
		s.reply.Status("OK")
	case sub == "setinfo" && len(rest) == 2:
		s.clientSetInfo(rest)
	case sub == "kill" && len(rest) > 0:
		s.clientKill(rest)
	case sub == "pause" && len(rest) == 1:
		s.clientPause(rest[0])
	case sub == "reply" && len(rest) == 1:
		s.clientReply(rest[0])
	case sub == "tracking" && len(rest) > 0, sub == "no-evict" && len(rest) == 1, sub == "no-touch" && len(rest) == 1:
		// There is nothing to be tracked, evicted or touched: no key is cached.
		s.reply.Status("OK")
	case known[sub]:
		s.reply.Error(errClientSyntax)
	default:
		s.errorf("ERR unknown subcommand '%s'. Try CLIENT HELP.", resp.Echo(args[1]))
	}
}

// known are subcommands that may be called with the wrong words. "bogus" and
// the like are answered as Redis does, so that clients that probe go on.
var known = map[string]bool{
	"list": true, "info": true, "id": true, "getname": true, "setname": true, "setinfo": true, "kill": true,
	"pause": true, "reply": true, "tracking": true, "no-evict": true, "no-touch": true,
}

// validName reports whether a client may be called that: printable and no
// spaces, so that CLIENT LIST stays one word.
func validName(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

// setName names the client; "" takes the name away.
func (s *session) setName(name string) {
	if name == "" {
		s.info.name.Store(nil)
		return
	}
	s.info.name.Store(&name)
}

// clientSetInfo accepts what libraries tell of themselves.
func (s *session) clientSetInfo(rest [][]byte) {
	switch {
	case !is(rest[0], "LIB-NAME") && !is(rest[0], "LIB-VER"):
		s.errorf("ERR Unrecognized option '%s'", resp.Echo(rest[0]))
	case !validName(rest[1]):
		s.errorf("ERR %s cannot contain spaces, newlines or special characters.", lower(rest[0]))
	default:
		s.reply.Status("OK")
	}
}

func (s *session) clientList(rest [][]byte) {
	if len(rest) == 2 && is(rest[0], "TYPE") {
		if !is(rest[1], "NORMAL") {
			s.errorf("ERR Unknown client type '%s'", resp.Echo(rest[1]))
			return
		}
	} else if len(rest) > 0 {
		s.reply.Error(errClientSyntax)
		return
	}
	var b strings.Builder
	now := time.Now()
	for _, c := range s.srv.clients.all() {
		b.WriteString(c.info.line(now))
	}
	s.reply.BulkString(b.String())
}

// clientKill is CLIENT KILL addr, or CLIENT KILL [ID n] [ADDR a] [TYPE normal]
// [SKIPME yes|no], which counts.
func (s *session) clientKill(rest [][]byte) {
	if len(rest) == 1 {
		if s.kill(func(c *conn) bool { return c.info.addr == string(rest[0]) }) == 0 {
			s.reply.Error(errNoClient)
			return
		}
		s.reply.Status("OK")
		return
	}
	if len(rest)%2 != 0 {
		s.fail(errSyntax)
		return
	}
	id, addr, byAddr, skipMe := int64(0), "", false, true
	for i := 0; i < len(rest); i += 2 {
		word, value := rest[i], rest[i+1]
		switch {
		case is(word, "ID"):
			var ok bool
			if id, ok = parseInt(value); !ok || id <= 0 {
				s.fail(fault("ERR client-id should be greater than 0"))
				return
			}
		case is(word, "ADDR"):
			addr, byAddr = string(value), true
		case is(word, "TYPE") && is(value, "NORMAL"):
		case is(word, "TYPE"):
			s.errorf("ERR Unknown client type '%s'", resp.Echo(value))
			return
		case is(word, "SKIPME") && is(value, "YES"):
			skipMe = true
		case is(word, "SKIPME") && is(value, "NO"):
			skipMe = false
		default:
			s.fail(errSyntax)
			return
		}
	}
	s.reply.Int(int64(s.kill(func(c *conn) bool {
		return (id == 0 || c.info.id == id) && (!byAddr || c.info.addr == addr) && !(skipMe && &c.info == s.info)
	})))
}

// kill closes the clients that match; this one after its reply.
func (s *session) kill(match func(*conn) bool) (killed int) {
	for _, c := range s.srv.clients.all() {
		if !match(c) {
			continue
		}
		killed++
		if &c.info == s.info {
			s.closing = true
		} else {
			c.kill()
		}
	}
	return killed
}

// clientPause holds all commands of all clients for some milliseconds.
func (s *session) clientPause(ms []byte) {
	n, err := parseTimeout(ms)
	if err != nil {
		s.fail(err)
		return
	}
	s.srv.pausedUntil.Store(s.srv.node.Now() + n)
	s.reply.Status("OK")
}

func (s *session) clientReply(mode []byte) {
	switch {
	case is(mode, "ON"):
		s.silent = speaking
		s.reply.Status("OK")
	case s.inExec && (is(mode, "OFF") || is(mode, "SKIP")):
		// EXEC has announced an element for each command, this one included.
		s.reply.Error("ERR CLIENT REPLY OFF and SKIP are not allowed in MULTI")
	case is(mode, "OFF"):
		s.silent = speechless
	case is(mode, "SKIP"):
		if s.silent != speechless {
			s.silent = skipNext
		}
	default:
		s.fail(errSyntax)
	}
}
