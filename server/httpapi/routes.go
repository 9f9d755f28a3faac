package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// route is a path of the JSON side. What OpenAPI says of it is here, too, so that
// the two cannot differ.
type route struct {
	method, path string
	summary      string
	params       []param
	verbs        []string // that may stand behind the last part of the path, after a colon
	body         string   // content type of what is sent; "" for nothing
	statuses     []int
	do           func(g gateway, w http.ResponseWriter, r *http.Request)
}

// param is a query parameter.
type param struct {
	name, kind, text string
	verbs            []string // that take it; nil: all
}

var (
	cursorParam = param{"cursor", "string", "where to go on: that of the page before; 0 begins", nil}
	countParam  = param{"count", "integer", "how many, up to 1000", nil}
	bcastParam  = param{"bcast", "boolean", "tell the other nodes to do the same", []string{"pause", "resume", "purge"}}
)

// routes are all paths under /v1 that OpenAPI describes.
var routes = []route{
	{http.MethodPost, "/v1/queues/{queue}/jobs", "Add a job: the body is that of the request. With Content-Type application/json and an array, add a batch: texts, or objects with body and encoding.",
		[]param{{"delay", "integer", "seconds until it is queued", nil}, {"retry", "integer", "seconds that a consumer has; 0: deliver at most once", nil}, {"ttl", "integer", "seconds that it lives", nil},
			{"maxlen", "integer", "refuse if so many are queued", nil}, {"priority", "integer", "0 is the most urgent, 1024 the default", nil}, {"maxtries", "integer", "failed deliveries after which it is dead", nil},
			{"backoff", "string", "first and longest wait after a failure, seconds: 1,3600", nil}, {"replicate", "integer", "nodes that hold it", nil}, {"sync", "integer", "of them before this is answered", nil},
			{"async", "boolean", "do not wait for copies", nil}, {"timeout", "string", "most that this waits for copies: 5s", nil}},
		nil, "application/octet-stream", []int{201, 400, 409, 413, 503}, gateway.add},
	{http.MethodPost, "/v1/queues/{queue}/jobs:get", "Get jobs. They are delivered: acknowledge them, or they come again.",
		[]param{{"count", "integer", "how many at most; 1 by default", nil}, {"wait", "string", "most that this waits for one: 20s, up to 5m", nil}, {"withcounters", "boolean", "with nacks and additionalDeliveries", nil}},
		nil, "", []int{200, 204, 400, 503}, gateway.get},
	{http.MethodPost, "/v1/jobs:ack", "Acknowledge jobs, and give back others.", nil, nil, "application/json", []int{200, 400, 413, 503}, gateway.ack},
	{http.MethodGet, "/v1/jobs/{id...}", "All about a job.", []param{{"body", "boolean", "false leaves out its body", nil}}, nil, "", []int{200, 400, 404}, gateway.show},
	{http.MethodDelete, "/v1/jobs/{id...}", "A job is done, on all nodes.", nil, nil, "", []int{204, 400, 404, 503}, gateway.remove},
	{http.MethodPost, "/v1/jobs/{id...}", "nack: give it back; working: it takes longer; bury: it is dead; kick: it is not; promote: another priority.",
		[]param{{"delay", "integer", "seconds until it is queued", []string{"nack"}}, {"reason", "string", "why", []string{"nack", "bury"}}, {"priority", "integer", "the new one", []string{"promote"}}},
		[]string{"nack", "working", "bury", "kick", "promote"}, "", []int{200, 400, 404, 409, 503}, gateway.jobVerb},
	{http.MethodGet, "/v1/queues", "The queues of this node.", []param{cursorParam, countParam}, nil, "", []int{200, 400}, gateway.queues},
	{http.MethodGet, "/v1/queues/{queue}", "All about a queue.", nil, nil, "", []int{200, 404}, gateway.queue},
	{http.MethodPost, "/v1/queues/{queue}", "pause, resume, purge, or kick its dead jobs.",
		[]param{{"direction", "string", "in, out or all, the default", []string{"pause"}}, {"state", "string", "queued, active, delayed, wait-repl or dead", []string{"purge"}}, {"count", "integer", "how many", []string{"kick"}}, bcastParam},
		[]string{"pause", "resume", "purge", "kick"}, "", []int{200, 400, 503}, gateway.queueVerb},
	{http.MethodGet, "/v1/queues/{queue}/jobs:peek", "The next jobs of a queue, which stay there: the first 4096 bytes of their bodies.",
		[]param{{"count", "integer", "how many, up to 1000; below 0: from the end", nil}}, nil, "", []int{200, 400}, gateway.peek},
	{http.MethodGet, "/v1/queues/{queue}/jobs", "Jobs of a queue: the first 4096 bytes of their bodies.", []param{{"state", "string", "queued, active, acked, wait-repl or dead", nil}, cursorParam, countParam},
		nil, "", []int{200, 400}, gateway.jobs},
	{http.MethodGet, "/v1/nodes", "The nodes of the cluster, as this one sees them.", nil, nil, "", []int{200}, gateway.nodes},
	{http.MethodGet, "/v1/clients", "Who is connected to the RESP port.", nil, nil, "", []int{200}, gateway.clients},
	{http.MethodGet, "/v1/slowlog", "The commands that took longer than slowlog-log-slower-than, the latest first.", nil, nil, "", []int{200}, gateway.slowlog},
	{http.MethodGet, "/v1/aof", "The append-only file.", nil, nil, "", []int{200}, gateway.aof},
	{http.MethodGet, "/v1/config", "The configuration, without passwords.", nil, nil, "", []int{200}, gateway.config},
	{http.MethodGet, "/v1/events", "Server-sent events: one named state with all that the dashboard shows, then each second one named change.", nil, nil, "", []int{200, 503}, gateway.events},
}

