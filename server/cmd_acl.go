package server

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/resp"
)

const errACL = "ERR unknown subcommand or wrong number of arguments for '%s'. Try ACL SETUSER, GETUSER, DELUSER, LIST, USERS, WHOAMI, CAT, LOG; CONFIG REWRITE saves users"

// ACL SETUSER name [rule ...] | GETUSER name | DELUSER name [name ...] | LIST |
// USERS | WHOAMI | CAT [category] | LOG [count | RESET]
func cmdACL(s *session, args [][]byte) {
	sub, rest := lower(args[1]), args[2:]
	switch {
	case sub == "setuser" && len(rest) > 0:
		s.aclSetUser(rest)
	case sub == "getuser" && len(rest) == 1:
		s.aclGetUser(string(rest[0]))
	case sub == "deluser" && len(rest) > 0:
		s.aclDelUser(rest)
	case sub == "list" && len(rest) == 0, sub == "users" && len(rest) == 0:
		list := s.srv.users()
		s.reply.Array(len(list))
		for _, u := range list {
			if sub == "users" {
				s.reply.BulkString(u.Name)
			} else {
				s.reply.BulkString("user " + u.Name + " " + strings.Join(u.Rules(), " "))
			}
		}
	case sub == "whoami" && len(rest) == 0:
		s.reply.BulkString(s.self().Name)
	case sub == "cat" && len(rest) <= 1:
		s.aclCat(rest)
	case sub == "log" && len(rest) <= 1:
		s.aclLog(rest)
	default:
		s.errorf(errACL, resp.Echo(args[1]))
	}
}

// users returns all users, the default one as it is with requirepass.
func (s *Server) users() []*acl.User {
	cfg := s.cfg.Get()
	list := cfg.User.All()
	if cfg.User.Get(acl.DefaultName) == nil {
		with, _ := cfg.User.With(acl.Default)
		list = with.All()
	}
	for i, u := range list {
		if u.Name == acl.DefaultName && cfg.RequirePass != "" {
			list[i] = u.Also(acl.HashOf([]byte(cfg.RequirePass)))
		}
	}
	return list
}

func (s *session) aclSetUser(rest [][]byte) {
	name, rules := string(rest[0]), make([]string, len(rest)-1)
	for i, r := range rest[1:] {
		rules[i] = string(r)
	}
	old := s.srv.cfg.Get()
	err := s.srv.cfg.UpdateUsers(func(c *config.Config) (err error) {
		u := c.Account(name)
		if u == nil {
			if u, err = acl.NewUser(name); err != nil {
				return err
			}
		}
		if u, err = withRules(c, u, rules); err == nil {
			c.User, err = c.User.With(u)
		}
		return err
	})
	var rule *acl.RuleError
	switch {
	case errors.As(err, &rule):
		s.errorf("ERR Error in ACL SETUSER modifier %s", rule)
		return
	case err != nil:
		s.errorf("ERR %s", err)
		return
	}
	s.closing = s.srv.evict(old, s.info, false) || s.closing
	s.reply.Status("OK")
}

// withRules returns a user with rules applied. To those of the default user
// requirepass is one of its passwords: one that they take away is none any more.
func withRules(c *config.Config, u *acl.User, rules []string) (*acl.User, error) {
	if u.Name != acl.DefaultName || c.RequirePass == "" {
		return u.With(rules...)
	}
	pass := acl.HashOf([]byte(c.RequirePass))
	all, err := u.Also(pass).With(rules...)
	switch {
	case err != nil:
		return nil, err
	case all.Has(pass):
		return u.With(rules...)
	}
	c.RequirePass = ""
	return all, nil
}

func (s *session) aclDelUser(names [][]byte) {
	old := s.srv.cfg.Get()
	gone := int64(0)
	err := s.srv.cfg.UpdateUsers(func(c *config.Config) error {
		gone = 0
		for _, name := range names {
			if string(name) == acl.DefaultName {
				return errors.New("the 'default' user cannot be removed; ACL SETUSER default off keeps it out")
			}
			rest, ok := c.User.Without(string(name))
			if ok {
				c.User = rest
				gone++
			}
		}
		return nil
	})
	if err != nil {
		s.errorf("ERR %s", err)
		return
	}
	s.closing = s.srv.evict(old, s.info, false) || s.closing
	s.reply.Int(gone)
}

func (s *session) aclGetUser(name string) {
	for _, u := range s.srv.users() {
		if u.Name != name {
			continue
		}
		r := &s.reply
		texts := func(name string, list []string) {
			r.BulkString(name)
			r.Array(len(list))
			for _, text := range list {
				r.BulkString(text)
			}
		}
		r.Map(6)
		texts("flags", u.Flags())
		texts("passwords", u.Hashes())
		r.BulkString("commands")
		r.BulkString(u.Commands())
		r.BulkString("keys")
		r.BulkString(u.Patterns())
		r.BulkString("channels")
		r.BulkString("")
		texts("selectors", nil)
		return
	}
	s.reply.Null()
}

func (s *session) aclCat(rest [][]byte) {
	names := acl.Categories
	if len(rest) == 1 {
		var ok bool
		if names, ok = acl.InCategory(strings.TrimPrefix(lower(rest[0]), "@")); !ok {
			s.errorf("ERR Unknown category '%s'", resp.Echo(rest[0]))
			return
		}
	}
	s.reply.Array(len(names))
	for _, name := range names {
		s.reply.BulkString(name)
	}
}

// aclLogShown is how many events ACL LOG shows if it does not say.
const aclLogShown = 10

func (s *session) aclLog(rest [][]byte) {
	n := int64(aclLogShown)
	if len(rest) == 1 {
		if is(rest[0], "RESET") {
			s.srv.aclLog.Reset()
			s.reply.Status("OK")
			return
		}
		var ok bool
		if n, ok = parseInt(rest[0]); !ok || n < 0 {
			s.fail(errNotInteger)
			return
		}
	}
	now := time.Now()
	list := s.srv.aclLog.Latest(int(min(n, int64(s.srv.cfg.Get().ACLLogMaxLen))))
	s.reply.Array(len(list))
	for _, e := range list {
		r := &s.reply
		r.Map(10)
		number := func(name string, n int64) {
			r.BulkString(name)
			r.Int(n)
		}
		text := func(name, value string) {
			r.BulkString(name)
			r.BulkString(value)
		}
		number("count", e.Count)
		text("reason", e.Reason)
		text("context", e.Context)
		text("object", e.Object)
		text("username", e.User)
		text("age-seconds", fmt.Sprintf("%.3f", now.Sub(e.Created).Seconds()))
		text("client-info", strings.TrimSuffix(e.Client, "\n"))
		number("entry-id", e.ID)
		number("timestamp-created", e.Created.UnixMilli())
		number("timestamp-last-updated", e.LastTime.UnixMilli())
	}
}
