package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// gateway is the JSON side: each request is one or more commands of the other
// port, and their replies in JSON.
type gateway struct {
	b     Broker
	watch *watch
}

const (
	batchMost   = 1000             // jobs in one request
	batchBytes  = 16 << 20         // of its JSON
	waitMost    = 5 * time.Minute  // of a long poll
	addTimeout  = 5 * time.Second  // for copies, unless the request says
	writeAfter  = 30 * time.Second // for an answer, beyond a long poll
	pageDefault = 100
	pageMost    = 1000
)

// words makes a command.
func words(parts ...string) [][]byte {
	cmd := make([][]byte, len(parts))
	for i, p := range parts {
		cmd[i] = []byte(p)
	}
	return cmd
}

// problem is an error of a request, with its status.
type problem struct {
	status int
	Code   string `json:"code"`
	Text   string `json:"message"`
}

func (p *problem) Error() string { return p.Code + " " + p.Text }

func bad(format string, a ...any) *problem {
	return &problem{http.StatusBadRequest, "ERR", fmt.Sprintf(format, a...)}
}

// statuses are those of the codes that replies begin with; others are 400.
var statuses = map[string]int{
	"NOJOB": http.StatusNotFound, "NOAUTH": http.StatusUnauthorized, "WRONGPASS": http.StatusUnauthorized, "DENIED": http.StatusForbidden,
	"PAUSED": http.StatusConflict, "MAXLEN": http.StatusConflict, "TOOLATE": http.StatusConflict, "OOM": http.StatusServiceUnavailable,
	"MISCONF": http.StatusServiceUnavailable, "NOREPL": http.StatusServiceUnavailable, "LOADING": http.StatusServiceUnavailable,
	"LEAVING": http.StatusServiceUnavailable,
}

func (f Fault) problem() *problem {
	code, text, _ := strings.Cut(string(f), " ")
	status, ok := statuses[code]
	if !ok {
		status = http.StatusBadRequest
	}
	return &problem{status, code, text}
}

// asProblem returns an error as a problem.
func asProblem(err error) *problem {
	var p *problem
	var f Fault
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &f):
		return f.problem()
	}
	return &problem{http.StatusServiceUnavailable, "ERR", err.Error()}
}

// call executes commands; the first reply that is an error is one.
func (g gateway) call(r *http.Request, commands ...[][]byte) (*Answer, error) {
	a, err := g.b.Call(r.Context(), r.RemoteAddr, commands...)
	if err != nil {
		return nil, err
	}
	for _, v := range a.Values {
		if f, ok := v.(Fault); ok {
			a.Done(false, false)
			return nil, f
		}
	}
	return a, nil
}

// ask is call for one command that hands out no job.
func (g gateway) ask(r *http.Request, command [][]byte) (any, error) {
	a, err := g.call(r, command)
	if err != nil {
		return nil, err
	}
	a.Done(true, true)
	return a.Values[0], nil
}

// answer writes JSON, and returns whether it was written.
func answer(w http.ResponseWriter, status int, v any) (written bool) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":{"code":"ERR","message":"an answer that is no JSON"}}`)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeAfter))
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	p := asProblem(err)
	answer(w, p.status, map[string]any{"error": p})
}

// body is that of a job: text if that mangles nothing.
type body struct {
	Text     string `json:"body"`
	Encoding string `json:"encoding"` // text or base64
}

func newBody(b []byte) body {
	if utf8.Valid(b) {
		return body{string(b), "text"}
	}
	return body{base64.StdEncoding.EncodeToString(b), "base64"}
}

func (b *body) bytes() ([]byte, error) {
	switch b.Encoding {
	case "", "text":
		return []byte(b.Text), nil
	case "base64":
		raw, err := base64.StdEncoding.DecodeString(b.Text)
		if err != nil {
			return nil, bad("a body that is no base64: %v", err)
		}
		return raw, nil
	}
	return nil, bad("encoding %q: text and base64 are known", b.Encoding)
}

// addOptions are ADDJOB's that take a number, as query parameters.
var addOptions = []string{"replicate", "sync", "delay", "retry", "ttl", "maxlen", "priority", "maxtries"}

