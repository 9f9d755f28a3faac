package config

import (
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/acl"
)

// Lines of a file and what CONFIG GET (or, where it is silent, the file form)
// then shows.
func TestValues(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"port 0":     "0",
		"PORT 55535": "55535",
		"port +7":    "7",
		"bind 127.0.0.1 ::1 fe80::1%eth0 my-host.example": "127.0.0.1 ::1 fe80::1%eth0 my-host.example",
		`bind "127.0.0.1 ::1"`:                            "127.0.0.1 ::1",
		"bind *":                                          "",
		"bind a b c d e f g h i j k l m n o p":            "a b c d e f g h i j k l m n o p",
		"unixsocketperm 755":                              "755",
		"unixsocketperm 0777":                             "777",
		"maxmemory 0":                                     "0",
		"maxmemory 100b":                                  "100",
		"maxmemory 2k":                                    "2000",
		"maxmemory 2kb":                                   "2048",
		"maxmemory 3M":                                    "3000000",
		"maxmemory 3MB":                                   "3145728",
		"maxmemory 1g":                                    "1000000000",
		"maxmemory 1Gb":                                   "1073741824",
		"maxmemory 9223372036854775807":                   "9223372036854775807",
		"max-job-size 512mb":                              "536870912",
		"tcp-keepalive yes":                               "60",
		"tcp-keepalive NO":                                "0",
		"tcp-keepalive 300":                               "300",
		"hz 0":                                            "1",
		"hz 9999":                                         "500",
		"slowlog-log-slower-than -1":                      "-1",
		"loglevel WARNING":                                "warning",
		"logformat json":                                  "json",
		"maxmemory-policy noeviction":                     "noeviction",
		"activerehashing No":                              "no",
		"syslog-facility LOCAL7":                          "local7",
		"appendonly yes":                                  "yes",
		"daemonize no":                                    "no",
		`requirepass "a \"b\" \x00\n"`:                    "a \"b\" \x00\n",
		`requirepass ''`:                                  "",
		"client-output-buffer-limit normal 1mb 1kb 60":         "normal 1048576 1024 60",
		"client-output-buffer-limit NORMAL 1 2 3 normal 4 5 6": "normal 4 5 6",
		"dir /":                       "/",
		"join b:1@2 a":                "a b:1@2",
		`join "::1 [::1]:7711@1 ::1"`: "::1 [::1]:7711@1",
		`join ""`:                     "",
		"advertise-addr db-1.example": "db-1.example",
		"advertise-port 65535":        "65535",
		"cluster-port -1":             "-1",
		"cluster-name prod/eu":        "prod/eu",
		"default-replicate 65535":     "65535",
	} {
		s := mustLoad(t, line)
		name, _, _ := strings.Cut(strings.ToLower(line), " ")
		require.Equal(t, want, get(t, s, name), line)
	}
}

