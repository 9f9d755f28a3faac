package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/acl"
)

// Every field belongs to one directive and is named after it, so that neither
// can be added without the other.
func TestTableAndConfigHaveTheSameNames(t *testing.T) {
	t.Parallel()
	fields := make(map[string]bool)
	for f := range reflect.TypeFor[Config]().Fields() {
		fields[strings.ToLower(f.Name)] = true
	}
	for _, d := range table {
		field := strings.ReplaceAll(d.name, "-", "")
		require.True(t, fields[field], "no field for %s, or two directives", d.name)
		delete(fields, field)
	}
	require.Empty(t, fields, "fields without a directive")
}

func TestEveryDirectiveTouchesItsOwnFieldOnly(t *testing.T) {
	t.Parallel()
	for _, d := range table {
		before := reflect.ValueOf(Config{})
		changed := poisoned()
		d.reset(&changed)
		after, untouched := reflect.ValueOf(changed), reflect.ValueOf(poisoned())
		for i := range before.NumField() {
			name := before.Type().Field(i).Name
			own := strings.EqualFold(name, strings.ReplaceAll(d.name, "-", ""))
			same := reflect.DeepEqual(after.Field(i).Interface(), untouched.Field(i).Interface())
			require.Equal(t, !own, same, "%s and field %s", d.name, name)
		}
	}
}

// poisoned has values in its fields that no default has.
func poisoned() Config {
	var c Config
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Int, reflect.Int64:
			f.SetInt(-77)
		case reflect.Uint32:
			f.SetUint(77)
		case reflect.String:
			f.SetString("poison")
		}
	}
	c.Bind, c.Join, c.RenameCommand = []string{"poison"}, []string{"poison"}, []Rename{{}}
	c.ClientOutputBufferLimit.Hard = -77
	c.User, _ = c.User.With(acl.Default)
	onByDefault := Default()
	c.ClusterProtectedMode = !onByDefault.ClusterProtectedMode
	c.ProtectedMode, c.ActiveRehashing = !onByDefault.ProtectedMode, !onByDefault.ActiveRehashing
	c.AOFLoadTruncated, c.AOFRewriteIncrementalFsync = !onByDefault.AOFLoadTruncated, !onByDefault.AOFRewriteIncrementalFsync
	c.AppendOnly, c.Daemonize, c.SyslogEnabled, c.AOFEnqueueJobsOnce, c.NoAppendFsyncOnRewrite = true, true, true, true, true
	return c
}

func TestDefaultsParse(t *testing.T) {
	t.Parallel()
	want := Default()
	for _, d := range table {
		for _, e := range d.entries(want) {
			c := *want
			require.NoError(t, d.apply(&c, d.name, e.args))
			require.Equal(t, *want, c, d.name)
		}
	}
}

func TestDefaultsOfTheReference(t *testing.T) {
	t.Parallel()
	c := Default()
	require.Equal(t, 7711, c.Port)
	require.Empty(t, c.Bind)
	require.EqualValues(t, 1<<30, c.MaxMemory)
	require.Equal(t, "acks", c.MaxMemoryPolicy)
	require.Equal(t, 10, c.HZ)
	require.False(t, c.AppendOnly)
	require.Equal(t, "nodes.conf", c.ClusterConfigFile)
	require.Equal(t, 15000, c.ClusterNodeTimeout)
	require.Equal(t, 10000, c.SlowlogLogSlowerThan)
	require.Equal(t, 128, c.SlowlogMaxLen)
	require.Equal(t, 10000, c.MaxClients)
	require.Equal(t, OutputLimit{Hard: 64 << 20}, c.ClientOutputBufferLimit)
	require.Empty(t, c.PidFile)
	require.True(t, c.ProtectedMode)
}

func TestDirectives(t *testing.T) {
	t.Parallel()
	docs := make(map[string]Doc)
	last := ""
	for _, d := range Directives() {
		require.Less(t, last, d.Name, "sorted, each once")
		require.NotEmpty(t, d.Values, d.Name)
		require.NotEmpty(t, d.Help, d.Name)
		docs[d.Name], last = d, d.Name
	}
	require.Len(t, docs, len(table)+1)
	require.Equal(t, Doc{Name: "max-job-size", Default: "4mb", Values: "bytes, 1kb..512mb", Help: "largest body of a job", Settable: true}, docs["max-job-size"])
	require.Equal(t, Doc{Name: "maxmemory", Default: "1gb", Values: "bytes, 0 or more", Help: "memory for jobs and queues; 0 sets no limit", Settable: true}, docs["maxmemory"])
	require.Equal(t, ".", docs["dir"].Default)
	require.Equal(t, "normal 64mb 0 0", docs["client-output-buffer-limit"].Default)
	require.Empty(t, docs["requirepass"].Default)
	require.False(t, docs["port"].Settable)
	require.Contains(t, docs["hz"].Help, "no effect")
	require.Contains(t, docs, "include")
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"prot":            "port",
		"maxmemmory":      "maxmemory",
		"MAXCLIENT":       "maxclients",
		"bnid":            "bind",
		"loglevl":         "loglevel",
		"max_job_size":    "max-job-size",
		"port=7711":       "port",
		"save":            "",
		"":                "",
		"x":               "",
		"\xff\xfe\xfd":    "",
		"replica-of-node": "",
	} {
		require.Equal(t, want, nearest(name), "%q", name)
	}
	require.Empty(t, nearest(strings.Repeat("port", 1000)))
	require.Equal(t, 3, editDistance("kitten", "sitting"))
	require.Equal(t, 4, editDistance("", "port"))
}

// The words that a directive is said to take are those it takes.
func TestWordsOfDirectives(t *testing.T) {
	t.Parallel()
	some := 0
	for _, d := range table {
		for _, word := range d.words {
			some++
			c := Default()
			require.NoError(t, d.apply(c, d.name, []string{word}))
		}
		if d.words != nil {
			require.Equal(t, strings.Join(d.words, "|"), d.values)
			require.Error(t, d.apply(Default(), d.name, []string{"neither"}), d.name)
		}
	}
	require.Greater(t, some, 20)
}
