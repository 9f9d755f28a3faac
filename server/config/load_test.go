package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestLoadWithoutArguments(t *testing.T) {
	t.Parallel()
	s, err := Load(nil)
	require.NoError(t, err)
	require.Equal(t, Default(), s.Get())
	require.Empty(t, s.File())
	require.True(t, filepath.IsAbs(s.Get().Dir))
}

func TestLoadFileThenOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "# the harness of the reference writes this\r\n\nport 25000\ndir " + quote(dir) + "\nlogfile log.txt\nloglevel notice\n"
	s := mustLoad(t, text, "--port", "25001", "--loglevel", "debug", "--bind", "127.0.0.1", "::1", "--requirepass", "two words")
	c := s.Get()
	require.Equal(t, 25001, c.Port)
	require.Equal(t, "debug", c.LogLevel)
	require.Equal(t, []string{"127.0.0.1", "::1"}, c.Bind)
	require.Equal(t, "two words", c.RequirePass)
	require.Equal(t, dir, c.Dir)
	require.Equal(t, "log.txt", c.LogFile)
	require.Equal(t, filepath.Join(dir, "log.txt"), c.Path(c.LogFile))
	require.Equal(t, "/abs", c.Path("/abs"))
	require.Empty(t, c.Path(""))
	require.True(t, filepath.IsAbs(s.File()))
}

func TestLoadRelativePaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Mkdir("disque_0", 0o700))
	writeFile(t, dir, "disque.conf", "dir ./disque_0\n")
	s, err := Load([]string{"disque.conf"})
	require.NoError(t, err)
	require.Equal(t, filepath.Join(s.Get().Path("."), "."), s.Get().Dir)
	require.Equal(t, "disque_0", filepath.Base(s.Get().Dir))
	require.Equal(t, "disque.conf", filepath.Base(s.File()))
	require.True(t, filepath.IsAbs(s.File()))
}

func TestLoadStandardInput(t *testing.T) {
	t.Parallel()
	s, err := load([]string{"-", "--hz", "20"}, strings.NewReader("port 1\nhz 30"))
	require.NoError(t, err)
	require.Equal(t, 1, s.Get().Port)
	require.Equal(t, 20, s.Get().HZ)
	require.Empty(t, s.File())

	_, err = load([]string{"-"}, strings.NewReader("port 1\nhz"))
	require.EqualError(t, err, "<stdin>:2: 'hz': takes exactly one value")
	_, err = load([]string{"-"}, iotest.ErrReader(fs.ErrClosed))
	require.ErrorIs(t, err, fs.ErrClosed)
	_, err = load([]string{"-"}, strings.NewReader(strings.Repeat("\n", fileBytesMax+1)))
	require.ErrorContains(t, err, "longer than 1048576 bytes")
}

func TestLoadErrorsSayWhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"port 99999":            ":1: 'port 99999': must be 0..55535",
		"\n#\n  Port x \r\n":    ":3: 'Port x': must be a whole number",
		"maxmemmory 1gb":        ":1: 'maxmemmory 1gb': unknown directive 'maxmemmory', did you mean 'maxmemory'?",
		"save 900 1":            ":1: 'save 900 1': unknown directive 'save'",
		`dir "a`:                `:1: 'dir "a': unbalanced quotes, or no space after a closing quote`,
		`"" x`:                  `:1: '"" x': unknown directive ''`,
		"requirepass my secret": ":1: 'requirepass <hidden>': takes exactly one value",
		"requirepass\t\"my":     ":1: 'requirepass <hidden>': unbalanced quotes, or no space after a closing quote",
		"include":               ":1: 'include': takes the path of one file",
		"include /no/such/file": ":1: 'include /no/such/file': stat /no/such/file: no such file or directory",
		"include /dev/zero":     ":1: 'include /dev/zero': /dev/zero is not a regular file",
	} {
		_, err := loadText(t, text)
		var source *SourceError
		require.ErrorAs(t, err, &source, text)
		require.True(t, strings.HasSuffix(err.Error(), "/disqo.conf"+want), "%s", err)
	}
}