// adding makes an ADDJOB of a queue, a body and the parameters of a request.
func adding(queue string, body []byte, params map[string][]string) ([][]byte, error) {
	timeout := addTimeout
	var options [][]byte
	for name, values := range params {
		value := values[len(values)-1]
		switch lower := strings.ToLower(name); {
		case slices.Contains(addOptions, lower):
			options = append(options, []byte(lower), []byte(value))
		case lower == "backoff":
			first, last, ok := strings.Cut(value, ",")
			if !ok {
				return nil, bad("backoff takes two times in seconds: backoff=1,3600")
			}
			options = append(options, words(lower, first, last)...)
		case lower == "async":
			if on, err := strconv.ParseBool(value); err != nil {
				return nil, bad("async is true or false")
			} else if on {
				options = append(options, []byte(lower))
			}
		case lower == "timeout":
			var err error
			if timeout, err = duration(value, time.Hour); err != nil {
				return nil, err
			}
		default:
			return nil, bad("there is no parameter %q", name)
		}
	}
	cmd := [][]byte{[]byte("ADDJOB"), []byte(queue), body, []byte(strconv.FormatInt(timeout.Milliseconds(), 10))}
	return append(cmd, options...), nil
}

// duration reads a time like 20s, or seconds.
func duration(text string, most time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if n, wrong := strconv.ParseInt(text, 10, 32); wrong == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 || d > most {
		return 0, bad("%q is no time from 0s to %v", text, most)
	}
	return d, nil
}

// read reads what the client sent, up to so many bytes.
func read(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &problem{http.StatusRequestEntityTooLarge, "ERR", fmt.Sprintf("the request exceeds %d bytes", large.Limit)}
	}
	if err != nil {
		return nil, bad("the request ended early: %v", err)
	}
	return b, nil
}

// add is POST /v1/queues/{q}/jobs.
func (g gateway) add(w http.ResponseWriter, r *http.Request) {
	batch := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	most := g.b.MaxJob()
	if batch {
		most = batchBytes
	}
	raw, err := read(w, r, most)
	if err != nil {
		refuse(w, err)
		return
	}
	if trimmed := strings.TrimSpace(string(raw[:min(len(raw), 64)])); batch && strings.HasPrefix(trimmed, "[") {
		g.addMany(w, r, raw)
		return
	}
	cmd, err := adding(r.PathValue("queue"), raw, r.URL.Query())
	if err != nil {
		refuse(w, err)
		return
	}
	v, err := g.ask(r, cmd)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusCreated, map[string]any{"id": v})
}

// addMany adds the jobs of a JSON array: texts, or objects with a body.
func (g gateway) addMany(w http.ResponseWriter, r *http.Request, raw []byte) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		refuse(w, bad("a batch is a JSON array of texts, or of objects with body and encoding: %v", err))
		return
	}
	if len(list) == 0 || len(list) > batchMost {
		refuse(w, bad("a batch has 1 to %d jobs, not %d", batchMost, len(list)))
		return
	}
	commands := make([][][]byte, len(list))
	for i, item := range list {
		b, err := batched(item)
		if err != nil {
			err = bad("job %d of the batch: %v", i, err)
		} else {
			commands[i], err = adding(r.PathValue("queue"), b, r.URL.Query())
		}
		if err != nil {
			refuse(w, err)
			return
		}
	}
	a, err := g.b.Call(r.Context(), r.RemoteAddr, commands...)
	if err != nil {
		refuse(w, err)
		return
	}
	a.Done(true, true)
	status, out := 0, make([]any, len(a.Values))
	for i, v := range a.Values {
		if f, ok := v.(Fault); ok {
			p := f.problem()
			out[i] = map[string]any{"error": p}
			status = max(status, p.status)
		} else {
			out[i] = map[string]any{"id": v}
		}
	}
	if slices.ContainsFunc(a.Values, func(v any) bool { _, wrong := v.(Fault); return !wrong }) {
		status = http.StatusCreated // some are
	}
	answer(w, status, out)
}

