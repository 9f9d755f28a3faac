package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// restMQ is RestMQ's protocol (github.com/gleicon/restmq, docs/README.Protocol and
// README.rst), for programs that speak it: whoever takes an element has it, and
// there is nothing to acknowledge.
func (g gateway) restMQ(mux *http.ServeMux, origins *http.CrossOriginProtection) {
	handle := func(pattern string, do http.Handler) { mux.Handle(pattern, guard(g.b, do)) }
	handle("GET /q/{queue}", taking(origins, "DELETE, GET, POST", g.mqTake))
	handle("GET /c/{queue}", taking(origins, "GET", g.mqStream))
	for pattern, do := range map[string]http.HandlerFunc{
		"POST /q/{queue}": g.mqAdd, "DELETE /q/{queue}": g.mqPurge, "GET /stats/{queue}": g.mqStats,
		"GET /control/{queue}": g.mqControl, "POST /control/{queue}": g.mqControl, "POST /queue": g.mqCommand,
	} {
		handle(pattern, do)
	}
}

// taking refuses a GET that would take elements by mistake: one that a browser makes
// for another site, which for other methods is refused in any case, or may make, as
// over plain HTTP to another machine it does not say; and a HEAD, whose answer has no
// room for them.
func taking(origins *http.CrossOriginProtection, allow string, do http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Allow", allow)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		post := *r
		post.Method = http.MethodPost
		err := origins.Check(&post)
		if err == nil && r.Header.Get("Sec-Fetch-Site") == "" && strings.HasPrefix(r.UserAgent(), "Mozilla/") {
			err = errors.New("a browser that does not say for which page it takes elements")
		}
		if err != nil {
			say(w, http.StatusForbidden, err.Error())
			return
		}
		do(w, r)
	})
}

// element is one of a queue: its key is the job's id.
type element struct {
	Queue string `json:"queue"`
	Key   string `json:"key"`
	Value any    `json:"value"`
	Count int64  `json:"count"`
}

var errNothing = &problem{http.StatusNotFound, "EMPTY", "Null resultset"}

// mqRefuse answers with an error as RestMQ does.
func mqRefuse(w http.ResponseWriter, err error) {
	p := asProblem(err)
	answer(w, p.status, map[string]string{"error": p.Text})
}

// mqPut adds an element and returns its key.
func (g gateway) mqPut(r *http.Request, queue string, value []byte) (any, error) {
	options, err := adding(nil)
	if err != nil {
		return nil, err
	}
	return g.ask(r, addjob(queue, value, options))
}

// mqGet gets an element, waiting for one for so long. Done of the answer must be
// called if there is one.
func (g gateway) mqGet(r *http.Request, queue string, wait string) (*Answer, element, error) {
	cmd := words("GETJOB", "NOHANG", "WITHCOUNTERS", "FROM", queue)
	if wait != "" {
		cmd = words("GETJOB", "TIMEOUT", wait, "WITHCOUNTERS", "FROM", queue)
	}
	a, err := g.call(r, cmd)
	if err != nil {
		return nil, element{}, err
	}
	list, _ := a.Values[0].([]any)
	if len(list) == 0 {
		a.Done(true, true)
		return nil, element{}, errNothing
	}
	d, _ := newDelivered(list[0])
	return a, element{d.Queue, d.ID, d.Text, 1 + *d.Nacks + *d.Extra}, nil
}

// mqHand writes an element to the client, and acknowledges it once that is done.
func (g gateway) mqHand(w http.ResponseWriter, r *http.Request, a *Answer, e element) bool {
	begun := r.Context().Err() == nil
	written := begun && answer(w, http.StatusOK, e)
	if written {
		_ = a.Also(context.WithoutCancel(r.Context()), words("ACKJOB", e.Key))
	}
	a.Done(begun, written)
	return written
}

func (g gateway) mqTake(w http.ResponseWriter, r *http.Request) {
	a, e, err := g.mqGet(r, r.PathValue("queue"), "")
	if err != nil {
		mqRefuse(w, err)
		return
	}
	g.mqHand(w, r, a, e)
}

func (g gateway) mqAdd(w http.ResponseWriter, r *http.Request) {
	raw, err := read(w, r, 3*g.b.MaxJob()+1<<10) // as it may be encoded
	var form url.Values
	if err == nil {
		form, err = url.ParseQuery(string(raw))
	}
	if err == nil && !form.Has("value") {
		err = bad("the element is the parameter value of a form")
	}
	var key any
	if err == nil {
		key, err = g.mqPut(r, r.PathValue("queue"), []byte(form.Get("value")))
	}
	if err != nil {
		mqRefuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"queue": r.PathValue("queue"), "key": key})
}

