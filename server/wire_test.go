package server_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/config"
	"github.com/disqo/disqo/server/servertest"
)

// configSnapshot is what a hook of the configuration is shown.
type configSnapshot = config.Config

// waitLimit bounds every wait for a condition.
const waitLimit = 20 * time.Second

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	servertest.Until(t, what, waitLimit, cond)
}

// dial connects to a server whose protocol is then proto.
func dial(t testing.TB, srv *servertest.Server, proto int) *servertest.Client {
	t.Helper()
	c := srv.Dial(t)
	if proto == 3 {
		require.Contains(t, c.Do("HELLO", "3"), "%7\r\n")
	}
	return c
}

// bulkOf returns what a bulk string reply holds.
func bulkOf(raw string) string {
	_, rest, _ := strings.Cut(raw, "\r\n")
	return strings.TrimSuffix(rest, "\r\n")
}

// bulk encodes a bulk string.
func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// bulks encodes an array of bulk strings.
func bulks(words ...string) string { return string(servertest.Command(words...)) }

// decode turns a reply into Go values; see servertest.Decode.
func decode(t testing.TB, raw string) any {
	t.Helper()
	return servertest.Decode(t, raw)
}

// fields turns an array of keys and values into a map.
func fields(t testing.TB, raw string) map[string]any {
	t.Helper()
	list, ok := decode(t, raw).([]any)
	require.True(t, ok, "no array: %q", raw)
	m := map[string]any{}
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)] = list[i+1]
	}
	return m
}

func showFields(t testing.TB, c *servertest.Client, id string) map[string]any {
	t.Helper()
	return fields(t, c.Do("SHOW", id))
}

func statFields(t testing.TB, c *servertest.Client, queue string) map[string]any {
	t.Helper()
	return fields(t, c.Do("QSTAT", queue))
}

// blockedClients waits until n clients wait in GETJOB.
func blockedClients(t testing.TB, c *servertest.Client, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d clients are blocked", n), func() bool {
		return c.Info("clients", "blocked_clients") == strconv.Itoa(n)
	})
}

// fetchIDs fetches up to count jobs and returns their ids.
func fetchIDs(t testing.TB, c *servertest.Client, queue string, count int) (ids []string) {
	t.Helper()
	jobs, _ := decode(t, c.Do("GETJOB", "NOHANG", "COUNT", strconv.Itoa(count), "FROM", queue)).([]any)
	for _, j := range jobs {
		ids = append(ids, j.([]any)[1].(string))
	}
	return ids
}

const (
	ok      = "+OK\r\n"
	pong    = "+PONG\r\n"
	queued  = "+QUEUED\r\n"
	noAuth  = "-NOAUTH Authentication required.\r\n"
	noArray = "*-1\r\n"
	noBulk  = "$-1\r\n"
	noThing = "_\r\n"
)
