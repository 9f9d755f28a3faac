package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// send makes a request and returns the status and the JSON of the answer.
func (s *site) send(method, path, contentType, body string) (code int, answer any) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.at()+path, strings.NewReader(body))
	require.NoError(s.t, err)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	if res.Header.Get("Content-Type") == "text/event-stream" {
		return res.StatusCode, nil // it has no end
	}
	b, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	if len(b) > 0 && res.Header.Get("Content-Type") == "application/json" {
		require.NoError(s.t, json.Unmarshal(b, &answer), "%s", b)
	}
	return res.StatusCode, answer
}

// ok is send for what must succeed with that status.
func (s *site) ok(status int, method, path, body string) any {
	s.t.Helper()
	code, answer := s.send(method, path, "", body)
	require.Equal(s.t, status, code, "%s %s: %v", method, path, answer)
	return answer
}

func (s *site) add(queue, body, query string) string {
	s.t.Helper()
	return s.ok(201, "POST", "/v1/queues/"+queue+"/jobs"+query, body).(map[string]any)["id"].(string)
}

// field returns what a JSON object says.
func field(v any, name string) any { return v.(map[string]any)[name] }

func TestGatewayLife(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.add("mail", "hello", "?retry=60&priority=3&maxtries=2&backoff=100,200&replicate=1")
	require.Equal(t, ":1\r\n", s.c.Do("QLEN", "mail"))
	got := s.ok(200, "POST", "/v1/queues/mail/jobs:get?withcounters=true", "").([]any)
	require.Equal(t, []any{map[string]any{"queue": "mail", "id": id, "body": "hello", "encoding": "text", "nacks": 0.0, "additionalDeliveries": 0.0}}, got)
	s.ok(204, "POST", "/v1/queues/mail/jobs:get", "")
	require.Equal(t, 60.0, field(s.ok(200, "POST", "/v1/jobs/"+id+":working", ""), "retry"))
	require.Equal(t, 1.0, field(s.ok(200, "POST", "/v1/jobs/"+url.PathEscape(id)+":nack?reason=no+way&delay=0", ""), "changed"))
	job := s.ok(200, "GET", "/v1/jobs/"+id, "")
	require.Equal(t, []any{"queued", 3.0, 2.0, 1.0, "no way", "hello", "text"},
		[]any{field(job, "state"), field(job, "priority"), field(job, "maxTries"), field(job, "tries"), field(job, "reason"), field(job, "body"), field(job, "encoding")})
	s.ok(200, "POST", "/v1/jobs/"+id+":bury?reason=enough", "")
	require.Equal(t, "dead", field(s.ok(200, "GET", "/v1/jobs/"+id, ""), "state"))
	require.Equal(t, 1.0, field(s.ok(200, "GET", "/v1/queues/mail", ""), "dead"))
	require.Len(t, field(s.ok(200, "GET", "/v1/queues/mail/jobs?state=dead&count=1000", ""), "jobs"), 1)
	require.Equal(t, 1.0, field(s.ok(200, "POST", "/v1/queues/mail:kick?count=5", ""), "changed"))
	require.Equal(t, 0.0, field(s.ok(200, "POST", "/v1/jobs/"+id+":kick", ""), "changed"))
	require.Equal(t, 1.0, field(s.ok(200, "POST", "/v1/jobs/"+id+":promote?priority=0", ""), "changed"))
	require.Equal(t, "in", field(s.ok(200, "POST", "/v1/queues/mail:pause?direction=in", ""), "pause"))
	code, answer := s.send("POST", "/v1/queues/mail/jobs", "", "x")
	require.Equal(t, 409, code)
	require.Equal(t, "PAUSED", field(field(answer, "error"), "code"))
	require.Equal(t, "none", field(s.ok(200, "POST", "/v1/queues/mail:resume", ""), "pause"))
	queues := field(s.ok(200, "GET", "/v1/queues", ""), "queues").([]any)
	require.Equal(t, "mail", field(queues[0], "name"))
	require.Len(t, field(field(s.ok(200, "GET", "/v1/nodes", ""), "self"), "id"), 40)
	s.ok(204, "DELETE", "/v1/jobs/"+id, "")
	s.ok(404, "DELETE", "/v1/jobs/"+id, "")
	s.ok(404, "GET", "/v1/jobs/"+id, "")
	s.ok(404, "GET", "/v1/queues/nobody", "")
	s.add("mail", "x", "?delay=100")
	require.Equal(t, 1.0, field(s.ok(200, "POST", "/v1/queues/mail:purge?state=delayed", ""), "changed"))
	require.Equal(t, "0", s.c.Info("jobs", "registered_jobs"))
}

