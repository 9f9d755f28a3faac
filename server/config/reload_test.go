package config

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/acl"
)

func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := writeFile(t, dir, "disqo.conf", "dir "+dir+"\nport 1\ntimeout 5\nuser alice on >one +@all\nuser bob on\nhz 20\n")
	s, err := Load([]string{file, "--maxclients", "77"})
	require.NoError(t, err)
	require.NoError(t, s.Update("loglevel", "debug"))
	var told []string
	s.OnChange(func(name string, _, _ *Config) error { told = append(told, name); return nil })

	changed, waiting, err := s.Reload()
	require.NoError(t, err)
	require.Equal(t, []string{"loglevel"}, changed, "what was not written goes")
	require.Empty(t, waiting)

	require.NoError(t, os.WriteFile(file, []byte("dir "+dir+"\nport 2\ntimeout 9\nmaxclients 5\nuser alice on >two +@all\nrequirepass pw\n"), 0o600))
	changed, waiting, err = s.Reload()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"timeout", "hz", "user", "requirepass"}, changed)
	require.Equal(t, []string{"port"}, waiting)
	c := s.Get()
	require.Equal(t, []any{1, 9, 10, 77, "pw"}, []any{c.Port, c.Timeout, c.HZ, c.MaxClients, c.RequirePass}, "options win")
	require.True(t, c.Knows(c.Account("alice"), acl.HashOf([]byte("two"))))
	require.Nil(t, c.Account("bob"))

	require.NoError(t, os.WriteFile(file, []byte("dir "+dir+"\ntimeout 1\nloglevel loud\n"), 0o600))
	_, _, err = s.Reload()
	require.ErrorContains(t, err, "disqo.conf:3")
	require.Same(t, c, s.Get(), "a mistake changes nothing")

	require.NoError(t, os.WriteFile(file, []byte("dir "+dir+"\ntimeout 1\n"), 0o600))
	s.OnChange(func(string, *Config, *Config) error { return os.ErrInvalid })
	_, _, err = s.Reload()
	require.Equal(t, os.ErrInvalid, err)
	require.Same(t, c, s.Get(), "nor does a veto")

	s, err = load([]string{"-"}, strings.NewReader("hz 5"))
	require.NoError(t, err)
	_, _, err = s.Reload()
	require.ErrorIs(t, err, ErrStdin)
}

// Whatever can be reloaded is what it is in the file then.
func TestEveryDirectiveReloads(t *testing.T) {
	t.Parallel()
	for i := range table {
		d := &table[i]
		if !d.has(settable) && !d.has(reloaded) {
			continue
		}
		c := poisoned()
		require.NoError(t, d.copy(&c, Default()), d.name)
		require.Equal(t, d.fileLines(Default()), d.fileLines(&c), d.name)
	}
}