// Lines that are refused, and a part of the reason given.
func TestInvalidValues(t *testing.T) {
	t.Parallel()
	for line, why := range map[string]string{
		"port":                                   "takes exactly one value",
		"port 1 2":                               "takes exactly one value",
		"port -1":                                "must be 0..55535",
		"port 55536":                             "must be 0..55535",
		"port 7711x":                             "whole number",
		"port 99999999999999999999":              "whole number",
		`port ""`:                                "whole number",
		"bind":                                   "1 to 16 addresses",
		`bind ""`:                                "1 to 16 addresses",
		"bind 1.2.3.4 *":                         "'*' is neither",
		"bind -::1":                              "'-::1' is neither",
		"bind a b c d e f g h i j k l m n o p q": "1 to 16 addresses",
		"unixsocketperm 8":                       "octal, 0..777",
		"unixsocketperm 1000":                    "octal, 0..777",
		"maxmemory -1":                           "number of bytes",
		"maxmemory 1tb":                          "number of bytes",
		"maxmemory gb":                           "number of bytes",
		"maxmemory 1.5gb":                        "number of bytes",
		"maxmemory 8589934592gb":                 "number of bytes",
		"maxmemory 1ȺȺȺ":                         "number of bytes",
		"max-job-size 1023":                      "must be 1kb..512mb",
		"max-job-size 513mb":                     "must be 1kb..512mb",
		"tcp-keepalive maybe":                    "whole number",
		"hz -1":                                  "must be 0 or more",
		"hz x":                                   "whole number",
		"timeout 2147483648":                     "must be 0 or more",
		"maxclients 0":                           "must be 1..1048576",
		"cluster-node-timeout 0":                 "must be 1 or more",
		"loglevel loud":                          "must be one of: debug, verbose, notice, warning",
		"appendonly maybe":                       "'yes' or 'no'",
		"daemonize yes":                          "run it under systemd or docker",
		"appendfilename a/b":                     "not a path",
		`cluster-config-file ""`:                 "must not be empty",
		`logfile "a\x00b"`:                       "zero byte",
		"dir /no/such/directory":                 "no such file or directory",
		"dir /dev/null":                          "not a directory",
		`dir ""`:                                 "must not be empty",
		"rename-command CONFIG":                  "takes a command and its new name",
		`rename-command "" x`:                    "takes a command and its new name",
		`rename-command CONFIG "a b"`:            "takes a command and its new name",
		"client-output-buffer-limit normal 1 2":  "takes <class>",
		"client-output-buffer-limit pubsub 1 2 3":  "only client class",
		"client-output-buffer-limit normal 1 2 -3": "0 or more",
		"client-output-buffer-limit normal x 2 3":  "number of bytes",
		"join a:b":           "host[:port[@busport]]",
		"join a:0":           "host[:port[@busport]]",
		"join a:55536":       "host[:port[@busport]]",
		"join a@1":           "host[:port[@busport]]",
		"join a:1@":          "host[:port[@busport]]",
		"join ::1:7711@":     "host[:port[@busport]]",
		"join [127.0.0.1]:1": "host[:port[@busport]]",
		"join a b,c":         "'b,c'",
		"join" + strings.Repeat(" a", 2) + manyHosts(joinsMax): "at most 64",
		`advertise-addr "a b"`:                                 "neither",
		"advertise-port -1":                                    "must be 0..65535",
		"cluster-port -2":                                      "must be -1..65535",
		"cluster-port 65536":                                   "must be -1..65535",
		`cluster-name "a b"`:                                   "without blanks",
		"cluster-name " + strings.Repeat("x", 201):             "at most 200",
		"cluster-secret " + strings.Repeat("x", 513):           "not be longer than 512",
		"default-replicate 0":                                  "must be 1..65535",
		"default-sync 65536":                                   "must be 1..65535",
		"user":                                                 "a name and rules",
		"user alice on >pw +@wrong":                            "there is no category @wrong",
		`user "a b" on`:                                        "printable ASCII",
		"requirepass " + strings.Repeat("x", 513):              "not be longer than 512",
		"logfile " + strings.Repeat("x", 4097):                 "not be longer than 4096",
		"rename-command " + strings.Repeat("x", 129) + " y":    "at most 128",
	} {
		_, err := loadText(t, line)
		var invalid *InvalidError
		require.ErrorAs(t, err, &invalid, line)
		require.Contains(t, invalid.Why, why, line)
		require.Contains(t, err.Error(), why, line)
	}
}

func TestRenames(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, "rename-command SHUTDOWN \"\"\nrename-command config x\nRename-Command CONFIG b840\n")
	require.Equal(t, []Rename{{From: "CONFIG", To: "b840"}, {From: "SHUTDOWN", To: ""}}, s.Get().RenameCommand)
	require.Empty(t, s.Match("rename-command"), "the new names may be secrets")

	var text strings.Builder
	for i := range renamesMax + 1 {
		text.WriteString("rename-command c" + strings.Repeat("c", i/100) + string(rune('a'+i%100/10)) + string(rune('a'+i%10)) + " x\n")
	}
	_, err := loadText(t, text.String())
	require.ErrorContains(t, err, "more than 256 commands")
}

