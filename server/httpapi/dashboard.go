package httpapi

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
)

//go:embed dashboard
var files embed.FS

// pagesPolicy lets pages take from this node what they need, and nothing else from
// anywhere: no script or style within a page, no frame, no form that goes elsewhere,
// no text that becomes a script.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// servePages serves the dashboard: a page, and under /dashboard/ what it is made of.
func servePages(b Broker, mux *http.ServeMux) {
	pages, err := fs.Sub(files, "dashboard")
	if err != nil {
		panic(err) // the program was built without them
	}
	tag := etag(pages)
	serve := func(name func(r *http.Request) string) http.Handler {
		return guard(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b.Dashboard() == "no" {
				say(w, http.StatusNotFound, "there is no dashboard: it is off by configuration")
				return
			}
			h := w.Header()
			h.Set("Content-Security-Policy", pagesPolicy)
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cache-Control", "no-cache") // ask whether they are the same
			h.Set("ETag", tag)
			http.ServeFileFS(w, r, pages, name(r))
		}))
	}
	mux.Handle("GET /{$}", serve(func(*http.Request) string { return "page.html" }))
	mux.Handle("GET /dashboard/{file}", serve(func(r *http.Request) string { return r.PathValue("file") }))
}

// etag is the same as long as the pages are.
func etag(pages fs.FS) string {
	names, err := fs.Glob(pages, "*")
	sum := sha256.New()
	for _, name := range names {
		b, wrong := fs.ReadFile(pages, name)
		err = errors.Join(err, wrong)
		sum.Write([]byte(name))
		sum.Write(b)
	}
	if err != nil {
		panic(err) // the program was built without them
	}
	return `"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
}
