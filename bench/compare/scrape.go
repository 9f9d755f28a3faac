package compare

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/disqo/disqo/bench"
)

// scrapeEvery is how often metrics are taken: ten times as often as usual.
const scrapeEvery = time.Second

// scrape takes the metrics of each node once, and then again and again until kill.
func (b *broker) scrape(ctx context.Context) error {
	var urls []string
	for _, addr := range b.addrs {
		text, err := bench.Ask(ctx, addr, '$', "INFO", "server")
		if err != nil {
			return err
		}
		url := "http://" + net.JoinHostPort(host, bench.Field(text, "http_port")) + "/metrics"
		if err := take(ctx, url); err != nil {
			return err
		}
		urls = append(urls, url)
	}
	own, stop := context.WithCancel(context.Background())
	b.stopScraping = stop
	b.scraping.Go(func() {
		ticker := time.NewTicker(scrapeEvery)
		defer ticker.Stop()
		for {
			select {
			case <-own.Done():
				return
			case <-ticker.C:
			}
			for _, url := range urls {
				_ = take(own, url) // one that fails is asked again
			}
		}
	})
	return nil
}

func take(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*scrapeEvery)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("compare: %s answers %s", url, res.Status)
	}
	return nil
}
