package browser

import (
	"context"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/disqo/disqo/server/servertest"
)

var (
	pictures = flag.String("pictures", "", "directory in which pictures of the pages are put")
	lead     = flag.Duration("lead", 0, "how long there is load before anything is looked at")
)

// queueLoad is what happens to a queue.
type queueLoad struct {
	name    string
	body    string
	rate    func(at float64) float64 // jobs a second, by the time in seconds
	options []any
	consume bool
	fails   float64 // share of deliveries that are given back
}

func steady(rate float64) func(float64) float64 { return func(float64) float64 { return rate } }

var shop = []queueLoad{
	{"mail", `{"to":"ada@example.com","template":"welcome"}`, func(at float64) float64 { return 30 + 18*math.Sin(at/25) }, []any{"PRIORITY", 100}, true, 0},
	{"thumbnails", `{"image":"s3://photos/4711.jpg","sizes":[64,256,1024]}`, func(at float64) float64 { return 12 + 30*max(0, math.Sin(at/11)) }, nil, true, 0},
	{"webhooks", `{"url":"https://example.com/hook","event":"order.paid"}`, steady(9), []any{"MAXTRIES", 2, "BACKOFF", 1, 20}, true, 0.15},
	{"reports", `{"report":"monthly","customer":42}`, steady(0.6), []any{"DELAY", 90}, true, 0},
	{"imports", `{"file":"catalogue.csv"}`, steady(1.5), nil, false, 0},
	{"billing", `{"invoice":"2026-1129"}`, steady(0.8), []any{"RETRY", 600}, true, 0},
}

// run loads a broker until ctx ends. What goes wrong before is said in failed.
func (q *queueLoad) run(ctx context.Context, wg *sync.WaitGroup, failed chan<- error, addr string) {
	client := func() *redis.Client {
		return redis.NewClient(&redis.Options{Addr: addr, Protocol: 2, ReadTimeout: time.Minute})
	}
	begun := time.Now()
	wg.Go(func() {
		c := client()
		defer func() { _ = c.Close() }()
		due := 0.0
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			for due += q.rate(time.Since(begun).Seconds()) * 0.05; due >= 1; due-- {
				if err := c.Do(ctx, append([]any{"ADDJOB", q.name, q.body, 1000}, q.options...)...).Err(); err != nil && ctx.Err() == nil {
					failed <- err
					return
				}
			}
		}
	})
	if !q.consume {
		return
	}
	wg.Go(func() {
		c := client()
		defer func() { _ = c.Close() }()
		for ctx.Err() == nil {
			// It waits at the broker, also while the queue is paused.
			jobs, err := c.Do(ctx, "GETJOB", "TIMEOUT", 500, "COUNT", 5, "FROM", q.name).Slice()
			if err != nil && !errors.Is(err, redis.Nil) {
				if ctx.Err() == nil {
					failed <- err
				}
				return
			}
			for _, j := range jobs {
				id := j.([]any)[1]
				if rand.Float64() < q.fails {
					c.Do(ctx, "NACK", id, "REASON", "503 Service Unavailable")
				} else {
					c.Do(ctx, "ACKJOB", id)
				}
			}
		}
	})
}

// All views fit a desktop and a phone, in light and dark, while a cluster is at work.
func TestLooks(t *testing.T) {
	t.Parallel()
	nodes := servertest.Cluster(t, 3, "--http-port", "0", "--appendonly", "yes", "--maxmemory", "64mb", "--slowlog-log-slower-than", "150")
	c := nodes[0].Dial(t)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	t.Cleanup(load.Wait)
	t.Cleanup(stop)
	id := c.Job("webhooks", `{"url":"https://example.com/hook","event":"order.paid","order":{"id":4711,"total":"99.90 EUR","items":["SKU-1","SKU-2"]}}`, "MAXTRIES", "2")
	require.Equal(t, ":1\r\n", c.Do("BURY", id, "REASON", "410 Gone"))
	failed := make(chan error, 2*len(shop))
	for i := range shop {
		shop[i].run(ctx, &load, failed, c.Conn.RemoteAddr().String())
	}
	wait := func(span time.Duration) {
		select {
		case err := <-failed:
			require.NoError(t, err)
		case <-time.After(span):
		}
	}
	wait(*lead - *lead/10)
	require.Equal(t, "+out\r\n", c.Do("PAUSE", "billing", "out"))
	wait(*lead / 10)
	servertest.Until(t, "there is a backlog", patience, func() bool { return c.Do("QLEN", "imports") != ":0\r\n" && c.Do("QLEN", "billing") != ":0\r\n" })
	const shown = "overview-desktop overview-dark overview-phone queue-dark queue-phone job-desktop" // in the docs
	views := []struct{ name, hash, sees string }{
		{"overview", "#/", "paused out"},
		{"queue", "#/queue/webhooks/dead", "410 Gone"},
		{"job", jobView(id), `"order.paid"`},
		{"clients", "#/clients", "getjob"},
		{"slowlog", "#/slowlog", "Commands that took longer than"},
		{"aof", "#/aof", "batches written"},
		{"config", "#/config", "appendfsync"},
	}
	for _, look := range []struct {
		name          string
		width, height int64
		phone, dark   bool
	}{{"desktop", 1280, 860, false, false}, {"dark", 1280, 860, false, true}, {"phone", 390, 844, true, false}} {
		if look.dark && *pictures == "" {
			continue // the dark is as wide
		}
		b := open(t, c, "", look.dark)
		b.until("document.body.innerText.split('of 64 MiB').length === 4") // nodes say what memory they use
		b.size(look.width, look.height, look.phone)
		for _, v := range views {
			b.visit(v.hash)
			b.see(v.sees)
			require.LessOrEqual(t, b.ask("document.documentElement.scrollWidth"), float64(look.width), "%s is wider than the %s", v.name, look.name)
			if name := v.name + "-" + look.name; *pictures != "" && slices.Contains(strings.Fields(shown), name) {
				b.picture(filepath.Join(*pictures, name+".png"))
			}
		}
	}
}