// split takes a verb off the end of what a path names.
func split(name string, verbs ...string) (what, verb string, ok bool) {
	i := strings.LastIndexByte(name, ':')
	if i < 0 || !slices.Contains(verbs, name[i+1:]) {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}

// check refuses a query that cannot be read, or has a parameter that does nothing.
func (r *route) check(query string) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return bad("a query that cannot be read: %v", err)
	}
	for name := range q {
		if !slices.ContainsFunc(r.params, func(p param) bool { return strings.EqualFold(p.name, name) }) {
			known := make([]string, len(r.params))
			for i, p := range r.params {
				known[i] = p.name
			}
			return bad("there is no parameter %q; known are: %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// parameters returns those of a request, by their names in small letters.
func parameters(r *http.Request) map[string]string {
	m := map[string]string{}
	for name, values := range r.URL.Query() {
		m[strings.ToLower(name)] = values[len(values)-1]
	}
	return m
}

// flag returns a parameter that is true or false, or what it is if it is not there.
func flag(p map[string]string, name string, otherwise bool) (bool, error) {
	value, given := p[name]
	if !given {
		return otherwise, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, bad("%s is true or false", name)
	}
	return on, nil
}

const errNoJob Fault = "NOJOB this node does not know the job"

func (g gateway) show(w http.ResponseWriter, r *http.Request) {
	body, err := flag(parameters(r), "body", true)
	var v any
	if err == nil {
		v, err = g.ask(r, words("SHOW", r.PathValue("id"), "FULL"))
	}
	if err == nil && v == nil {
		err = errNoJob
	}
	if err != nil {
		refuse(w, err)
		return
	}
	job, raw := fields(v)
	if body {
		putBody(job, raw)
	}
	answer(w, http.StatusOK, job)
}

func (g gateway) remove(w http.ResponseWriter, r *http.Request) {
	v, err := g.ask(r, words("ACKJOB", r.PathValue("id")))
	if err == nil && v == int64(0) {
		err = Fault("NOJOB this node does not know the job, or it is done")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (g gateway) jobVerb(w http.ResponseWriter, r *http.Request) {
	id, verb, ok := split(r.PathValue("id"), "nack", "working", "bury", "kick", "promote")
	if !ok {
		refuse(w, bad("say what to do with the job: :nack, :working, :bury, :kick or :promote"))
		return
	}
	p := parameters(r)
	name := strings.ToUpper(verb)
	if verb == "kick" {
		name = "KICKJOB"
	}
	cmd := words(name, id)
	for _, o := range [...]struct{ verb, name string }{{"nack", "delay"}, {"nack", "reason"}, {"bury", "reason"}, {"promote", "priority"}} {
		if value, given := p[o.name]; given && o.verb == verb {
			cmd = append(cmd, words(o.name, value)...)
		}
	}
	v, err := g.ask(r, cmd)
	if err == nil && v == int64(0) { // it is in another state, or unknown
		var job any
		if job, err = g.ask(r, words("SHOW", id)); err == nil && job == nil {
			err = errNoJob
		}
	}
	if err != nil {
		refuse(w, err)
		return
	}
	if verb == "working" {
		answer(w, http.StatusOK, map[string]any{"retry": v})
		return
	}
	answer(w, http.StatusOK, map[string]any{"changed": v})
}

func (g gateway) queue(w http.ResponseWriter, r *http.Request) {
	v, err := g.ask(r, words("QSTAT", r.PathValue("queue"), "FULL"))
	if err == nil && v == nil {
		err = &problem{http.StatusNotFound, "NOQUEUE", "this node has no queue of that name"}
	}
	if err != nil {
		refuse(w, err)
		return
	}
	queue, _ := fields(v)
	answer(w, http.StatusOK, queue)
}

func (g gateway) queueVerb(w http.ResponseWriter, r *http.Request) {
	name, verb, ok := split(r.PathValue("queue"), "pause", "resume", "purge", "kick")
	p := parameters(r)
	bcast, err := flag(p, "bcast", false)
	if err == nil && !ok {
		err = bad("say what to do with the queue: :pause, :resume, :purge or :kick")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	var cmd [][]byte
	switch verb {
	case "pause":
		direction := p["direction"]
		if direction == "" {
			direction = "all"
		}
		cmd = words("PAUSE", name, direction)
	case "resume":
		cmd = words("PAUSE", name, "none")
	case "purge":
		cmd = words("QPURGE", name)
		if p["state"] != "" {
			cmd = append(cmd, words("STATE", p["state"])...)
		}
	default:
		cmd = words("KICK", name)
		if p["count"] != "" {
			cmd = append(cmd, words("COUNT", p["count"])...)
		}
	}
	if bcast && verb != "kick" {
		cmd = append(cmd, []byte("bcast"))
	}
	v, err := g.ask(r, cmd)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{map[bool]string{true: "pause", false: "changed"}[verb == "pause" || verb == "resume"]: plain(v)})
}

// page returns cursor and count of a request.
func page(p map[string]string) (cursor, count string, err error) {
	cursor, count = p["cursor"], p["count"]
	if cursor == "" {
		cursor = "0"
	}
	if count == "" {
		return cursor, strconv.Itoa(pageDefault), nil
	}
	if n, err := strconv.Atoi(count); err != nil || n < 1 || n > pageMost {
		return "", "", bad("count is 1 to %d", pageMost)
	}
	return cursor, count, nil
}

// scan asks for a page and returns it with the cursor of the next.
func (g gateway) scan(r *http.Request, cmd [][]byte) (next string, items []any, err error) {
	v, err := g.ask(r, cmd)
	if err != nil {
		return "", nil, err
	}
	if pair, _ := v.([]any); len(pair) == 2 {
		cursor, _ := pair[0].([]byte)
		items, _ = pair[1].([]any)
		return string(cursor), items, nil
	}
	return "", nil, bad("a page that cannot be read")
}

func (g gateway) queues(w http.ResponseWriter, r *http.Request) {
	cursor, count, err := page(parameters(r))
	var names []any
	if err == nil {
		cursor, names, err = g.scan(r, words("QSCAN", cursor, "COUNT", count))
	}
	if err != nil {
		refuse(w, err)
		return
	}
	list := make([]map[string]any, 0, len(names))
	commands := make([][][]byte, 0, len(names))
	for _, name := range names {
		raw, _ := name.([]byte)
		commands = append(commands, [][]byte{[]byte("QSTAT"), raw, []byte("FULL")})
	}
	a, err := g.call(r, commands...)
	if err != nil {
		refuse(w, err)
		return
	}
	a.Done(true, true)
	for _, v := range a.Values {
		if v != nil {
			queue, _ := fields(v)
			list = append(list, queue)
		}
	}
	answer(w, http.StatusOK, map[string]any{"cursor": cursor, "queues": list})
}

func (g gateway) jobs(w http.ResponseWriter, r *http.Request) {
	p := parameters(r)
	cursor, count, err := page(p)
	var found []any
	if err == nil {
		cmd := words("JSCAN", cursor, "COUNT", count, "QUEUE", r.PathValue("queue"))
		if p["state"] != "" {
			cmd = append(cmd, words("STATE", p["state"])...)
		}
		cursor, found, err = g.scan(r, cmd)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	list := make([]map[string]any, 0, len(found))
	for _, id := range found { // one at a time, as bodies may be large
		text, _ := id.(string)
		v, err := g.ask(r, words("SHOW", text, "FULL"))
		if err != nil {
			refuse(w, err)
			return
		}
		if pairs, ok := v.([]any); ok { // else it is gone by now
			job, raw := fields(pairs)
			putStart(job, raw)
			list = append(list, job)
		}
	}
	answer(w, http.StatusOK, map[string]any{"cursor": cursor, "jobs": list})
}

func (g gateway) nodes(w http.ResponseWriter, r *http.Request) {
	if err := g.b.Sees(who(r), false); err != nil {
		refuse(w, err)
		return
	}
	f := g.b.Figures()
	answer(w, http.StatusOK, map[string]any{
		"self": map[string]any{
			"id": f.ID, "address": f.Address, "version": f.Version, "uptimeSeconds": int64(f.Uptime.Seconds()), "memoryUsedBytes": f.MemoryUsed, "memoryMaxBytes": f.MemoryMax,
			"leaving": f.Leaving, "loading": f.Loading,
		},
		"peers": newPeerFrames(f.Peers),
	})
}

// serveOpenAPI describes the routes.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	paths := map[string]map[string]any{}
	for _, r := range routes {
		path := strings.ReplaceAll(r.path, "...}", "}")
		verbs := r.verbs
		if verbs == nil {
			verbs = []string{""}
		}
		for _, verb := range verbs {
			p := path
			if verb != "" {
				p += ":" + verb
			}
			if paths[p] == nil {
				paths[p] = map[string]any{}
			}
			paths[p][strings.ToLower(r.method)] = r.operation(path, verb)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "Disqo", "version": "1", "description": "Each request is a command of the RESP port; docs/commands.md says what they do."},
		"paths":   paths,
		"components": map[string]any{"schemas": map[string]any{"error": map[string]any{
			"type": "object",
			"properties": map[string]any{"error": map[string]any{
				"type": "object", "properties": map[string]any{"code": map[string]any{"type": "string"}, "message": map[string]any{"type": "string"}},
			}},
		}}},
	})
}

// refusals are the statuses that all routes may answer.
var refusals = []int{http.StatusUnauthorized, http.StatusForbidden}

// operation describes one method of a path, with a verb or "".
func (r *route) operation(path, verb string) map[string]any {
	var params []map[string]any
	for _, name := range []string{"queue", "id"} {
		if strings.Contains(path, "{"+name+"}") {
			params = append(params, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, p := range r.params {
		if verb != "" && p.verbs != nil && !slices.Contains(p.verbs, verb) {
			continue
		}
		params = append(params, map[string]any{"name": p.name, "in": "query", "description": p.text, "schema": map[string]any{"type": p.kind}})
	}
	responses := map[string]any{}
	for _, s := range slices.Concat(r.statuses, refusals) {
		response := map[string]any{"description": http.StatusText(s)}
		switch {
		case s >= 400:
			response["content"] = map[string]any{"application/json": map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/error"}}}
		case s != http.StatusNoContent:
			response["content"] = map[string]any{"application/json": map[string]any{}}
		}
		responses[strconv.Itoa(s)] = response
	}
	op := map[string]any{"summary": r.summary, "responses": responses}
	if params != nil {
		op["parameters"] = params
	}
	if r.body != "" {
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{r.body: map[string]any{}}}
	}
	return op
}
