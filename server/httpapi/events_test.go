package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// stream follows the events of a broker.
type stream struct {
	s    *site
	body *bufio.Scanner
}

func (s *site) events() *stream {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", s.at()+"/v1/events", nil)
	require.NoError(s.t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(s.t, 200, res.StatusCode)
	require.Equal(s.t, "text/event-stream", res.Header.Get("Content-Type"))
	body := bufio.NewScanner(res.Body)
	body.Buffer(nil, 1<<20)
	return &stream{s, body}
}

// next returns the next event; ok is false when there are no more.
func (e *stream) next() (name string, data map[string]any, ok bool) {
	for e.body.Scan() {
		line := e.body.Text()
		if text, found := strings.CutPrefix(line, "event: "); found {
			name = text
		}
		if text, found := strings.CutPrefix(line, "data: "); found {
			require.NoError(e.s.t, json.Unmarshal([]byte(text), &data))
			return name, data, true
		}
	}
	return "", nil, false
}

// until waits for an event with a queue that is as it should be.
func (e *stream) until(holds func(q map[string]any) bool) {
	e.s.t.Helper()
	for {
		_, data, ok := e.next()
		require.True(e.s.t, ok)
		for _, q := range data["queues"].([]any) {
			if holds(q.(map[string]any)) {
				return
			}
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.c.Job("a/b", "x", "REPLICATE", "1")
	e := s.events()
	name, data, ok := e.next()
	require.True(t, ok)
	require.Equal(t, "state", name)
	require.Equal(t, s.c.Self().ID, field(data["node"], "id"))
	require.Len(t, data["queues"], 1)
	q := data["queues"].([]any)[0]
	require.Equal(t, []any{"a%2Fb", "a/b", 1.0}, []any{field(q, "key"), field(q, "name"), field(q, "queued")})
	s.c.Job("a/b", "y", "REPLICATE", "1")
	e.until(func(q map[string]any) bool { return q["queued"] == 2.0 })
	s.c.Job("night", "z", "REPLICATE", "1", "DELAY", "3600")
	e.until(func(q map[string]any) bool { return q["name"] == "night" && q["delayed"] == 1.0 && q["live"] == false })
	require.Equal(t, "+out\r\n", s.c.Do("PAUSE", "a/b", "out"))
	e.until(func(q map[string]any) bool { return q["pause"] == "out" })
}

// Queues that are listed stay so, however many others there are.
func TestListedQueuesStay(t *testing.T) {
	t.Parallel()
	const most, more = 1000, 500
	s := start(t)
	add := func(from, to int) {
		var b strings.Builder
		for i := from; i < to; i++ {
			b.Write(servertest.Command("ADDJOB", fmt.Sprint("q", i), "b", "0"))
		}
		s.c.Send(b.String())
		for i := from; i < to; i++ {
			require.Regexp(t, `^\+D-`, s.c.Raw())
		}
	}
	add(0, most+more)
	e := s.events()
	_, data, ok := e.next()
	require.True(t, ok)
	listed := data["queues"].([]any)
	require.Len(t, listed, most)
	add(most+more, most+3*more)
	gone := field(listed[0], "name").(string)
	require.Equal(t, "+in\r\n", s.c.Do("PAUSE", field(listed[1], "name").(string), "in")) // so that there is something to tell
	e.until(func(q map[string]any) bool { return q["pause"] == "in" })
	require.Equal(t, "+OK\r\n", s.c.Do("DEBUG", "FLUSHALL"))
	for {
		_, data, ok = e.next()
		require.True(t, ok)
		if list, _ := data["gone"].([]any); len(list) > 0 {
			require.Contains(t, list, gone)
			require.Len(t, list, most, "none before all were deleted")
			break
		}
	}
}

// Who watches has to say a new password.
func TestEventsAndPassword(t *testing.T) {
	t.Parallel()
	s := start(t)
	e := s.events()
	_, _, ok := e.next()
	require.True(t, ok)
	require.Equal(t, "+OK\r\n", s.c.Do("CONFIG", "SET", "requirepass", "s3cret"))
	for ok {
		_, _, ok = e.next()
	}
	code, _ := s.get("/v1/events")
	require.Equal(t, 401, code)
}

// A broker that ends does not wait for those who watch it, and they are told.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	broker := servertest.Start(t, "--http-port", "0")
	s := &site{t, broker.Dial(t), ""}
	e := s.events()
	_, _, ok := e.next()
	require.True(t, ok)
	begun := time.Now()
	broker.Stop(t)
	require.Less(t, time.Since(begun), 5*time.Second)
	for ok {
		_, _, ok = e.next()
	}
}

func TestAdminPages(t *testing.T) {
	t.Parallel()
	s := start(t, "--appendonly", "yes", "--slowlog-log-slower-than", "0")
	s.c.Do("CLIENT", "SETNAME", "me")
	clients := field(s.ok(200, "GET", "/v1/clients", ""), "clients").([]any)
	require.Len(t, clients, 1)
	require.Equal(t, "me", field(clients[0], "name"))
	entries := field(s.ok(200, "GET", "/v1/slowlog", ""), "entries").([]any)
	require.Equal(t, []any{"CLIENT", "SETNAME", "me"}, field(entries[len(entries)-1], "command"))
	log := s.ok(200, "GET", "/v1/aof", "")
	require.Equal(t, "on", field(log, "state"))
	require.Nil(t, field(log, "lastRewriteSeconds"))
	require.Equal(t, "+OK\r\n", s.c.Do("CONFIG", "SET", "requirepass", "s3cret"))
	_, body := s.get("/v1/config", "Authorization", "Bearer s3cret")
	require.Contains(t, body, `{"name":"requirepass","value":"(hidden)"}`)
	require.NotContains(t, body, "s3cret")
	_, body = s.get("/v1/nodes", "Authorization", "Bearer s3cret")
	require.Contains(t, body, s.c.Conn.RemoteAddr().String())
}

// Lists have the beginning of large bodies only.
func TestPeekIsShort(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("q", strings.Repeat("€", 10_000), "")
	s.add("q", "\xff"+strings.Repeat("x", 9999), "")
	s.add("q", "short", "")
	for _, path := range []string{"/v1/queues/q/jobs:peek?count=3", "/v1/queues/q/jobs?state=queued"} {
		jobs := field(s.ok(200, "GET", path, ""), "jobs").([]any)
		require.Len(t, jobs, 3)
		for _, j := range jobs {
			switch size := field(j, "bodyBytes"); size {
			case 30000.0:
				require.Equal(t, strings.Repeat("€", 1365), field(j, "body"), "no half character")
				require.Equal(t, true, field(j, "truncated"))
			case 10000.0:
				require.Equal(t, "base64", field(j, "encoding"))
				require.Equal(t, true, field(j, "truncated"))
			default:
				require.Equal(t, "short", field(j, "body"))
				require.NotContains(t, j, "truncated")
			}
		}
	}
	require.Equal(t, ":3\r\n", s.c.Do("QLEN", "q"), "they stay")
	last := field(s.ok(200, "GET", "/v1/queues/q/jobs:peek?count=-1", ""), "jobs").([]any)
	require.Len(t, last, 1)
	require.Equal(t, "short", field(last[0], "body"))
	for _, count := range []string{"0", "x", "1001"} {
		s.ok(400, "GET", "/v1/queues/q/jobs:peek?count="+count, "")
	}
}

// What RestMQ's GETs change is not changed by a page of another site, and not by who
// asks for the head.
func TestRestMQAndBrowsers(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.add("q", "x", "")
	for _, path := range []string{"/q/q", "/c/q"} {
		code, _ := s.get(path, "Sec-Fetch-Site", "cross-site")
		require.Equal(t, 403, code, path)
		code, _ = s.get(path, "User-Agent", "Mozilla/5.0") // over plain HTTP it says nothing
		require.Equal(t, 403, code, path)
		code, _ = s.do("HEAD", path)
		require.Equal(t, 405, code, path)
	}
	require.Equal(t, ":1\r\n", s.c.Do("QLEN", "q"))
	code, body := s.get("/q/q", "Sec-Fetch-Site", "none") // typed into the browser
	require.Equal(t, 200, code)
	require.Contains(t, body, `"value":"x"`)
}

// The pages may load nothing from elsewhere, and are not sent twice.
func TestPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, kind := range map[string]string{"/": "text/html", "/dashboard/main.js": "text/javascript", "/dashboard/style.css": "text/css", "/dashboard/icon.svg": "image/svg+xml"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.at()+path, nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode, path)
		require.Contains(t, res.Header.Get("Content-Type"), kind)
		require.Contains(t, res.Header.Get("Content-Security-Policy"), "default-src 'none'")
		code, _ := s.get(path, "If-None-Match", res.Header.Get("ETag"))
		require.Equal(t, 304, code, path)
	}
	for _, path := range []string{"/dashboard/none.js", "/dashboard/", "/dashboard/..%2Fdoc.go"} {
		code, body := s.get(path)
		require.GreaterOrEqual(t, code, 400, path)
		require.NotContains(t, body, "package")
	}
	for value, want := range map[string]int{"no": 404, "ro": 200, "yes": 200} {
		require.Equal(t, "+OK\r\n", s.c.Do("CONFIG", "SET", "dashboard", value))
		for _, path := range []string{"/", "/dashboard/main.js"} {
			code, _ := s.get(path)
			require.Equal(t, want, code, path)
		}
	}
}
