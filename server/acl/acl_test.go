package acl_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/acl"
)

func user(t *testing.T, rules ...string) *acl.User {
	t.Helper()
	u, err := acl.NewUser("u")
	require.NoError(t, err)
	u, err = u.With(rules...)
	require.NoError(t, err)
	return u
}

func TestRules(t *testing.T) {
	t.Parallel()
	const sum = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90" // of "alice"
	for _, row := range []struct{ rules, want string }{
		{"", "off -@all"},
		{"on", "on -@all"},
		{"on off", "off -@all"},
		{"ON NOPASS", "on nopass -@all"},
		{"on >alice", "on #" + sum + " -@all"},
		{"on nopass >alice", "on #" + sum + " -@all"},
		{"on >alice nopass", "on nopass -@all"},
		{"on >alice >alice", "on #" + sum + " -@all"},
		{"on >alice <alice", "on -@all"},
		{"on #" + sum + " !" + sum, "on -@all"},
		{"on >alice resetpass", "on -@all"},
		{"~mail ~sms:* ~mail", "off ~mail ~sms:* -@all"},
		{"~mail allkeys", "off ~* -@all"},
		{"~* ~mail", "off ~* -@all"},
		{"~* resetkeys ~mail", "off ~mail -@all"},
		{"+@all", "off +@all"},
		{"allcommands", "off +@all"},
		{"+@all nocommands", "off -@all"},
		{"+@produce +@consume", "off -@all +@produce +@consume"},
		{"+@consume -@consume", "off -@all"},
		{"+@consume -getjob", "off -@all +ackjob +fastack +nack +working +bury +enqueue +dequeue"},
		{"+addjob", "off -@all +@produce"},
		{"+GETJOB +ackjob", "off -@all +getjob +ackjob"},
		{"+cluster|info", "off -@all +cluster|info"},
		{"+cluster", "off -@all +cluster|info +cluster|nodes +cluster|myid +cluster"},
		{"+@produce +@consume +@inspect +@admin", "off +@all"},
		{"on >alice ~mail +@all reset", "off -@all"},
	} {
		u := user(t, strings.Fields(row.rules)...)
		require.Equal(t, row.want, strings.Join(u.Rules(), " "), row.rules)
		again := user(t, u.Rules()...)
		require.Equal(t, u, again, row.rules)
	}
}