func TestUsersOfTheFile(t *testing.T) {
	t.Parallel()
	_, err := loadText(t, "user alice on >s3cret maybe\n")
	require.ErrorContains(t, err, "user <hidden>")
	require.ErrorContains(t, err, "'maybe'")
	require.NotContains(t, err.Error(), "s3cret")

	s := mustLoad(t, "user alice on >s3cret ~mail +@consume\nuser bob off\nuser alice on >other ~sms:* +@all\n", "--requirepass", "pw")
	require.Empty(t, s.Match("user"))
	c := s.Get()
	alice := c.Account("alice")
	require.True(t, c.Knows(alice, acl.HashOf([]byte("other"))))
	require.False(t, c.Knows(alice, acl.HashOf([]byte("s3cret"))), "the last line of a user counts")
	require.True(t, alice.Queue("sms:x"))
	require.Nil(t, c.Account("carol"))
	require.Equal(t, acl.Default, c.Account("default"))
	require.True(t, c.Knows(acl.Default, acl.HashOf([]byte("pw"))))
	require.False(t, c.Open())

	require.NoError(t, s.UpdateUsers(func(c *Config) error {
		rest, _ := c.User.Without("bob")
		carol, err := acl.NewUser("carol")
		require.NoError(t, err)
		carol, err = carol.With("on", ">c4rol")
		require.NoError(t, err)
		c.User, err = rest.With(carol)
		return err
	}))
	require.NoError(t, s.Rewrite())
	text := readText(t, s.File())
	require.Equal(t, s.Get().User, reload(t, s).User)
	require.NotContains(t, text, "other")
	require.NotContains(t, text, "c4rol")
	require.NotContains(t, text, "bob")
	require.Contains(t, text, "user alice on #d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa ~sms:* +@all\n")
}

// Whether whoever connects is served depends on the default user and requirepass.
func TestOpen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"": true, "requirepass pw": false, "user bob on >pw +@all": true, "user default on nopass +@all": true, "user default off": false,
		"user default on >pw ~* +@all": false, "user default on nopass\nrequirepass pw": false, "user default off nopass": false,
	} {
		require.Equal(t, want, mustLoad(t, text).Get().Open(), text)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0", 1: "1", 1000: "1000", 1024: "1kb", 1025: "1025", 3 << 20: "3mb", 1 << 40: "1024gb",
		math.MaxInt64: "9223372036854775807",
	} {
		require.Equal(t, want, writeSize(n))
		back, err := readSize(want)
		require.NoError(t, err)
		require.Equal(t, n, back)
	}
}

// manyHosts returns n words that are host names, each after a blank.
func manyHosts(n int) string {
	var text strings.Builder
	for i := range n {
		text.WriteString(" h" + strconv.Itoa(i))
	}
	return text.String()
}

// join collects; the secret is not for CONFIG GET, nor for errors.
func TestClusterDirectives(t *testing.T) {
	t.Parallel()
	s := mustLoad(t, "join b a\njoin c\njoin a\ncluster-secret s3cret\n", "--join", "d")
	require.Equal(t, []string{"a", "b", "c", "d"}, s.Get().Join)
	require.Equal(t, "s3cret", s.Get().ClusterSecret)
	require.Empty(t, s.Match("cluster-secret"))
	_, err := loadText(t, "cluster-secret s3cret s3cret")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "s3cret")
	c := Default()
	require.Equal(t, -1, c.ClusterPort)
	require.True(t, c.ClusterProtectedMode)
	require.Equal(t, 3, c.DefaultReplicate)
	require.Equal(t, 2, c.DefaultSync)
}
