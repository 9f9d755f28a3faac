package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseFile loads arbitrary bytes as a file: it never panics, and what
// loads, rewrites to a file that loads to the same values and rewrites to itself.
func FuzzParseFile(f *testing.F) {
	for _, text := range []string{
		"",
		"# comment\n\nport 7711\r\n",
		"port 25000\ndir /\nlogfile log.txt\nloglevel notice\n",
		"requirepass \"\\x00\\xff \\\"q\\\"\"\nhz 9999\nhz 20",
		"rename-command CONFIG \"\"\nrename-command config x\n",
		"client-output-buffer-limit normal 1mb 2k 3\nbind 127.0.0.1 ::1 fe80::1%\"x\n",
		"maxmemory 1\u212a\u023a\ntcp-keepalive yes\n",
		rewriteMarker + "\nbind *\nappendonly no\n",
		"include /dev/null\n\"unterminated",
		"user alice on >pw <pw ~a ~* resetkeys +@all -info\nuser default off\nuser alice nopass +cluster\n",
		"logfile 'it\\'s'\nunixsocketperm 0777\nsyslog-ident \x01\x7f\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > fileBytesMax/8 {
			return // quoting could make it longer than a file may be
		}
		s, err := loadText(t, string(text))
		if err != nil {
			require.NotContains(t, err.Error(), "\x00", "printable")
			return
		}
		require.NoError(t, s.Rewrite())
		require.Equal(t, s.Get(), reload(t, s))
		first := readText(t, s.File())
		require.NoError(t, s.Rewrite())
		require.Equal(t, first, readText(t, s.File()))
	})
}

// FuzzUpdateAndMatch feeds CONFIG SET and CONFIG GET arbitrary text.
func FuzzUpdateAndMatch(f *testing.F) {
	f.Add("hz", "10")
	f.Add("maxmemory", "1\u212a\u023a")
	f.Add("client-output-buffer-limit", "normal 1 2 3 normal")
	f.Add(`*\`, `\`)
	f.Add("*a*?*\\\xff", strings.Repeat("*a", 100))
	f.Fuzz(func(t *testing.T, name, value string) {
		s := New(Default())
		s.Match(name)
		s.Match(value)
		before := s.Get()
		if err := s.Update(name, value); err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Same(t, before, s.Get())
			return
		}
		require.Len(t, s.Match(lookup(name).name), 1)
	})
}