func TestRulesThatAreNone(t *testing.T) {
	t.Parallel()
	u := user(t, "on", ">pw", "~mail")
	for rule, why := range map[string]string{
		"":                              "cannot be empty",
		"maybe":                         "syntax error",
		"+@nothing":                     "there is no category @nothing",
		"+@open":                        "there is no category @open",
		"+nothing":                      "there is no command 'nothing'",
		"-ping":                         "there is no command 'ping' that needs a right",
		"~":                             "1 to 1024 bytes",
		"~" + strings.Repeat("x", 1025): "1 to 1024 bytes",
		"<other":                        "no such password",
		"#12":                           "64 hexadecimal digits",
		"#" + strings.Repeat("x", 64):   "64 hexadecimal digits",
		"!" + strings.Repeat("a", 66):   "64 hexadecimal digits",
		">" + strings.Repeat("s", 513):  "at most 512 bytes",
	} {
		_, err := u.With("off", rule)
		var bad *acl.RuleError
		require.ErrorAs(t, err, &bad, rule)
		require.ErrorContains(t, err, why, rule)
		require.NotContains(t, err.Error(), "other", "a password is not repeated")
	}
	require.True(t, u.On, "nothing of a list with a bad rule is applied")
	for _, name := range []string{"", "a b", "ä", strings.Repeat("n", 129), "x\n"} {
		_, err := acl.NewUser(name)
		require.Error(t, err, name)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	u := user(t)
	var err error
	for i := range 16 {
		u, err = u.With(fmt.Sprintf(">%d", i))
		require.NoError(t, err)
	}
	_, err = u.With(">more")
	require.ErrorContains(t, err, "at most 16 passwords")
	for i := range 128 {
		u, err = u.With(fmt.Sprintf("~%d", i))
		require.NoError(t, err)
	}
	_, err = u.With("~more")
	require.ErrorContains(t, err, "at most 128 patterns")
	for _, blank := range []string{"a b", " a", "a\t", "a\nuser eve on nopass", "a\x00", "a\x7f"} {
		_, err = user(t).With("~" + blank)
		require.ErrorContains(t, err, "a pattern has no blanks and no control characters", "%q", blank)
	}
}

func TestQueues(t *testing.T) {
	t.Parallel()
	u := user(t, "~mail", "~sms:*", "~team-?-[ab]")
	for name, may := range map[string]bool{
		"mail": true, "mail2": false, "": false, "sms:": true, "sms:de": true, "sms": false, "*": false,
		strings.Repeat("sms:", 100): true, "Mail": false,
	} {
		require.Equal(t, may, u.Queue(name), name)
	}
	require.False(t, user(t).Queue("mail"))
	require.True(t, user(t, "allkeys").Queue("mail"))
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	u := user(t, ">one", ">two")
	require.True(t, u.Has(acl.HashOf([]byte("one"))))
	require.True(t, u.Has(acl.HashOf([]byte("two"))))
	require.False(t, u.Has(acl.HashOf([]byte("three"))))
	require.False(t, u.Has(acl.HashOf(nil)))
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"+@all ~*", "+@consume ~mail", true},
		{"+@consume ~mail", "+@consume ~mail", true},
		{"+@consume ~mail ~sms", "+@consume ~mail", true},
		{"+@consume ~mail", "+@consume ~*", false},
		{"+@consume ~sms", "+@consume ~mail", false},
		{"+@inspect ~mail", "+@consume ~mail", false},
	} {
		require.Equal(t, row.want, user(t, strings.Fields(row.a)...).Covers(user(t, strings.Fields(row.b)...)), row)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	var s acl.Users
	for _, name := range []string{"bob", "alice", "carol"} {
		u, err := acl.NewUser(name)
		require.NoError(t, err)
		s, err = s.With(u)
		require.NoError(t, err)
	}
	names := func(s acl.Users) (list []string) {
		for _, u := range s.All() {
			list = append(list, u.Name)
		}
		return list
	}
	require.Equal(t, []string{"alice", "bob", "carol"}, names(s))
	rest, ok := s.Without("bob")
	require.True(t, ok)
	require.Equal(t, []string{"alice", "carol"}, names(rest))
	require.Equal(t, []string{"alice", "bob", "carol"}, names(s), "who holds them keeps them")
	_, ok = s.Without("dave")
	require.False(t, ok)
	require.Nil(t, s.Get("dave"))
	on, err := s.Get("bob").With("on")
	require.NoError(t, err)
	with, err := s.With(on)
	require.NoError(t, err)
	require.True(t, with.Get("bob").On)
	require.False(t, s.Get("bob").On)
}

func TestLog(t *testing.T) {
	t.Parallel()
	var l acl.Log
	at := time.Unix(1000, 0)
	add := func(object string, after time.Duration) {
		l.Add(acl.Event{Reason: acl.ReasonCommand, Context: "toplevel", Object: object, User: "u", Client: object + after.String()}, at.Add(after), 2)
	}
	add("a", 0)
	add("a", time.Second)
	add("b", 2*time.Second)
	require.Equal(t, []acl.Event{
		{ID: 1, Count: 1, Reason: "command", Context: "toplevel", Object: "b", User: "u", Client: "b2s", Created: at.Add(2 * time.Second), LastTime: at.Add(2 * time.Second)},
		{ID: 0, Count: 2, Reason: "command", Context: "toplevel", Object: "a", User: "u", Client: "a1s", Created: at, LastTime: at.Add(time.Second)},
	}, l.Latest(10))
	add("a", 2*time.Minute)
	require.Len(t, l.Latest(10), 2, "the oldest goes")
	require.EqualValues(t, 2, l.Latest(1)[0].ID, "after a minute it is another")
	add(strings.Repeat("x", 1000), 2*time.Minute)
	require.Len(t, l.Latest(1)[0].Object, 128)
	require.Len(t, l.Latest(1)[0].Client, 512, "a client may give itself a long name")
	l.Reset()
	require.Empty(t, l.Latest(10))
}