func (g gateway) mqPurge(w http.ResponseWriter, r *http.Request) {
	n, err := g.ask(r, words("QPURGE", r.PathValue("queue"), "bcast"))
	if err != nil {
		mqRefuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"queue": r.PathValue("queue"), "status": n})
}

func (g gateway) mqStats(w http.ResponseWriter, r *http.Request) {
	n, err := g.ask(r, words("QLEN", r.PathValue("queue")))
	if err != nil {
		mqRefuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]any{"queue": r.PathValue("queue"), "len": n})
}

// mqControl tells, or with the parameter status says, whether elements are taken
// out of a queue.
func (g gateway) mqControl(w http.ResponseWriter, r *http.Request) {
	queue := r.PathValue("queue")
	cmd := words("PAUSE", queue, "state")
	if r.Method == http.MethodPost {
		raw, err := read(w, r, 1<<10)
		form, _ := url.ParseQuery(string(raw))
		to, known := map[string]string{"start": "none", "stop": "out"}[form.Get("status")]
		if err == nil && !known {
			err = bad("status is start or stop")
		}
		if err != nil {
			mqRefuse(w, err)
			return
		}
		cmd = words("PAUSE", queue, to)
	}
	v, err := g.ask(r, cmd)
	if err != nil {
		mqRefuse(w, err)
		return
	}
	status := "start"
	if v == "out" || v == "all" {
		status = "stop"
	}
	answer(w, http.StatusOK, map[string]any{"queue": queue, "status": status})
}

// mqStream writes elements as they come, a line each, until the client goes away.
// Whether it may is known by the first answer, before there is a status.
func (g gateway) mqStream(w http.ResponseWriter, r *http.Request) {
	queue := r.PathValue("queue")
	a, e, err := g.mqGet(r, queue, "")
	if err != nil && !errors.Is(err, errNothing) {
		mqRefuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	control := http.NewResponseController(w)
	patient(w, 0)
	w.WriteHeader(http.StatusOK)
	_ = control.Flush() // who is gone is so below, too
	for ; ; a, e, err = g.mqGet(r, queue, "30000") {
		switch {
		case errors.Is(err, errNothing):
			continue
		case err != nil:
			return // it is gone, or the broker is
		}
		line, _ := json.Marshal(e)
		begun := r.Context().Err() == nil
		_ = control.SetWriteDeadline(time.Now().Add(writeAfter))
		written := begun
		if written {
			_, err = w.Write(append(line, '\n'))
			written = err == nil && control.Flush() == nil
		}
		if written {
			err = a.Also(context.WithoutCancel(r.Context()), words("ACKJOB", e.Key))
		}
		a.Done(begun, written)
		if !written || err != nil {
			return
		}
	}
}

// mqCommand is POST /queue: a command in JSON, by itself or as the parameter body
// of a form.
func (g gateway) mqCommand(w http.ResponseWriter, r *http.Request) {
	raw, err := read(w, r, 3*g.b.MaxJob()+1<<10)
	if err != nil {
		mqRefuse(w, err)
		return
	}
	if form, err := url.ParseQuery(string(raw)); err == nil && form.Has("body") && !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		raw = []byte(form.Get("body"))
	}
	var in struct {
		Cmd, Queue, Key string
		Value           json.RawMessage
	}
	if err := json.Unmarshal(raw, &in); err != nil || in.Queue == "" {
		mqRefuse(w, bad(`a command is like {"cmd":"add","queue":"q","value":"v"}`))
		return
	}
	switch strings.ToLower(in.Cmd) {
	case "add":
		var text string
		if json.Unmarshal(in.Value, &text) != nil {
			text = string(in.Value) // an object is kept as it is
		}
		key, err := g.mqPut(r, in.Queue, []byte(text))
		if err != nil {
			mqRefuse(w, err)
			return
		}
		answer(w, http.StatusOK, map[string]any{"queue": in.Queue, "key": key})
	case "get", "take":
		a, e, err := g.mqGet(r, in.Queue, "")
		if err != nil {
			mqRefuse(w, err)
			return
		}
		if strings.EqualFold(in.Cmd, "take") {
			g.mqHand(w, r, a, e)
			return
		}
		begun := r.Context().Err() == nil
		a.Done(begun, begun && answer(w, http.StatusOK, e)) // it is to be deleted by its key, or comes again
	case "del":
		n, err := g.ask(r, words("ACKJOB", in.Key))
		if err != nil {
			mqRefuse(w, err)
			return
		}
		answer(w, http.StatusOK, map[string]any{"queue": in.Queue, "key": in.Key, "value": n})
	default:
		mqRefuse(w, bad("the commands are add, get, take and del"))
	}
	_, _ = io.Copy(io.Discard, r.Body)
}
