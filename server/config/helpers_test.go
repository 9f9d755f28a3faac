package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// writeFile puts a file into a directory of the test and returns its path.
func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// loadText loads text as a configuration file.
func loadText(t testing.TB, text string, options ...string) (*Set, error) {
	t.Helper()
	file := writeFile(t, t.TempDir(), "disqo.conf", text)
	return load(append([]string{file}, options...), strings.NewReader(""))
}

// mustLoad is loadText for text that loads.
func mustLoad(t testing.TB, text string, options ...string) *Set {
	t.Helper()
	s, err := loadText(t, text, options...)
	require.NoError(t, err)
	return s
}

// reload loads the file of a Set again.
func reload(t testing.TB, s *Set) *Config {
	t.Helper()
	again, err := load([]string{s.File()}, strings.NewReader(""))
	require.NoError(t, err)
	return again.Get()
}

// get returns what CONFIG GET shows for one directive.
func get(t testing.TB, s *Set, name string) string {
	t.Helper()
	pairs := s.Match(name)
	require.Len(t, pairs, 1, name)
	return pairs[0].Value
}

func readText(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}