// Bodies and names come out as they went in, whatever bytes they are.
func TestGatewayBytes(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, body := range []string{"", "\x00", "\xff\xfe", "<script>&\"'\u2028", strings.Repeat("é", 100_000)} {
		id := s.add("b", body, "")
		got := s.ok(200, "POST", "/v1/queues/b/jobs:get", "").([]any)[0]
		require.Equal(t, id, field(got, "id"))
		if field(got, "encoding") == "text" {
			require.Equal(t, body, field(got, "body"))
		} else {
			require.Equal(t, "base64", field(got, "encoding"))
			require.Equal(t, "//4=", field(got, "body"))
		}
	}
	s.add(url.PathEscape("a/b c:d"), "x", "")
	require.Equal(t, ":1\r\n", s.c.Do("QLEN", "a/b c:d"))
	code, _ := s.send("POST", "/v1/queues/big/jobs", "", strings.Repeat("x", 4<<20+1))
	require.Equal(t, 413, code)
}

func TestGatewayBatches(t *testing.T) {
	t.Parallel()
	s := start(t)
	code, answer := s.send("POST", "/v1/queues/q/jobs?priority=9", "application/json", `["a", {"body":"Yg==","encoding":"base64"}, {"body":"c"}]`)
	require.Equal(t, 201, code)
	var ids []string
	for _, one := range answer.([]any) {
		ids = append(ids, field(one, "id").(string))
	}
	require.Len(t, ids, 3)
	got := s.ok(200, "POST", "/v1/queues/q/jobs:get?count=10", "").([]any)
	require.Len(t, got, 3)
	for i, want := range []string{"a", "b", "c"} {
		require.Equal(t, want, field(got[i], "body"))
	}
	code, answer = s.send("POST", "/v1/jobs:ack", "application/json",
		fmt.Sprintf(`{"ack":[%q],"nack":[%q,{"id":%q,"delay":500,"reason":"later"}]}`, ids[0], ids[1], ids[2]))
	require.Equal(t, 200, code)
	require.Equal(t, map[string]any{"acked": 1.0, "nacked": 2.0}, answer)
	require.Equal(t, "queued", field(s.ok(200, "GET", "/v1/jobs/"+ids[1], ""), "state"))
	require.Equal(t, 1.0, field(s.ok(200, "GET", "/v1/jobs/"+ids[2], ""), "backingOff"))
	require.Equal(t, "+in\r\n", s.c.Do("PAUSE", "q", "in"))
	code, _ = s.send("POST", "/v1/queues/q/jobs", "application/json", `["x","y"]`)
	require.Equal(t, 409, code)
}

