package server

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/disqo/disqo/cluster"
	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/node"
	"github.com/disqo/disqo/server/resp"
)

// CONFIG GET pattern | SET name value [name value ...] | RESETSTAT | REWRITE
func cmdConfig(s *session, args [][]byte) {
	words := map[string]int{"get": 3, "set": 4, "resetstat": 2, "rewrite": 2}
	sub := lower(args[1])
	switch want, ok := words[sub]; {
	case !ok:
		s.reply.Error("ERR CONFIG subcommand must be one of GET, SET, RESETSTAT, REWRITE")
		return
	case len(args) != want && (sub != "set" || len(args) < want || len(args)%2 != 0):
		s.errorf("ERR Wrong number of arguments for CONFIG %s", resp.Echo(args[1]))
		return
	}
	switch sub {
	case "get":
		pairs := s.srv.cfg.Match(string(args[2]))
		s.reply.Map(len(pairs))
		for _, p := range pairs {
			s.reply.BulkString(p.Name)
			s.reply.BulkString(p.Value)
		}
	case "set":
		pairs := make([]string, len(args)-2)
		for i, a := range args[2:] {
			pairs[i] = string(a)
		}
		s.configSet(pairs)
	case "resetstat":
		s.srv.resetStats()
		s.reply.Status("OK")
	case "rewrite":
		s.configRewrite()
	}
}

func (s *session) configSet(pairs []string) {
	old := s.srv.cfg.Get()
	err := s.srv.cfg.Update(pairs...)
	var unknown *config.UnknownError
	var invalid *config.InvalidError
	switch {
	case err == nil:
		for i := 0; i < len(pairs); i += 2 {
			if strings.EqualFold(pairs[i], "requirepass") {
				s.knowPassword(pairs[i+1])
				s.closing = s.srv.evict(old, s.info, true) || s.closing
			}
		}
		s.srv.wakeAll() // connections sleep by the old configuration
		s.reply.Status("OK")
	case errors.As(err, &unknown):
		s.errorf("ERR Unsupported CONFIG parameter: %s", resp.Echo([]byte(unknown.Name)))
	case errors.As(err, &invalid) && strings.EqualFold(invalid.Name, "dir"):
		s.errorf("ERR Changing directory: %s", sentence(invalid.Why))
	case errors.As(err, &invalid):
		s.errorf("ERR Invalid argument '%s' for CONFIG SET '%s'", resp.Echo([]byte(invalid.Value)), resp.Echo([]byte(invalid.Name)))
	case len(pairs) == 2 && strings.EqualFold(pairs[0], "appendonly"):
		s.srv.log.Warn("the append-only file could not be switched", "to", pairs[1], "error", err)
		s.errorf("ERR Unable to turn %s AOF. Check server logs: %s", map[bool]string{true: "on", false: "off"}[strings.EqualFold(pairs[1], "yes")], err)
	default:
		s.errorf("ERR %s", err)
	}
}

// knowPassword keeps a default user that sets requirepass logged in: whoever sets
// the password knows it. One that takes it away has the login that it had.
func (s *session) knowPassword(value string) {
	if value != "" && s.info.userName() == acl.DefaultName {
		s.setLogin(login{acl.DefaultName, acl.HashOf([]byte(value))})
	}
}

// sentence begins a text with a capital.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func (s *session) configRewrite() {
	err := s.srv.cfg.Rewrite()
	switch {
	case err == nil:
		s.srv.log.Info("the configuration file was rewritten", "file", s.srv.cfg.File(), "client", s.info.addr)
		s.reply.Status("OK")
	case errors.Is(err, config.ErrNoFile):
		s.reply.Error("ERR The server is running without a config file")
	default:
		s.srv.log.Warn("rewriting the configuration file failed", "file", s.srv.cfg.File(), "error", err)
		s.errorf("ERR Rewriting config file: %s", err)
	}
}

func (s *Server) resetStats() {
	s.stats.reset()
	for i := range s.commands.rows {
		st := s.commands.rows[i].stats
		st.calls.Store(0)
		st.nanos.Store(0)
	}
}

// changed carries out what a new configuration means for the running server.
// It is called before the configuration is in force. It vetoes what cannot be done:
// mostly that the append-only file be switched.
func (s *Server) changed(name string, old, new *config.Config) error {
	if old.Dir != new.Dir && old.AppendOnly {
		return errors.New("the append-only file is in the present directory; switch appendonly off first")
	}
	if (old.ClusterSecret == "") != (new.ClusterSecret == "") {
		return cluster.ErrSecret
	}
	if new.ClusterSecret == "" && new.ClusterSecretAlso != "" {
		return errAlsoAlone
	}
	if old.AppendOnly != new.AppendOnly {
		if err := s.switchLog(new); err != nil {
			return err
		}
	}
	if policy, ok := node.ParsePolicy(new.AppendFsync); ok && old.AppendFsync != new.AppendFsync {
		if err := s.node.SetPolicy(policy); err != nil {
			return err
		}
	}
	if old.ClusterSecret != new.ClusterSecret || old.ClusterSecretAlso != new.ClusterSecretAlso {
		if err := s.cluster.SetSecrets(new.ClusterSecret, new.ClusterSecretAlso); err != nil {
			return err
		}
	}
	s.node.SetReclaim(new.AutoAOFRewritePercentage, new.AutoAOFRewriteMinSize)
	s.node.SetKeepSpent(new.MaxMemoryPolicy == "noeviction")
	s.node.SetMaxQueues(int64(new.MaxQueues))
	s.node.SetDefaults(new.DefaultReplicate, new.DefaultSync)
	if old.MaxMemory != new.MaxMemory {
		s.node.SetMaxMemory(new.MaxMemory)
		setCollectorLimit(new.MaxMemory, s.node.Used())
	}
	if s.level != nil {
		s.level.Set(LogLevel(new.LogLevel))
	}
	switch name {
	case "": // several, of which Reload tells
	case "requirepass":
		s.log.Info("the password was changed")
	case "user":
		s.log.Info("the users were changed", "users", len(new.User.All()))
	default:
		s.log.Info("configuration changed", "directive", name)
	}
	return nil
}

// Reload reads the configuration again, as far as it can be changed while the server
// runs, and logs what became of it. Safe for any goroutine.
func (s *Server) Reload() {
	if s.loading.Load() {
		s.log.Warn("the configuration is not read again while the append-only file is loaded; ask again")
		return
	}
	old := s.cfg.Get()
	changed, waiting, err := s.cfg.Reload()
	if err != nil {
		s.log.Warn("the configuration was not read again; it is as before", "error", err)
		return
	}
	if slices.Contains(changed, "maxclients") {
		s.fitFiles(s.cfg.Get())
	}
	s.evict(old, nil, !slices.Contains(changed, "user"))
	s.wakeAll()
	s.log.Info("the configuration was read again", "changed", changed)
	if len(waiting) > 0 {
		s.log.Warn("some directives have changed that need a restart", "directives", waiting)
	}
}

// LogLevel returns what a loglevel directive means.
func LogLevel(name string) slog.Level {
	switch name {
	case "debug", "verbose":
		return slog.LevelDebug
	case "warning":
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
