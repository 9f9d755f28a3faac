package server

import (
	"time"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

// login is how a client proved who it is. The zero value is that of one that did
// not: the default user, if that needs no password.
type login struct {
	name   string
	secret acl.Hash // of the password that was given
}

// owner returns whose login it is, nil if nobody's: the user is gone or off, or
// has that password no more.
func (l *login) owner(cfg *config.Config) *acl.User {
	name := l.name
	if name == "" {
		name = acl.DefaultName
	}
	u := cfg.Account(name)
	if u == nil || !u.On || !cfg.NeedsNone(u) && (l.name == "" || !cfg.Knows(u, l.secret)) {
		return nil
	}
	return u
}

// user returns who the client is by this configuration, nil if it has to say
// first.
func (s *session) user(cfg *config.Config) *acl.User {
	if cfg != s.userCfg {
		s.userCfg, s.known = cfg, s.info.login.Load().owner(cfg)
	}
	return s.known
}

func (s *session) authenticated(cfg *config.Config) bool { return s.user(cfg) != nil }

// setLogin makes the client another user.
func (s *session) setLogin(l login) {
	s.userCfg = nil
	s.info.login.Store(&l)
}

// permits returns the text of an error if the user may not run a command.
func (s *session) permits(u *acl.User, cmd *command, args [][]byte) (fault string) {
	sub := ""
	if len(args) > 1 && acl.Split(cmd.name) {
		sub = lower(args[1][:min(len(args[1]), longestName)])
	}
	right, name := acl.Of(cmd.name, sub)
	if !u.May(right) {
		s.refused(acl.ReasonCommand, u.Name, name)
		return mayNotRun(u, name)
	}
	if u.Every() {
		return ""
	}
	object, job, found := s.forbidden(u, cmd, args)
	if !found {
		return ""
	}
	s.refused(acl.ReasonQueue, u.Name, string(object))
	what := "the queue"
	if job {
		what = "the queue of job" // which is not told
	}
	return "NOPERM User " + u.Name + " has no permissions to access " + what + " '" + resp.Echo(object) + "'"
}

// mayNotRun is what a user is told who has not the right of a command.
func mayNotRun(u *acl.User, command string) string {
	return "NOPERM User " + u.Name + " has no permissions to run the '" + command + "' command"
}

// self is the user who was let in; nobody if that has changed since.
func (s *session) self() *acl.User {
	if s.known == nil {
		return acl.Nobody
	}
	return s.known
}

// forbidden returns the first queue of a command that the user may not name, or the
// first job of such a queue, if this node knows it.
func (s *session) forbidden(u *acl.User, cmd *command, args [][]byte) (object []byte, job, found bool) {
	switch {
	case cmd.flags&namesQueue != 0:
		if !u.Queue(string(args[1])) {
			return args[1], false, true
		}
	case cmd.flags&namesQueues != 0:
		req, err := parseGetJob(args, s.srv.cfg.Get())
		if err != nil {
			return nil, false, false // the command says so
		}
		for _, q := range req.queues {
			if !u.Queue(string(q)) {
				return q, false, true
			}
		}
	case cmd.flags&namesJobs != 0:
		for _, arg := range args[1:] {
			id, valid, err := node.ParseID(arg)
			if err != nil {
				break // an option
			}
			if valid {
				s.srv.node.Get(&id, func(j *node.Job) { job = !u.Queue(j.Queue) })
			}
			if job {
				return arg, true, true
			}
		}
	}
	return nil, false, false
}

// refused notes for ACL LOG that this client was refused something.
func (s *session) refused(reason, user, object string) {
	context := "toplevel"
	switch {
	case s.info.http:
		context = "http"
	case s.tx != nil || s.inExec:
		context = "multi"
	}
	now := time.Now()
	s.srv.aclLog.Add(acl.Event{Reason: reason, Context: context, Object: object, User: user, Client: s.info.line(now)},
		now, s.srv.cfg.Get().ACLLogMaxLen)
}

// errLapsed answers who was let in, and then may do less before it begins to wait.
const errLapsed fault = "NOPERM the rights of this user have changed meanwhile"

// lapsed reports whether the client may do less than when its command was let in.
// Who waits or watches says so first and asks this then; evict looks in the other
// order, so that one of the two notices.
func (s *session) lapsed() bool {
	was := s.self()
	is := s.user(s.srv.cfg.Get())
	return is != was && (is == nil || !is.Covers(was))
}

// evict closes the connections that a change of the users leaves without one, or,
// of those that wait or watch, with less than they had; but for that of the client
// that made it, if it was one, of which it reports whether it should be closed, too.
// lenient is for a change of requirepass: those that do not wait are asked for it when
// they say something.
func (s *Server) evict(old *config.Config, maker *clientInfo, lenient bool) (also bool) {
	cfg := s.cfg.Get()
	loses := func(info *clientInfo) bool {
		l := info.login.Load()
		was, is := l.owner(old), l.owner(cfg)
		waits := info.blocked.Load() || info.monitor.Load()
		switch {
		case was == nil:
			return false
		case is == nil:
			return waits || !lenient
		}
		return waits && !is.Covers(was)
	}
	for _, c := range s.clients.all() {
		switch {
		case !loses(&c.info):
		case &c.info == maker:
			also = true
		default:
			c.kill()
		}
	}
	s.callers.each(func(c *caller) {
		if loses(&c.info) {
			c.lapsed.Store(true)
			c.wake()
		}
	})
	return also
}