// What cannot be is refused with an error in JSON that says why.
func TestGatewayErrors(t *testing.T) {
	t.Parallel()
	s := start(t)
	const unknown = "/v1/jobs/D-00000000-AAAAAAAAAAAAAAAAAAAAAAAA-05a1"
	for request, want := range map[string]string{
		"POST /v1/queues/q/jobs?retry=x":                `400 ERR RETRY time must be a non negative number`,
		"POST /v1/queues/q/jobs?colour=red":             `400 ERR there is no parameter "colour"`,
		"POST /v1/queues/q/jobs?backoff=5":              `400 ERR backoff takes two times in seconds: backoff=1,3600`,
		"POST /v1/queues/q/jobs?replicate=7":            `503 NOREPL Not enough reachable nodes`,
		"POST /v1/queues/q/jobs:get?wait=1h":            `400 ERR "1h" is no time from 0s to 5m0s`,
		"POST /v1/queues/q/jobs:get?withcounters=maybe": `400 ERR withcounters is true or false`,
		"POST /v1/queues/q/jobs?ASYNC=maybe":            `400 ERR async is true or false`,
		"POST /v1/queues/q/jobs:get?count=0":            `400 ERR COUNT must be a number greater than zero`,
		"POST /v1/queues/q:stop":                        `400 ERR say what to do with the queue: :pause, :resume, :purge or :kick`,
		"POST /v1/queues/q:purge?state=acked":           `400 ERR STATE must be`,
		"POST /v1/jobs/nonsense:nack":                   `400 BADID Invalid Job ID format.`,
		"POST /v1/jobs/x:shred":                         `400 ERR say what to do with the job`,
		"GET /v1/jobs/nonsense":                         `400 BADID Invalid Job ID format.`,
		"GET /v1/queues?count=5000":                     `400 ERR count is 1 to 1000`,
		"GET /v1/queues/q/jobs?state=asleep":            `400 ERR Invalid job state name`,
		"POST /v1/jobs:ack":                             `400 ERR it takes {"ack":`,
		"POST /v1/queues/q/jobs?delay=5;ttl=3":          `400 ERR a query that cannot be read`,
		"POST /v1/queues/q/jobs?delay=%zz":              `400 ERR a query that cannot be read`,
		"POST /v1/queues/q:pause?bcast=maybe":           `400 ERR bcast is true or false`,
		"GET /v1/nodes?colour=red":                      `400 ERR there is no parameter "colour"`,
		"POST " + unknown + ":kick":                     `404 NOJOB this node does not know the job`,
		"POST " + unknown + ":nack":                     `404 NOJOB this node does not know the job`,
		"GET " + unknown:                                `404 NOJOB this node does not know the job`,
	} {
		method, path, _ := strings.Cut(request, " ")
		code, answer := s.send(method, path, "", "")
		p := field(answer, "error")
		require.Contains(t, fmt.Sprint(code, " ", field(p, "code"), " ", field(p, "message")), want, request)
	}
	for _, body := range []string{`[`, `[]`, `[1]`, `[{"body":"x","encoding":"rot13"}]`, `[{"body":"?","encoding":"base64"}]`,
		`[null]`, `[{}]`, `[{"bdy":"x"}]`, `[{"body":null}]`, `["\ud800"]`, "[\"\xff\"]"} {
		code, _ := s.send("POST", "/v1/queues/q/jobs", "application/json", body)
		require.Equal(t, 400, code, body)
	}
	require.Equal(t, "0", s.c.Info("jobs", "registered_jobs"))
	id := s.add("q", "\ufffd is text", "")
	code, answer := s.send("POST", "/v1/jobs:ack", "application/json", fmt.Sprintf(`{"ack":[%q],"nack":["bogus"]}`, id))
	require.Equal(t, 400, code)
	require.Equal(t, "BADID", field(field(answer, "error"), "code"))
	require.Equal(t, "queued", field(s.ok(200, "GET", "/v1/jobs/"+id+"?body=false", ""), "state"), "nothing was done")
	require.NotContains(t, s.ok(200, "GET", "/v1/jobs/"+id+"?body=false", ""), "body")
}

// A web page cannot use a browser to change anything, nor another name for this
// machine to read it.
func TestGatewayAndBrowsers(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		code, _ := s.do("POST", "/v1/queues/q/jobs", headers...)
		require.Equal(t, 403, code, headers)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.at()+"/v1/queues", nil)
	require.NoError(t, err)
	for host, want := range map[string]int{
		"evil.example": 403, "evil.example:8711": 403, "127.0.0.1.evil.example": 403, "localhost": 200, "LOCALHOST.:8711": 200, "disqo:8711": 200,
		"disqo.default.svc.cluster.local": 200, "[::1]:8711": 200, "[fe80::1%25eth0]": 200, "10.0.0.1": 200,
	} {
		r.Host = host
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode, host)
	}
	r.Host, r.URL.Path = "evil.example", "/readyz"
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode, "health is no secret")
	require.Equal(t, "0", s.c.Info("jobs", "registered_jobs"))
}

