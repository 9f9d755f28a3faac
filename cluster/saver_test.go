package cluster

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A member that is shown is in nodes.conf: a node killed a moment after others
// came knows them when it is back. Writing takes no virtual time.
func TestSavedWhenShown(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, dir)
		defer s.end()
		first := s.add()
		first.run(first.saver)
		for n := 2; n <= 6; n++ {
			s.add()
			took := s.watch(time.Now(), s.nodes[:1], func(c *Cluster) bool { return knows(c) >= n-1 })
			require.Less(t, took.all, time.Minute)
			synctest.Wait()
			text, err := os.ReadFile(first.o.Identity.path)
			require.NoError(t, err)
			require.Equal(t, n, strings.Count(string(text), "\n"), "%s", text)
		}
	})
}

// What could not be written is written when it can be.
func TestSaveIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newSwarm(t, dir)
		defer s.end()
		first := s.add()
		path := first.o.Identity.path
		require.NoError(t, os.Mkdir(path, 0o755)) // a rename cannot replace it
		first.run(first.saver)
		s.add()
		took := s.watch(time.Now(), s.nodes[:1], func(*Cluster) bool { return s.log.count("saving the known nodes failed") > 0 })
		require.Less(t, took.all, time.Minute)
		require.NoError(t, os.Remove(path))
		time.Sleep(2 * saveAgain)
		synctest.Wait()
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(string(text), "\n"), "%s", text)
	})
}
