package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIdentityOutlivesRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nodes.conf")
	i, err := OpenIdentity(path)
	require.NoError(t, err)
	require.True(t, ValidID(i.ID()))
	require.NoError(t, i.Save(7711))
	require.NoError(t, i.SetLeaving(true))
	require.Equal(t, i.ID()+" :7711 myself,leaving 0 0 connected", i.Line())
	require.NoError(t, i.Close())

	again, err := OpenIdentity(path)
	require.NoError(t, err)
	defer again.Close()
	require.Equal(t, i.ID(), again.ID())
	require.True(t, again.Leaving())
	id, err := again.Renew()
	require.NoError(t, err)
	require.NotEqual(t, i.ID(), id)
	require.Equal(t, id, again.ID())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), id)
}

func TestIdentityIsLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nodes.conf")
	i, err := OpenIdentity(path)
	require.NoError(t, err)
	_, err = OpenIdentity(path)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "dir of its own")
	require.NoError(t, i.Close())
	i, err = OpenIdentity(path)
	require.NoError(t, err)
	require.NoError(t, i.Close())
}

func TestIdentityRefusesDamage(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("0123456789", 4)
	for name, text := range map[string]string{
		"garbage":   "hello\n",
		"bad id":    strings.ToUpper("abcdef") + id[6:] + " :7711 myself 0 0 connected\n",
		"no myself": id + " 127.0.0.1:7711 noflags 0 0 connected\n",
		"empty":     "",
	} {
		path := filepath.Join(t.TempDir(), "nodes.conf")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := OpenIdentity(path)
		require.ErrorContains(t, err, "restore the file", name)
	}
	path := filepath.Join(t.TempDir(), "nodes.conf")
	require.NoError(t, os.WriteFile(path, []byte("vars x\n"+id+" 127.0.0.1:7711 myself 0 0 connected\n"), 0o600))
	i, err := OpenIdentity(path)
	require.NoError(t, err)
	require.Equal(t, id, i.ID())
	require.NoError(t, i.Close())
}

func TestIdentityThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i, err := OpenIdentity(filepath.Join(dir, "nodes.conf"))
	require.NoError(t, err)
	defer i.Close()
	was := i.ID()
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, i.SetLeaving(true))
	require.False(t, i.Leaving(), "what is not on disk did not happen")
	_, err = i.Renew()
	require.Error(t, err)
	require.Equal(t, was, i.ID())
}