// OpenAPI says what there is: each of its paths answers, and each route is in it.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := s.ok(200, "GET", "/v1/openapi.json", "")
	require.Equal(t, "3.1.0", field(doc, "openapi"))
	paths := field(doc, "paths").(map[string]any)
	require.GreaterOrEqual(t, len(paths), 16)
	id := s.add("q", "b", "")
	for path, methods := range paths {
		path = strings.NewReplacer("{queue}", "q", "{id}", id).Replace(path)
		for method, operation := range methods.(map[string]any) {
			code, answer := s.send(strings.ToUpper(method), path, "", "")
			require.Contains(t, field(operation, "responses").(map[string]any), fmt.Sprint(code), "%s %s: %v", method, path, answer)
		}
	}
}

// A thousand clients wait for jobs, and each gets one as it comes. One that goes
// away gets none.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	const clients = 1000
	s := start(t)
	gone, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(gone, "POST", s.at()+"/v1/queues/q/jobs:get?wait=60s", nil)
	require.NoError(t, err)
	left := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = res.Body.Close()
		}
		left <- err
	}()
	s.blocked(1)
	leave()
	require.Error(t, <-left)
	s.blocked(0)
	var all sync.WaitGroup
	bodies := make(chan string, clients)
	for range clients {
		all.Go(func() {
			res, err := http.Post(s.base+"/v1/queues/q/jobs:get?wait=60s", "", nil)
			if err != nil {
				return
			}
			defer func() { _ = res.Body.Close() }()
			var jobs []map[string]any
			if json.NewDecoder(res.Body).Decode(&jobs) == nil && len(jobs) == 1 {
				bodies <- jobs[0]["body"].(string)
			}
		})
	}
	s.blocked(clients)
	for i := range clients {
		s.c.Job("q", fmt.Sprint(i), "RETRY", "600")
	}
	all.Wait()
	close(bodies)
	seen := map[string]bool{}
	for b := range bodies {
		seen[b] = true
	}
	require.Len(t, seen, clients)
}

// blocked waits until so many consumers do.
func (s *site) blocked(n int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return s.c.Info("clients", "blocked_clients") == fmt.Sprint(n) }, 20*time.Second, 2*time.Millisecond)
}

// A client that is gone when its job comes does not have it: the job goes back, and
// costs no try.
func TestGoneBeforeItsJob(t *testing.T) {
	t.Parallel()
	s := start(t)
	addr := strings.TrimPrefix(s.at(), "http://")
	for range 20 {
		nc, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_, err = nc.Write([]byte("POST /v1/queues/q/jobs:get?wait=60s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"))
		require.NoError(t, err)
		s.blocked(1)
		require.NoError(t, nc.(*net.TCPConn).SetLinger(0))
		require.NoError(t, nc.Close())
		s.blocked(0)
		id := s.c.Job("q", "b", "MAXTRIES", "1")
		require.Equal(t, ":1\r\n", s.c.Do("QLEN", "q"))
		require.Equal(t, ":1\r\n", s.c.Do("ACKJOB", id))
	}
}

// Slow and endless clients are cut off.
func TestHTTPLimits(t *testing.T) {
	t.Parallel()
	s := start(t)
	addr := strings.TrimPrefix(s.at(), "http://")
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	require.NoError(t, nc.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = nc.Write([]byte("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + strings.Repeat("x", 64<<10)))
	require.NoError(t, err)
	reply, _ := io.ReadAll(nc)
	require.True(t, bytes.HasPrefix(reply, []byte("HTTP/1.1 431")) || len(reply) == 0, "%q", reply)

	slow, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer func() { _ = slow.Close() }()
	require.NoError(t, slow.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = slow.Write([]byte("GET /healthz HTTP/1.1\r\n"))
	require.NoError(t, err)
	begun := time.Now()
	_, _ = io.ReadAll(slow)
	require.Less(t, time.Since(begun), 10*time.Second)
}