// batched returns the body of an item of a batch.
func batched(item json.RawMessage) ([]byte, error) {
	var text *string
	if json.Unmarshal(item, &text) != nil {
		var one struct {
			Body     *string
			Encoding string
		}
		d := json.NewDecoder(bytes.NewReader(item))
		d.DisallowUnknownFields()
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("no text, and no object with body and encoding: %w", err)
		}
		if one.Encoding == "base64" && one.Body != nil {
			return (&body{*one.Body, one.Encoding}).bytes()
		}
		if one.Encoding != "" && one.Encoding != "text" {
			return nil, fmt.Errorf("encoding %q: text and base64 are known", one.Encoding)
		}
		text = one.Body
	}
	if text == nil {
		return nil, errors.New("no text, and no object with a body")
	}
	// What is no text in JSON is replaced when it is read.
	if strings.ContainsRune(*text, utf8.RuneError) && !bytes.ContainsRune(item, utf8.RuneError) && !bytes.Contains(bytes.ToLower(item), []byte(`\ufffd`)) || !utf8.Valid(item) {
		return nil, errors.New("it is no Unicode text; send it as base64")
	}
	return []byte(*text), nil
}

// delivered is a job as GETJOB answers it.
type delivered struct {
	Queue    string `json:"queue"`
	QueueKey string `json:"queueKey,omitempty"` // as paths have it, if the name is no text
	ID       string `json:"id"`
	body
	Nacks *int64 `json:"nacks,omitempty"`
	Extra *int64 `json:"additionalDeliveries,omitempty"`
}

func newDelivered(v any) (d delivered, ok bool) {
	list, _ := v.([]any)
	if len(list) < 3 {
		return d, false
	}
	text := func(v any) string { b, _ := v.([]byte); return string(b) }
	raw, _ := list[2].([]byte)
	d = delivered{Queue: label(text(list[0])), ID: text(list[1]), body: newBody(raw)}
	if name := text(list[0]); d.Queue != name {
		d.QueueKey = pathKey(name)
	}
	if len(list) == 7 {
		nacks, _ := list[4].(int64)
		extra, _ := list[6].(int64)
		d.Nacks, d.Extra = &nacks, &extra
	}
	return d, true
}

// get is POST /v1/queues/{q}/jobs:get.
func (g gateway) get(w http.ResponseWriter, r *http.Request) {
	cmd := words("GETJOB")
	wait := time.Duration(0)
	var err error
	for name, values := range r.URL.Query() {
		switch value := values[len(values)-1]; name {
		case "wait":
			wait, err = duration(value, waitMost)
		case "count":
			cmd = append(cmd, words("COUNT", value)...)
		case "withcounters":
			var on bool
			if on, err = strconv.ParseBool(value); err == nil && on {
				cmd = append(cmd, words("WITHCOUNTERS")...)
			}
		default:
			err = bad("there is no parameter %q", name)
		}
		if err != nil {
			refuse(w, err)
			return
		}
	}
	if wait == 0 {
		cmd = append(cmd, words("NOHANG")...)
	} else {
		cmd = append(cmd, words("TIMEOUT", strconv.FormatInt(wait.Milliseconds(), 10))...)
	}
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<10)) // so that a client that goes away is noticed
	patient(w, wait)
	a, err := g.call(r, append(cmd, words("FROM", r.PathValue("queue"))...))
	if err != nil {
		refuse(w, err)
		return
	}
	list, _ := a.Values[0].([]any)
	if len(list) == 0 {
		a.Done(true, true)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	jobs := make([]delivered, 0, len(list))
	for _, v := range list {
		if d, ok := newDelivered(v); ok {
			jobs = append(jobs, d)
		}
	}
	begun := r.Context().Err() == nil
	a.Done(begun, begun && answer(w, http.StatusOK, jobs))
}

// patient lets a request, which was read, take so long: the deadlines that it has
// are made for those that are answered at once.
func patient(w http.ResponseWriter, wait time.Duration) {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(wait + writeAfter))
}

// jobID is the form of a job's id.
var jobID = regexp.MustCompile(`^D-[0-9a-f]{8}-[A-Za-z0-9+/]{24}-[0-9a-f]{4}$`)

// errBadID refuses a request before anything of it is done.
func errBadID(id string) error {
	return &problem{http.StatusBadRequest, "BADID", fmt.Sprintf("%.100q is no id of a job; nothing was done", id)}
}

// refusal is a NACK in a request.
type refusal struct {
	ID     string `json:"id"`
	Delay  *int64 `json:"delay"`
	Reason string `json:"reason"`
}

