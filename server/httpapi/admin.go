package httpapi

import (
	"net/http"
	"strconv"
	"strings"
)

// peek is GET /v1/queues/{q}/jobs:peek.
func (g gateway) peek(w http.ResponseWriter, r *http.Request) {
	count := strconv.Itoa(pageDefault)
	if p := parameters(r); p["count"] != "" {
		count = p["count"]
		if n, err := strconv.Atoi(count); err != nil || n == 0 || n < -pageMost || n > pageMost {
			refuse(w, bad("count is 1 to %d, or -1 to -%d", pageMost, pageMost))
			return
		}
	}
	v, err := g.ask(r, words("QPEEK", r.PathValue("queue"), count))
	if err != nil {
		refuse(w, err)
		return
	}
	found, _ := v.([]any)
	jobs := make([]map[string]any, 0, len(found))
	for _, item := range found {
		if list, _ := item.([]any); len(list) >= 3 {
			queue, _ := list[0].([]byte)
			raw, _ := list[2].([]byte)
			name, _ := shownQueue(queue)
			job := map[string]any{"queue": name, "id": plain(list[1])}
			putStart(job, raw)
			jobs = append(jobs, job)
		}
	}
	answer(w, http.StatusOK, map[string]any{"jobs": jobs})
}

// clients is GET /v1/clients.
func (g gateway) clients(w http.ResponseWriter, r *http.Request) {
	v, err := g.ask(r, words("CLIENT", "LIST"))
	if err != nil {
		refuse(w, err)
		return
	}
	text, _ := v.([]byte)
	list := []map[string]any{}
	for line := range strings.Lines(string(text)) {
		client := map[string]any{}
		for _, pair := range strings.Fields(line) {
			name, value, _ := strings.Cut(pair, "=")
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && name != "name" {
				client[camel(name)] = n
			} else {
				client[camel(name)] = value
			}
		}
		list = append(list, client)
	}
	answer(w, http.StatusOK, map[string]any{"clients": list})
}

// slowlogShown is how many entries of the slow log are listed.
const slowlogShown = "1000"

// slowlog is GET /v1/slowlog.
func (g gateway) slowlog(w http.ResponseWriter, r *http.Request) {
	v, err := g.ask(r, words("SLOWLOG", "GET", slowlogShown))
	if err != nil {
		refuse(w, err)
		return
	}
	found, _ := v.([]any)
	list := make([]map[string]any, 0, len(found))
	for _, item := range found {
		if e, _ := item.([]any); len(e) >= 4 {
			list = append(list, map[string]any{"id": e[0], "at": e[1], "microseconds": e[2], "command": plain(e[3])})
		}
	}
	answer(w, http.StatusOK, map[string]any{"entries": list})
}

// aof is GET /v1/aof.
func (g gateway) aof(w http.ResponseWriter, r *http.Request) {
	if err := g.b.Sees(who(r), false); err != nil {
		refuse(w, err)
		return
	}
	f := g.b.Figures()
	l := &f.Log
	out := map[string]any{
		"state": l.State, "loading": f.Loading, "rewriting": l.Rewriting, "lastRewriteSeconds": l.LastRewrite.Seconds(), "lastRewriteFailed": l.LastFailed,
		"liveBytes": l.Live, "usedBytes": l.Sizes.Used, "diskBytes": l.Sizes.Disk, "bufferedBytes": l.Sizes.Buffered, "files": l.Sizes.Files,
		"batches": l.Sizes.Batches, "syncs": l.Sizes.Syncs, "slowSyncs": l.Sizes.Slow, "lastSyncSeconds": l.Sizes.SyncLast.Seconds(), "meanSyncSeconds": 0.0,
	}
	if l.LastRewrite < 0 {
		out["lastRewriteSeconds"] = nil // there was none
	}
	if n := l.Sizes.Syncs; n > 0 {
		out["meanSyncSeconds"] = l.Sizes.SyncTotal.Seconds() / float64(n)
	}
	if l.Full != nil {
		out["full"] = l.Full.Error()
	}
	if l.Err != nil {
		out["error"] = l.Err.Error()
	}
	answer(w, http.StatusOK, out)
}

// hidden are directives whose value nobody is shown.
var hidden = map[string]bool{"requirepass": true}

// config is GET /v1/config.
func (g gateway) config(w http.ResponseWriter, r *http.Request) {
	v, err := g.ask(r, words("CONFIG", "GET", "*"))
	if err != nil {
		refuse(w, err)
		return
	}
	pairs, _ := v.([]any)
	list := make([]map[string]any, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := plain(pairs[i]), plain(pairs[i+1])
		if text, _ := name.(string); hidden[text] && value != "" {
			value = "(hidden)"
		}
		list = append(list, map[string]any{"name": name, "value": value})
	}
	answer(w, http.StatusOK, map[string]any{"directives": list})
}
