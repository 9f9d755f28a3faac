package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

// site is the HTTP side of a broker.
type site struct {
	t    *testing.T
	c    *servertest.Client
	base string
}

func start(t *testing.T, directives ...string) *site {
	t.Helper()
	c := servertest.Start(t, append([]string{"--http-port", "0"}, directives...)...).Dial(t)
	return &site{t, c, ""}
}

// at finds out where it is: a client has to be let in for that.
func (s *site) at() string {
	if s.base == "" {
		s.base = "http://127.0.0.1:" + s.c.Info("server", "http_port")
	}
	return s.base
}

func (s *site) do(method, path string, headers ...string) (code int, body string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.at()+path, nil)
	require.NoError(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, "nosniff", res.Header.Get("X-Content-Type-Options"))
	return res.StatusCode, string(b)
}

func (s *site) get(path string, headers ...string) (int, string) {
	s.t.Helper()
	return s.do(http.MethodGet, path, headers...)
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		code, body := s.get(path)
		require.Equal(t, 200, code, path)
		require.Equal(t, "ok\n", body)
		code, _ = s.do(http.MethodPost, path)
		require.Equal(t, 405, code)
	}
	code, _ := s.get("/nothing")
	require.Equal(t, 404, code)
	require.Equal(t, "+OK\r\n", s.c.Do("CLUSTER", "LEAVING", "yes"))
	code, body := s.get("/readyz")
	require.Equal(t, 503, code)
	require.Equal(t, "not ready: it is leaving the cluster\n", body)
	code, _ = s.get("/healthz")
	require.Equal(t, 200, code)
	require.Equal(t, "+OK\r\n", s.c.Do("CLUSTER", "LEAVING", "no"))
	require.Equal(t, "+OK\r\n", s.c.Do("CONFIG", "SET", "maxmemory", "1kb"))
	s.c.Job("q", strings.Repeat("x", 900), "REPLICATE", "1")
	code, body = s.get("/readyz")
	require.Equal(t, 503, code)
	require.Contains(t, body, "out of memory")
}

// The password of the broker is that of its metrics; whether it lives is no
// secret.
func TestPassword(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.at()
	require.Equal(t, "+OK\r\n", s.c.Do("CONFIG", "SET", "requirepass", "s3cret"))
	code, body := s.get("/metrics")
	require.Equal(t, 401, code)
	require.NotContains(t, body, "disqo_")
	for _, wrong := range []string{"Basic ZGVmYXVsdDp4", "Bearer x", "Bearer", "Bearer s3cretx"} {
		code, _ = s.get("/metrics", "Authorization", wrong)
		require.Equal(t, 401, code, wrong)
	}
	for _, right := range []string{"Basic ZGVmYXVsdDpzM2NyZXQ=", "Bearer s3cret", "bearer s3cret"} {
		code, body = s.get("/metrics", "Authorization", right)
		require.Equal(t, 200, code, right)
		require.Contains(t, body, "disqo_build_info{")
	}
	code, _ = s.get("/healthz")
	require.Equal(t, 200, code)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.c.Job("mail", "b", "REPLICATE", "1", "PRIORITY", "3")
	dead := s.c.Job("mail", "b", "REPLICATE", "1")
	require.Equal(t, ":1\r\n", s.c.Do("BURY", dead))
	s.c.Job("\xff\"\n", "b", "REPLICATE", "1")
	require.Equal(t, "+in\r\n", s.c.Do("PAUSE", "mail", "in"))
	code, body := s.get("/metrics")
	require.Equal(t, 200, code)
	for _, line := range []string{
		`disqo_jobs{state="queued"} 2`, `disqo_jobs{state="dead"} 1`,
		`disqo_queue_jobs{queue="mail",state="queued"} 1`, `disqo_queue_jobs{queue="mail",state="dead"} 1`,
		`disqo_queue_paused{direction="in",queue="mail"} 1`, `disqo_job_events_total{event="died"} 1`,
		`disqo_queue_jobs{queue="\"\\xff\\\"\\n\"",state="queued"} 1`,
		`disqo_command_duration_seconds_count{command="addjob"} 3`, `disqo_queues_not_listed 0`, `disqo_cluster_nodes 1`,
	} {
		require.Contains(t, body, line+"\n")
	}
	require.Regexp(t, `disqo_command_duration_seconds_bucket\{command="addjob",le="\+Inf"\} 3\n`, body)
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
}

// What the alerts and the dashboard of docs ask for is there.
func TestDocsNameMetrics(t *testing.T) {
	t.Parallel()
	nodes := servertest.Cluster(t, 2, "--http-port", "0", "--appendonly", "yes")
	c := nodes[0].Dial(t)
	c.Job("q", "b", "REPLICATE", "2", "SYNC", "2")
	s := &site{t, c, ""}
	_, body := s.get("/metrics")
	for _, file := range []string{"alerts.yml", "grafana.json"} {
		text, err := os.ReadFile("../../docs/" + file)
		require.NoError(t, err)
		names := regexp.MustCompile(`disqo_[a-z_]+`).FindAllString(string(text), -1)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.Regexp(t, `(?m)^`+name+`[ {]`, body, file)
		}
	}
	require.Regexp(t, `(?m)^disqo_replication_duration_seconds_count 1$`, body)
	require.Regexp(t, `(?m)^disqo_peer_link_up\{peer="[0-9a-f]{40}"\} 1$`, body)
}

// However many queues there are, a scrape names 500 and takes the time of those. The two
// brokers are asked in turn, so that a machine that is slow or busy is so for both.
func TestScrapeOfManyQueues(t *testing.T) {
	t.Parallel()
	const few, many = 500, 10_000
	scrape := func(queues int) func() time.Duration {
		s := start(t)
		var b strings.Builder
		for i := range queues {
			b.Write(servertest.Command("ADDJOB", fmt.Sprint("q", i), "b", "0"))
		}
		s.c.Send(b.String())
		for range queues {
			require.Regexp(t, `^\+D-`, s.c.Raw())
		}
		return func() time.Duration {
			begun := time.Now()
			code, body := s.get("/metrics")
			took := time.Since(begun)
			require.Equal(t, 200, code)
			require.Contains(t, body, fmt.Sprintf("disqo_queues %d\n", queues))
			require.Contains(t, body, fmt.Sprintf("disqo_queues_not_listed %d\n", queues-few))
			require.Less(t, len(body), 4<<20)
			return took
		}
	}
	ofFew, ofMany := scrape(few), scrape(many)
	least := [2]time.Duration{time.Hour, time.Hour}
	for range 5 {
		least[0], least[1] = min(least[0], ofFew()), min(least[1], ofMany())
	}
	t.Log("scrapes take", least)
	require.Less(t, least[1], 3*least[0])
}

// Without http-port there is nothing.
func TestOffByDefault(t *testing.T) {
	t.Parallel()
	c := servertest.Start(t).Dial(t)
	require.NotContains(t, c.Do("INFO", "server"), "http_port")
}