// ack is POST /v1/jobs:ack.
func (g gateway) ack(w http.ResponseWriter, r *http.Request) {
	raw, err := read(w, r, 1<<20)
	if err != nil {
		refuse(w, err)
		return
	}
	var in struct {
		Ack  []string          `json:"ack"`
		Nack []json.RawMessage `json:"nack"`
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		refuse(w, bad(`it takes {"ack":[id, ...],"nack":[id or {"id":...,"delay":...,"reason":...}, ...]}: %v`, err))
		return
	}
	var commands [][][]byte
	if len(in.Ack) > 0 {
		commands = append(commands, words(append([]string{"ACKJOB"}, in.Ack...)...))
	}
	for _, id := range in.Ack {
		if !jobID.MatchString(id) {
			refuse(w, errBadID(id))
			return
		}
	}
	for _, item := range in.Nack {
		var one refusal
		if json.Unmarshal(item, &one.ID) != nil && json.Unmarshal(item, &one) != nil {
			refuse(w, bad("a nack is an id, or an object with id, delay and reason"))
			return
		}
		if !jobID.MatchString(one.ID) {
			refuse(w, errBadID(one.ID))
			return
		}
		commands = append(commands, one.command())
	}
	if len(commands) == 0 || len(commands) > batchMost {
		refuse(w, bad("there is nothing to acknowledge, or there are more than %d nacks", batchMost))
		return
	}
	a, err := g.call(r, commands...)
	if err != nil {
		refuse(w, err)
		return
	}
	a.Done(true, true)
	acked, nacked := int64(0), int64(0)
	for i, v := range a.Values {
		n, _ := v.(int64)
		if i == 0 && len(in.Ack) > 0 {
			acked = n
		} else {
			nacked += n
		}
	}
	answer(w, http.StatusOK, map[string]int64{"acked": acked, "nacked": nacked})
}

func (f *refusal) command() [][]byte {
	cmd := words("NACK", f.ID)
	if f.Delay != nil {
		cmd = append(cmd, words("DELAY", strconv.FormatInt(*f.Delay, 10))...)
	}
	if f.Reason != "" {
		cmd = append(cmd, words("REASON", f.Reason)...)
	}
	return cmd
}

// fields returns the pairs of SHOW and QSTAT as an object: names in JSON's usual
// form, the body as text or base64.
func fields(v any) map[string]any {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	m := map[string]any{}
	for i := 0; i+1 < len(list); i += 2 {
		name, _ := list[i].([]byte)
		value := list[i+1]
		if string(name) == "body" {
			raw, _ := value.([]byte)
			b := newBody(raw)
			m["body"], m["encoding"] = b.Text, b.Encoding
			continue
		}
		if raw, _ := value.([]byte); (string(name) == "queue" || string(name) == "name") && !utf8.Valid(raw) {
			m[string(name)], m["queueKey"] = label(string(raw)), pathKey(string(raw))
			continue
		}
		m[camel(string(name))] = plain(value)
	}
	return m
}

// bodyOf returns the body among the pairs of SHOW.
func bodyOf(pairs []any) []byte {
	for i := 0; i+1 < len(pairs); i += 2 {
		if name, _ := pairs[i].([]byte); string(name) == "body" {
			raw, _ := pairs[i+1].([]byte)
			return raw
		}
	}
	return nil
}

// bodyShown is how much of a body lists of jobs have, bytes.
const bodyShown = 4096

// shorten cuts the body of a job that is one of a list, at the end of a character if
// it is text.
func shorten(job map[string]any, raw []byte) map[string]any {
	job["bodyBytes"] = len(raw)
	if len(raw) <= bodyShown {
		return job
	}
	cut := bodyShown
	for cut > bodyShown-utf8.UTFMax && !utf8.RuneStart(raw[cut]) {
		cut--
	}
	b := newBody(raw[:cut])
	job["body"], job["encoding"], job["truncated"] = b.Text, b.Encoding, true
	return job
}

// plain returns a reply as JSON has it.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return newBody(v).Text
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

// camel turns next-requeue-within into nextRequeueWithin.
func camel(name string) string {
	head, rest, more := strings.Cut(name, "-")
	for more && rest != "" {
		var part string
		part, rest, more = strings.Cut(rest, "-")
		head += strings.ToUpper(part[:min(1, len(part))]) + part[min(1, len(part)):]
	}
	return head
}
