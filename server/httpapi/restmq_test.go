package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const form = "application/x-www-form-urlencoded"

func (s *site) mq(status int, method, path, contentType, body string) map[string]any {
	s.t.Helper()
	code, answer := s.send(method, path, contentType, body)
	require.Equal(s.t, status, code, "%s %s: %v", method, path, answer)
	return answer.(map[string]any)
}

func TestRestMQ(t *testing.T) {
	t.Parallel()
	s := start(t)
	key := s.mq(200, "POST", "/q/test", form, "value=foo+bar")["key"]
	require.Equal(t, 1.0, s.mq(200, "GET", "/stats/test", "", "")["len"])
	require.Equal(t, map[string]any{"queue": "test", "key": key, "value": "foo bar", "count": 1.0}, s.mq(200, "GET", "/q/test", "", ""))
	require.Equal(t, map[string]any{"error": "Null resultset"}, s.mq(404, "GET", "/q/test", "", ""))
	require.Equal(t, "0", s.c.Info("jobs", "registered_jobs"), "whoever takes it has it")

	s.mq(200, "POST", "/queue", "", `{"cmd":"add","queue":"genesis","value":{"composer":"phil collins"}}`)
	s.mq(200, "POST", "/queue", form, "body="+url.QueryEscape(`{"cmd":"add","queue":"genesis","value":"turn it on"}`))
	require.Equal(t, `{"composer":"phil collins"}`, s.mq(200, "POST", "/queue", "", `{"cmd":"take","queue":"genesis"}`)["value"])
	got := s.mq(200, "POST", "/queue", "", `{"cmd":"get","queue":"genesis"}`)
	require.Equal(t, "turn it on", got["value"])
	require.Equal(t, "1", s.c.Info("jobs", "registered_jobs"), "until it is deleted")
	require.Equal(t, 1.0, s.mq(200, "POST", "/queue", "", `{"cmd":"del","queue":"genesis","key":"`+got["key"].(string)+`"}`)["value"])
	s.mq(404, "POST", "/queue", "", `{"cmd":"get","queue":"genesis"}`)
	s.mq(400, "POST", "/queue", "", `{"cmd":"steal","queue":"genesis"}`)
	s.mq(400, "POST", "/queue", "", `nonsense`)
	s.mq(400, "POST", "/q/test", form, "other=1")

	require.Equal(t, "start", s.mq(200, "GET", "/control/test", "", "")["status"])
	require.Equal(t, "stop", s.mq(200, "POST", "/control/test", form, "status=stop")["status"])
	s.mq(200, "POST", "/q/test", form, "value=waits")
	s.mq(404, "GET", "/q/test", "", "")
	require.Equal(t, "start", s.mq(200, "POST", "/control/test", form, "status=start")["status"])
	s.mq(400, "POST", "/control/test", form, "status=perhaps")
	require.Equal(t, 1.0, s.mq(200, "DELETE", "/q/test", "", "")["status"])
}

// A stream has each element once, as it comes; what comes after it was left stays.
func TestRestMQStream(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	r, err := http.NewRequestWithContext(ctx, "GET", s.at()+"/c/test", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	lines := bufio.NewScanner(res.Body)
	for _, value := range []string{"a", "b", strings.Repeat("c", 10_000)} {
		s.mq(200, "POST", "/q/test", form, "value="+value)
		require.True(t, lines.Scan())
		var e map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		require.Equal(t, value, e["value"])
	}
	s.blocked(1)
	require.Equal(t, "0", s.c.Info("jobs", "registered_jobs"))
	leave()
	s.blocked(0)
	s.mq(200, "POST", "/q/test", form, "value=later")
	require.Equal(t, ":1\r\n", s.c.Do("QLEN", "test"))
}

// A stream that is not allowed, or has no queue to be of, has a status that says so.
func TestRestMQStreamIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "--user", "worker", "on", ">s3cret", "~mail", "+@consume")
	s.mq(200, "POST", "/q/mail", form, "value=a")
	stream := func(queue, password string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.at()+"/c/"+queue, nil)
		require.NoError(t, err)
		r.SetBasicAuth("worker", password)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	require.Equal(t, 401, stream("mail", "secret").StatusCode)
	res := stream("sms", "s3cret")
	require.Equal(t, 403, res.StatusCode)
	var refused map[string]string
	require.NoError(t, json.NewDecoder(res.Body).Decode(&refused))
	require.Equal(t, "User worker has no permissions to access the queue 'sms'", refused["error"])

	res = stream("mail", "s3cret")
	require.Equal(t, 200, res.StatusCode)
	line, err := bufio.NewReader(res.Body).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, `"value":"a"`)
}
