package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/disqo/disqo/server/node"
)

// Broker is what is shown. Its methods are called from any goroutine.
type Broker interface {
	// Ready returns why no client should be sent here, nil if all is well.
	Ready() error
	// Admits reports whether somebody at that address (host:port) may talk to the
	// broker at all.
	Admits(address string) bool
	// Open reports whether a client without a name and a password is served.
	Open() bool
	// Login returns whose name and password these are, nil if nobody's.
	Login(from, name, password string) Login
	// Sees returns why a user, nil for one without a name, may not see the figures of
	// the node, and with queues those of all queues.
	Sees(who Login, queues bool) error
	// Figures are those of a scrape, but for the queues.
	Figures() Figures
	// Queues are up to QueuesMost of them: those that were returned before first.
	Queues() []node.QueueStat
	// Dashboard is what its pages may do: "yes", "ro" or "no".
	Dashboard() string
	// MaxJob is the size of the largest body of a job.
	MaxJob() int64
	// Call executes commands of the other port, one after the other, as a client
	// would that comes from there and logged in so. Its error is that of ctx, of a
	// broker that is about to end, or a Fault if the user may do less while it waits.
	// Done of the answer must be called.
	Call(ctx context.Context, who Login, from string, commands ...[][]byte) (*Answer, error)
}

// Login is a user who logged in, as the broker knows it.
type Login any

// Answer is what was replied to commands: int64, string (a status), []byte, nil,
// Fault or []any of these.
type Answer struct {
	Values []any
	// Also executes more commands as the same client, before Done.
	Also func(ctx context.Context, commands ...[][]byte) error
	// Done says whether the client began to be written to, and whether it was told
	// all: jobs that it did not get go back.
	Done func(begun, written bool)
}

// Fault is the text of an error reply; its first word is the code.
type Fault string

func (f Fault) Error() string { return string(f) }

// A scrape that takes longer is given up, and no more than so many run at a time.
const (
	scrapeTimeout = 10 * time.Second
	scrapesMost   = 4
)

// Paths that need neither password nor permission.
const (
	alivePath = "/healthz"
	readyPath = "/readyz"
)

// Side is the handler of all paths.
type Side struct {
	http.Handler
	watch *watch
	once  sync.Once
}

// Run looks at the broker, each second while somebody watches, until Close.
func (s *Side) Run() { s.watch.run() }

// Close ends Run, and the requests that wait for events; again is fine.
func (s *Side) Close() { s.once.Do(func() { close(s.watch.quit) }) }

// New returns the HTTP side of a broker.
func New(b Broker) *Side {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collector{b},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{Timeout: scrapeTimeout, MaxRequestsInFlight: scrapesMost})
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+alivePath, func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET "+readyPath, func(w http.ResponseWriter, _ *http.Request) {
		if err := b.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", guard(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.Sees(who(r), true); err != nil {
			say(w, http.StatusForbidden, err.Error())
			return
		}
		metrics.ServeHTTP(w, r)
	})))
	g := gateway{b, newWatch(b)}
	for _, r := range routes {
		mux.Handle(r.method+" "+r.path, guard(b, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if err := r.check(q.URL.RawQuery); err != nil {
				refuse(w, err)
				return
			}
			r.do(g, w, q)
		})))
	}
	origins := http.NewCrossOriginProtection()
	g.restMQ(mux, origins)
	servePages(b, mux)
	mux.Handle("GET /v1/openapi.json", guard(b, http.HandlerFunc(serveOpenAPI)))
	own := origins.Handler(mux)
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		if r.URL.Path == alivePath || r.URL.Path == readyPath { // no secret, and asked by whoever looks after the node
			mux.ServeHTTP(w, r)
			return
		}
		if !b.Admits(r.RemoteAddr) {
			say(w, http.StatusForbidden, "there is no password, so Disqo talks only to clients on its own machine; set requirepass, or protected-mode no if the network is trusted")
			return
		}
		if b.Open() && !local(r.Host) {
			say(w, http.StatusForbidden, "without a password Disqo is known by its address, or by a name that nobody can register: whoever owns this one may have pointed it here")
			return
		}
		own.ServeHTTP(w, whole(r))
	})
	return &Side{Handler: all, watch: g.watch}
}

// whole keeps the slashes of a job's id, which may be two in a row, from being
// taken for those of the path.
func whole(r *http.Request) *http.Request {
	const jobs = "/v1/jobs/"
	id, ok := strings.CutPrefix(r.URL.EscapedPath(), jobs)
	if !ok || !strings.Contains(id, "/") {
		return r
	}
	r = r.Clone(r.Context())
	r.URL.RawPath = jobs + strings.ReplaceAll(id, "/", "%2F")
	return r
}

// local reports whether a Host header names an address, or something that has no place
// in the public DNS, so that no stranger can point it here: a name without a dot, of
// localhost, .local or .internal, or of this machine.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if _, err := netip.ParseAddr(host); err == nil || host != "" && !strings.Contains(host, ".") {
		return true
	}
	for _, zone := range [...]string{".localhost", ".local", ".internal"} {
		if strings.HasSuffix(host, zone) {
			return true
		}
	}
	own, err := os.Hostname()
	return err == nil && host == strings.ToLower(own)
}

// say answers with a line of text.
func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n")
}

// guard lets in who has a name and a password, by Basic authentication, or the
// password of the default user as a Bearer token; or whoever asks, if nobody needs one.
func guard(b Broker, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, given := r.BasicAuth()
		if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			name, password, given = "", token, true
		}
		var login Login
		if given {
			login = b.Login(r.RemoteAddr, name, password)
		}
		if login == nil && (given || !b.Open()) {
			w.Header().Set("WWW-Authenticate", `Basic realm="disqo", charset="UTF-8"`)
			say(w, http.StatusUnauthorized, "a name and a password are asked for, by Basic authentication, or the password of the default user as a Bearer token")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, login)))
	})
}

// whoKey is that of the Login in a request's context.
type whoKey struct{}

// who returns the Login of a request that a guard let in, nil if it needs none.
func who(r *http.Request) Login { return r.Context().Value(whoKey{}) }

// NotReady is why a broker is not ready.
type NotReady string

func (e NotReady) Error() string { return fmt.Sprintf("not ready: %s", string(e)) }
