package server

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/acl"
	"github.com/disqo/disqo/server/config"
)

// A change of the users that falls between the admission of a command and its wait
// finds nobody who waits, so the command looks itself.
func TestWhoMayDoLessDoesNotBeginToWait(t *testing.T) {
	t.Parallel()
	set, err := config.Load([]string{"--bind", "127.0.0.1", "--port", "0", "--dir", t.TempDir()})
	require.NoError(t, err)
	srv, err := New(Options{Config: set, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer srv.Close()
	srv.loading.Store(false)
	change := func(rules ...string) {
		require.NoError(t, set.UpdateUsers(func(c *config.Config) error {
			u, err := acl.NewUser("alice")
			require.NoError(t, err)
			u, err = u.With(rules...)
			require.NoError(t, err)
			c.User, err = c.User.With(u)
			return err
		}))
	}
	for _, words := range []string{"GETJOB FROM mail", "MONITOR"} {
		for _, less := range [][]string{{"on", ">pw", "~mail"}, {"off"}} {
			change("on", ">pw", "~mail", "+@all")
			var s session
			info := &clientInfo{}
			s.init(srv, info, func() {})
			s.setLogin(login{"alice", acl.HashOf([]byte("pw"))})
			var args [][]byte
			for _, w := range strings.Fields(words) {
				args = append(args, []byte(w))
			}
			cmd, fault := s.admit(args)
			require.Empty(t, fault)
			change(less...)
			s.run(cmd, args)
			require.Contains(t, string(s.reply.B), "-NOPERM", words)
			require.False(t, s.blocked() || s.monitoring || info.blocked.Load() || info.monitor.Load(), words)
			s.close(0)
		}
	}
}