func TestOptionErrors(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--port":            "command line: '--port': takes exactly one value",
		"--port --hz 1":     "command line: '--port': takes exactly one value",
		"--port 99999":      "command line: '--port 99999': must be 0..55535",
		"--port=7711":       "command line: '--port=7711': unknown directive 'port=7711', did you mean 'port'?",
		"--daemonize yes":   "command line: '--daemonize yes': " + whyNoDaemon,
		"--requirepass a b": "command line: '--requirepass <hidden>': takes exactly one value",
		"--":                `command line: '--""': unknown directive ''`,
		"- more":            "command line: unexpected argument 'more', an option starts with --",
	} {
		_, err := load(strings.Fields(args), strings.NewReader(""))
		require.EqualError(t, err, want)
	}
	_, err := Load([]string{"/no/such/file"})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "can't read the config file: open /no/such/file: no such file or directory")
	_, err = Load([]string{t.TempDir()})
	require.ErrorContains(t, err, "is a directory")
}

func TestUnknownAndInvalidAreFoundInside(t *testing.T) {
	t.Parallel()
	_, err := loadText(t, "nonsense 1")
	var unknown *UnknownError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, "nonsense", unknown.Name)
	_, err = loadText(t, "dir /no/such/directory")
	require.ErrorIs(t, err, fs.ErrNotExist)
	var invalid *InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "/no/such/directory", invalid.Value)
	require.EqualError(t, invalid, "invalid value for 'dir': no such file or directory")
}

func TestInclude(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	require.NoError(t, os.Mkdir(sub, 0o700))
	writeFile(t, sub, "b.conf", "hz 20\ninclude c.conf # two words\n")
	main := writeFile(t, dir, "main.conf", "hz 10\ninclude sub/b.conf\nport 5\n")

	_, err := Load([]string{main})
	require.EqualError(t, err, fmt.Sprintf("%s:2: 'include sub/b.conf': %s:2: 'include c.conf # two words': takes the path of one file",
		main, filepath.Join(sub, "b.conf")))

	writeFile(t, sub, "b.conf", "hz 20\nINCLUDE c.conf")
	writeFile(t, sub, "c.conf", "timeout 30")
	s, err := Load([]string{main, "--include", filepath.Join(sub, "c.conf")})
	require.NoError(t, err)
	require.Equal(t, 20, s.Get().HZ)
	require.Equal(t, 30, s.Get().Timeout)
	require.Equal(t, 5, s.Get().Port)
}

func TestIncludeFallsBackToTheWorkingDirectory(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	t.Chdir(other)
	main := writeFile(t, dir, "main.conf", "include common.conf")
	writeFile(t, other, "common.conf", "hz 33")
	s, err := Load([]string{main})
	require.NoError(t, err)
	require.Equal(t, 33, s.Get().HZ)

	writeFile(t, dir, "common.conf", "hz 44")
	s, err = Load([]string{main})
	require.NoError(t, err)
	require.Equal(t, 44, s.Get().HZ, "the including file's directory comes first")
}

func TestIncludeIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self := writeFile(t, dir, "self.conf", "include self.conf")
	_, err := Load([]string{self})
	require.ErrorContains(t, err, "files include each other more than 16 deep")

	for i := range includeDepthMax { // the last one does not exist: it is an empty file
		writeFile(t, dir, fmt.Sprintf("%d.conf", i), strings.Repeat(fmt.Sprintf("include %d.conf\n", i+1), 2))
	}
	writeFile(t, dir, fmt.Sprintf("%d.conf", includeDepthMax), "hz 12\n")
	_, err = Load([]string{filepath.Join(dir, "0.conf")})
	require.ErrorContains(t, err, "more than 256 files are included")
}
