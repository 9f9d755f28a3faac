package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Broker is what is shown. Its methods are called from any goroutine.
type Broker interface {
	// Ready returns why no client should be sent here, nil if all is well.
	Ready() error
	// Admits reports whether somebody at that address (host:port) may talk to the
	// broker at all.
	Admits(address string) bool
	// Password is what clients have to know, "" if nothing.
	Password() string
	// Figures are those of a scrape.
	Figures() Figures
}

// A scrape that takes longer is given up, and no more than so many run at a time.
const (
	scrapeTimeout = 10 * time.Second
	scrapesMost   = 4
)

// New returns the handler of all paths.
func New(b Broker) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{b},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{Timeout: scrapeTimeout, MaxRequestsInFlight: scrapesMost})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := b.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", guard(b, metrics))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !b.Admits(r.RemoteAddr) {
			say(w, http.StatusForbidden, "there is no password, so Disqo talks only to clients on its own machine; set requirepass, or protected-mode no if the network is trusted")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// say answers with a line of text.
func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n")
}

// guard lets in who knows the password, as that of Basic authentication, whatever
// the user is called, or as a Bearer token.
func guard(b Broker, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want := b.Password()
		_, given, ok := r.BasicAuth()
		if token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); bearer {
			given, ok = token, true
		}
		if want != "" && !(ok && same(given, want)) {
			w.Header().Set("WWW-Authenticate", `Basic realm="disqo", charset="UTF-8"`)
			say(w, http.StatusUnauthorized, "the password of the broker is asked for, by Basic or Bearer authentication")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// same compares in a time that tells nothing, not even the length.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// NotReady is why a broker is not ready.
type NotReady string

func (e NotReady) Error() string { return fmt.Sprintf("not ready: %s", string(e)) }
